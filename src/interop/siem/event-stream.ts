import { hash, type KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../../config/refusal.js';
import type { LogFiles } from '../../ledger/log-files.js';
import { toSecurityEvent, type SecurityEvent } from './event.js';

const BUNDLE = 256;
const POLL_MILLISECONDS = 1_000;

export interface EventStreamOptions {
  readonly files: Pick<LogFiles, 'checkpoint' | 'records'>;
  readonly log: string;
  /** Key of the tokens that stand for subjects. */
  readonly tokenKey: KeyObject;
  /** First index that is wanted. */
  readonly from: number;
  /** Goes on with what comes, for ever; else ends at the newest checkpoint. */
  readonly follow: boolean;
}

/**
 * The records of a log as events, in order, each once. Only what a signed checkpoint covers is told, so that no event can
 * be taken back. Memory does not grow with the log. Throws where an entry is missing: a silent gap would be a lie.
 */
export async function* securityEvents(options: EventStreamOptions): AsyncGenerator<SecurityEvent> {
  const { files, log, tokenKey, follow } = options;
  let next = options.from;
  for (;;) {
    const size = sizeOf(await files.checkpoint(log));
    if (next > size) throw new Refusal(`The log ${log} has ${size} entries: there is none to go on from at ${next}.`);
    while (next < size) {
      const bundle = Math.floor(next / BUNDLE);
      const rows = await files.records(log, bundle, Math.min(BUNDLE, size - bundle * BUNDLE));
      for (const { record } of rows.slice(next % BUNDLE)) {
        if (record === null) throw new Refusal(`Entry ${next} of the log ${log} is missing: run npm run audit:verify.`);
        yield toSecurityEvent({ index: next, record, recordHash: hash('sha256', record, 'hex') }, tokenKey);
        next += 1;
      }
      if (next < size && next % BUNDLE !== 0)
        throw new Refusal(`The log ${log} ends at ${next}, before its checkpoint.`);
    }
    if (!follow) return;
    await pause(POLL_MILLISECONDS);
  }
}

function sizeOf(checkpoint: string | null): number {
  return Number(checkpoint?.split('\n')[1] ?? 0);
}
