import type { DestinationStream } from 'pino';
import { pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../config/configuration.js';
import type { LogFacts } from './safe.js';
import { safeFacts } from './safe.js';

/** Everything that this system says in its log. A sentence that is not here cannot be logged, so none can carry a value. */
export const LOG_EVENTS = [
  'starting',
  'ready',
  'draining',
  'stopped',
  'database started',
  'database stopped',
  'database unreachable',
  'migrations done',
  'keys made',
  'key agent ready',
  'key agent refused',
  'keys unwrapped without a record',
  'key uses not reconciled',
  'policies loaded',
  'policies refused',
  'policies changed',
  'policies of the directory not in force',
  'policies differ in shadow',
  'demo organisation loaded',
  'request',
  'request failed',
  'operation failed',
  'sign-in slowed down',
  'ledger writer failed',
  'ledger record voided',
  'ledger sequencer elected',
  'ledger sequencer failed',
  'ledger checkpoint written',
  'ledger witness failed',
  'ledger witness answers',
  'ledger lags',
  'ledger lag over',
  'ledger watermark held back',
  'import progress',
  'import done',
  'job done',
  'job failed',
  'framework',
  'unexpected error',
] as const;
export type LogEvent = (typeof LOG_EVENTS)[number];
const known: ReadonlySet<string> = new Set(LOG_EVENTS);

type Severity = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/**
 * The system's log: one JSON object a line. The redaction is here and only here, by allow-list: an event from a closed
 * list, facts whose key and form are known, errors without their message. Callers may pass whatever they have.
 */
export class Log {
  private readonly logger: ReturnType<typeof pino>;

  /** `destination` defaults to standard output, written without blocking: in pages, at the latest after a second. */
  constructor(
    level: LogLevel,
    private readonly destination: DestinationStream & { flushSync?(): void } = pino.destination({
      dest: 1,
      sync: false,
      minLength: 4096,
      periodicFlush: 1_000,
    }),
  ) {
    this.logger = pino(
      {
        level,
        base: { process: process.pid },
        messageKey: 'event',
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    );
  }

  fatal(event: LogEvent, facts?: LogFacts): void {
    this.write('fatal', event, facts);
  }

  error(event: LogEvent, facts?: LogFacts): void {
    this.write('error', event, facts);
  }

  warn(event: LogEvent, facts?: LogFacts): void {
    this.write('warn', event, facts);
  }

  info(event: LogEvent, facts?: LogFacts): void {
    this.write('info', event, facts);
  }

  debug(event: LogEvent, facts?: LogFacts): void {
    this.write('debug', event, facts);
  }

  /** Before the process ends: what was not written yet. */
  flush(): void {
    this.destination.flushSync?.();
  }

  private write(severity: Severity, event: LogEvent, facts: LogFacts = {}): void {
    if (!this.logger.isLevelEnabled(severity)) return;
    this.logger[severity](safeFacts({ ...facts }), known.has(event) ? event : 'unexpected error');
  }
}
