import { Refusal } from '../config/refusal.js';
import { readConfiguration } from '../config/configuration.js';
import { SystemClock } from '../kernel/clock.js';
import { Archiver, archiveTools, type ArchiveOptions } from '../ledger/archive.js';
import { monthNumber } from '../ledger/month.js';
import { Pruner } from '../ledger/prune.js';
import type { CommandInput } from './command.js';
import { say, type WorkingLedger, withWorkingLedger } from './ledger-access.js';

export const archiveUsage = `npm run ledger -- archive [--tenant T] [--month 2026-01] [--dry-run]

  Takes months that are over and older than the hot period out of the database, into files (CUSTODIA_ARCHIVE_DIRECTORY):
  exports them, verifies the files from scratch, records their hashes in the log, then drops the month. Brings older archives
  up to date and takes erased details out of them. Run it daily; after an interruption run it again. Prints "archived <log> <month> <entries>" and "dropped <month>".
  --month    one month, in place of all that are due
  --dry-run  only prints what is due`;

export const archiveOptions = {
  tenant: { type: 'string' },
  month: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

export const pruneUsage = `npm run ledger -- prune --tenant T [--dry-run]

  Deletes from the archive of a log what need not be kept any longer: see "retention". Hashes and proofs stay.
  --dry-run  only prints up to where`;

export const pruneOptions = { tenant: { type: 'string' }, 'dry-run': { type: 'boolean' } } as const;

export async function archive({ values }: CommandInput): Promise<void> {
  const { tenant: log, month } = values as { tenant?: string; month?: string };
  if (month !== undefined && (month.length !== 7 || Number.isNaN(monthNumber(month)))) {
    throw new Refusal('--month is a month such as 2026-01.', 2);
  }
  const dryRun = values['dry-run'] === true;
  await withWorkingLedger(readConfiguration(), async (open) => {
    const { sealed, dropped } = await new Archiver(optionsOf(open)).run({ log, month, dryRun });
    const word = dryRun ? 'due' : 'archived';
    for (const own of sealed) process.stdout.write(`${word} ${own.log} ${own.month} ${own.entries}\n`);
    for (const name of dropped) process.stdout.write(`dropped ${name}\n`);
    if (sealed.length === 0) process.stdout.write('nothing is due\n');
  });
}

export async function prune({ values }: CommandInput): Promise<void> {
  const { tenant: log } = values;
  if (typeof log !== 'string') throw new Refusal(pruneUsage, 2);
  const dryRun = values['dry-run'] === true;
  await withWorkingLedger(readConfiguration(), async (open) => {
    const { from, minimum } = await new Pruner(optionsOf(open)).run(log, { dryRun });
    const what = dryRun ? 'would be pruned' : 'pruned';
    process.stdout.write(minimum === from ? 'nothing to prune\n' : `${what} ${log} ${from} to ${minimum - 1}\n`);
  });
}

function optionsOf({ files, ledger, owner, configuration, settle }: WorkingLedger): ArchiveOptions {
  return {
    owner,
    tools: archiveTools(files, say),
    directory: configuration.archiveDirectory,
    append: async (draft) => {
      await ledger.writer.register(draft.log);
      await ledger.writer.append(draft);
    },
    settle,
    clock: new SystemClock(),
    say,
  };
}
