import path from 'node:path';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { exportLog } from '../ledger/export.js';
import { type LedgerEntry, LedgerReader } from '../ledger/reader.js';
import type { CommandInput } from './command.js';
import { say, withLedger } from './ledger-access.js';

export const exportUsage = `npm run ledger -- export <directory> --tenant T [--without-details]

  Writes a log as plain files (c2sp.org/tlog-tiles), checkpoint and key included, or goes on in a directory that has an
  earlier state of it; verify them anywhere with: node audit/verify.mjs <directory>
  --without-details  leaves out the sealed details of what happened`;

export const exportOptions = { tenant: { type: 'string' }, 'without-details': { type: 'boolean' } } as const;

export const tailUsage = `npm run ledger -- tail --tenant T [--count N] [--json]

  Prints the newest entries, the newest last.
  --count  how many (20)
  --json   one record a line, as it is in the ledger`;

export const tailOptions = {
  tenant: { type: 'string' },
  count: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const MOST = 10_000;
/** Entries between two lines about the progress. */
const STEP = 500_000;

/** A ledger that cannot go on is exported too: it is what an auditor wants to see. */
export async function exportTo({ values, positionals }: CommandInput): Promise<void> {
  const { tenant } = values;
  const [directory] = positionals;
  if (typeof tenant !== 'string' || directory === undefined) throw new Refusal(exportUsage, 2);
  const withoutDetails = values['without-details'] === true;
  await withLedger(readConfiguration(), async (files, fault) => {
    if (fault !== null) say(fault.message);
    let told = 0;
    const progress = (done: number, size: number) => {
      if (done - told < STEP) return;
      told = done;
      say(`${done} of ${size} entries`);
    };
    const count = await exportLog(files, tenant, path.resolve(directory), { withoutDetails, progress });
    process.stdout.write(`${count} entries\n`);
  });
}

export async function tail(input: CommandInput): Promise<void> {
  const { tenant, json } = input.values;
  if (typeof tenant !== 'string') throw new Refusal(tailUsage, 2);
  const count = countIn(input);
  await withLedger(readConfiguration(), async (files, fault) => {
    if (fault !== null) say(fault.message);
    const entries = await new LedgerReader(files.database).tail(tenant, count);
    if (entries.length === 0) throw new Refusal(`There is no log ${tenant}.`);
    for (const entry of entries) {
      process.stdout.write(
        `${json === true ? JSON.stringify({ ...entry.record, index: entry.index }) : line(entry)}\n`,
      );
    }
  });
}

function line({ index, record }: LedgerEntry): string {
  const { time, kind, operation, outcome, code, role, purpose } = record;
  return [index, time, kind, operation, outcome, code ?? '-', role ?? '-', purpose ?? '-'].join(' ');
}

function countIn({ values }: CommandInput): number {
  if (values.count === undefined) return 20;
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1 || count > MOST) {
    throw new Refusal(`--count is a whole number from 1 to ${MOST}.`, 2);
  }
  return count;
}
