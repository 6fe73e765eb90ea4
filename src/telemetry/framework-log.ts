import type { LoggerService } from '@nestjs/common';
import type { Log } from './log.js';

/**
 * What NestJS and its modules want to say. Their sentences are not ours to vouch for, so only the speaking class
 * (`room`) and a passed error's class and place reach the log; everyday talk only at level debug.
 */
export class FrameworkLog implements LoggerService {
  constructor(private readonly target: Log) {}

  log(_message: unknown, ...rest: unknown[]): void {
    this.target.debug('framework', { room: roomOf(rest) });
  }

  debug(_message: unknown, ...rest: unknown[]): void {
    this.target.debug('framework', { room: roomOf(rest) });
  }

  warn(_message: unknown, ...rest: unknown[]): void {
    this.target.warn('framework', { room: roomOf(rest) });
  }

  error(message: unknown, ...rest: unknown[]): void {
    const error = [message, ...rest].find((value) => value instanceof Error);
    this.target.error('framework', { room: roomOf(rest), error });
  }
}

/** Nest passes the speaking class as the last argument. */
function roomOf(rest: readonly unknown[]): string {
  const last = rest.at(-1);
  return typeof last === 'string' ? last : '';
}
