import path from 'node:path';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { exportLog } from '../ledger/export.js';
import { type LedgerEntry, LedgerReader } from '../ledger/reader.js';
import { type CommandInput, runCommand } from './command.js';
import { withLedger } from './ledger-access.js';

const usage = `Usage: npm run ledger -- export <directory> --tenant T
       npm run ledger -- tail --tenant T [--count N] [--json]

  export   writes the log of a tenant (or: system) as plain files (c2sp.org/tlog-tiles), checkpoint and key included;
           verify them anywhere with: node audit/verify.mjs <directory>
  tail     prints the newest entries, the newest last; with --json one record a line, as it is in the ledger
  --count  how many (20)`;

const MOST = 10_000;

await runCommand({
  usage,
  words: [1, 2],
  options: { tenant: { type: 'string' }, count: { type: 'string' }, json: { type: 'boolean' } },
  async run(input) {
    const { tenant } = input.values;
    if (typeof tenant !== 'string') throw new Refusal(usage, 2);
    const [verb, directory, ...others] = input.positionals;
    if (verb === 'export' && directory !== undefined && others.length === 0) return exportTo(directory, tenant);
    if (verb === 'tail' && directory === undefined) return tail(tenant, countIn(input), input.values.json === true);
    throw new Refusal(usage, 2);
  },
});

async function exportTo(directory: string, tenant: string): Promise<void> {
  await withLedger(readConfiguration(), async (source, fault) => {
    // A ledger that cannot go on is exported too: it is what an auditor wants to see.
    if (fault !== null) process.stderr.write(`${fault.message}\n`);
    const count = await exportLog(source, tenant, path.resolve(directory));
    process.stdout.write(`${count} entries\n`);
  });
}

async function tail(tenant: string, count: number, json: boolean): Promise<void> {
  await withLedger(readConfiguration(), async (source, fault) => {
    if (fault !== null) process.stderr.write(`${fault.message}\n`);
    const entries = await new LedgerReader(source.database).tail(tenant, count);
    if (entries.length === 0) throw new Refusal(`There is no log ${tenant}.`);
    for (const entry of entries) {
      process.stdout.write(`${json ? JSON.stringify({ ...entry.record, index: entry.index }) : line(entry)}\n`);
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
