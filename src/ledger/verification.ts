import { setTimeout as pause } from 'node:timers/promises';
import type { Report } from '../../audit/report.mjs';
import { verifySource } from '../../audit/verify.mjs';
import { LedgerFault } from './fault.js';
import type { LogFiles } from './log-files.js';
import { listLogs } from './logs.js';
import { hiddenByIndex } from './reference-check.js';
import { readRestoredId, RowChecks } from './row-check.js';
import { stateFault } from './state-check.js';
import { registeredWriters, writerKeysText } from './writer-release.js';

/** The verdict on one log. */
export interface LogVerdict {
  readonly log: string;
  /** Entries that the checkpoint covers; null when there is no checkpoint to rely on. */
  readonly size: number | null;
  /**
   * Null: the log is in order. `index` null where it cannot be told. The class is one of the verifier's, or of four that only
   * a database has: `row` (what stands beside a record contradicts it), `unsequenced`, `state` (the sequencer would not go on
   * from where it was) and `index` (an entry is hidden from whoever searches for a person).
   */
  readonly bad: { readonly index: number | null; readonly class: string } | null;
  /** Entries that have no index although the sequencer's position has passed them. */
  readonly unsequenced: number;
  readonly report: Report | null;
}

/** What is known of a log beside its files, and what the verifier is to be told. */
export interface Circumstances {
  /** What stopped the sequencer: it counts where the files alone are in order. */
  readonly fault?: LedgerFault | null;
  /** By log, as `unsequencedEntries` counts them. */
  readonly unsequenced?: ReadonlyMap<string, number>;
  /** Text of a policy (c2sp.org/tlog-policy): which witnesses must have cosigned. */
  readonly policy?: string;
  readonly progress?: (done: number, size: number) => void;
}

/** Logs that the database or the checkpoint store knows: one that only the store knows has been deleted. */
export async function knownLogs(files: LogFiles): Promise<string[]> {
  const names = [...(await listLogs(files.database)), ...(await files.store.logs())];
  return [...new Set(names)].sort();
}

/**
 * Verifies one log as a stranger would, straight from where it lies: from the records' bytes up, with the key that signs, the
 * checkpoints that are kept outside of the database and, as only its operator can, the MACs of all writers. Memory does not grow with the log, nothing is written.
 */
export async function verifyLog(files: LogFiles, log: string, circumstances: Circumstances = {}): Promise<LogVerdict> {
  const { fault, policy, progress } = circumstances;
  const unsequenced = circumstances.unsequenced?.get(log) ?? 0;
  const own =
    fault?.log === log
      ? { index: fault.index, class: fault.kind }
      : unsequenced > 0
        ? { index: null, class: 'unsequenced' }
        : null;
  const { note, kept } = await checkpointsOf(files, log, policy !== undefined);
  if (note === null) {
    return { log, size: null, bad: own ?? { index: null, class: 'signature' }, unsequenced, report: null };
  }
  const rows = new RowChecks(log, await readRestoredId(files.database));
  const source = files.source(log, (index, row) => rows.take(index, row), note);
  const writers = await registeredWriters(files.database, log);
  const options = {
    vkeys: [files.vkey(log)],
    checkpoints: kept,
    writerKeys: writerKeysText(files.keys.macKey, log, writers) ?? undefined,
    policy,
    progress,
  };
  const report = await verifySource(source, options);
  const beside = rows.first === null ? null : { index: rows.first, class: 'row' };
  const bad = report.first ?? beside ?? own ?? (await besideTheRecords(files, log));
  return { log, size: report.size, bad, unsequenced, report };
}

/**
 * The checkpoint to verify, and those that it must extend. Signed is first, then what auditors are shown, which with witnesses
 * may take a minute: unless cosignatures are demanded, the signed one is as good. One is kept just before it is the newest;
 * one that is kept and stays newer than the newest for a second has been taken away from its place.
 */
async function checkpointsOf(
  { store }: LogFiles,
  log: string,
  cosigned: boolean,
): Promise<{ note: string | null; kept: string[] }> {
  for (let tries = 0; ; tries++) {
    const kept = await store.kept(log);
    const [shown, signed] = [await store.readPublished(log), await store.read(log)];
    const note = !cosigned && sizeOf(signed) > sizeOf(shown) ? signed : shown;
    const taken = (one: string) => sizeOf(one) > Math.max(sizeOf(signed), sizeOf(shown));
    if (tries === 5 || !kept.some(taken)) {
      return { note, kept: kept.filter((one) => taken(one) || sizeOf(one) <= sizeOf(note)) };
    }
    await pause(200);
  }
}

/** As the second line of a checkpoint has it; 0 without one. */
function sizeOf(note: string | null): number {
  return Number(note?.split('\n')[1] ?? 0);
}

/** What no record says and no signature covers, and what the system goes by all the same. */
async function besideTheRecords(files: LogFiles, log: string): Promise<LogVerdict['bad']> {
  const { database } = files;
  const state = await stateFault({ query: (statement) => database.query(null, statement) }, log);
  if (state !== null) return { ...state, class: 'state' };
  const hidden = await hiddenByIndex(database, files, log);
  return hidden === null ? null : { ...hidden, class: 'index' };
}

/** `OK T 1234`, or `BAD T <index> <class>`; the index is `-` where it cannot be told. */
export function verdictLine({ log, size, bad }: LogVerdict): string {
  return bad === null ? `OK ${log} ${size}` : `BAD ${log} ${bad.index ?? '-'} ${bad.class}`;
}

/** Waits for the ledger to settle; what stopped it becomes part of the verdict instead of ending the verification. */
export async function settleOrFault(settle: () => Promise<void>): Promise<LedgerFault | null> {
  try {
    await settle();
    return null;
  } catch (error) {
    if (error instanceof LedgerFault) return error;
    throw error;
  }
}
