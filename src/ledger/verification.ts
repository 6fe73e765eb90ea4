import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vkey } from '../../audit/note.mjs';
import type { Report } from '../../audit/report.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { exportLog, type ExportSource } from './export.js';
import { LedgerFault } from './fault.js';
import { listLogs } from './logs.js';

/** The verdict on one log. */
export interface LogVerdict {
  readonly log: string;
  /** Entries that the checkpoint covers; null when there is no checkpoint to rely on. */
  readonly size: number | null;
  /** Null: the log is in order. `index` null where it cannot be told. */
  readonly bad: { readonly index: number | null; readonly class: string } | null;
  readonly report: Report | null;
}

/** Logs that the database or the checkpoint store knows: one that only the store knows has been deleted. */
export async function knownLogs(source: ExportSource): Promise<string[]> {
  const names = [...(await listLogs(source.database)), ...(await source.store.logs())];
  return [...new Set(names)].sort();
}

/**
 * Verifies one log as a stranger would: dumped unchecked to a directory of its own (removed afterwards), then read by
 * the verifier from the records' bytes up, with the key that signs and not the one lying beside the dump. `fault` is
 * what stopped the sequencer, if anything: it counts where the dump alone is in order.
 */
export async function verifyLog(source: ExportSource, log: string, fault: LedgerFault | null): Promise<LogVerdict> {
  const own = fault?.log === log ? { index: fault.index, class: fault.kind } : null;
  if ((await source.store.read(log)) === null) {
    return { log, size: null, bad: own ?? { index: null, class: 'signature' }, report: null };
  }
  const directory = await mkdtemp(join(tmpdir(), 'custodia-verify-'));
  try {
    await exportLog(source, log, directory);
    const signer = source.keys.signer(log);
    const report = await verifyDirectory(directory, { vkeys: [vkey(signer.name, signer.privateKey)] });
    return { log, size: report.size, bad: report.first ?? own, report };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
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
