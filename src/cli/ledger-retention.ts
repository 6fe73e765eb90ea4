import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { listLogs } from '../ledger/logs.js';
import { bareDraft } from '../ledger/record.js';
import { changedRetention, readRetention, type Retention, storeRetention } from '../ledger/retention.js';
import type { CommandInput } from './command.js';
import { withWorkingLedger } from './ledger-access.js';

export const retentionUsage = `npm run ledger -- retention --tenant T [--months N] [--transfer-months N] [--hot-months N] [--hold on|off]

  How long the entries of a log are kept, in whole months after the one in which they were made; without options: prints it.
  --months           in the database or the archive (72; never below 6)
  --transfer-months  disclosures and exports (120; never below)
  --hot-months       in the database, before "archive" takes them out (12)
  --hold             a legal hold: nothing of the log is dropped or pruned`;

export const retentionOptions = {
  tenant: { type: 'string' },
  months: { type: 'string' },
  'transfer-months': { type: 'string' },
  'hot-months': { type: 'string' },
  hold: { type: 'string' },
} as const;

/** Recorded before it takes effect: a change that is in the ledger and was not made can be made again. */
export async function retention({ values }: CommandInput): Promise<void> {
  const { tenant: log } = values;
  if (typeof log !== 'string') throw new Refusal(retentionUsage, 2);
  const change = changeIn(values);
  await withWorkingLedger(readConfiguration(), async ({ files, ledger, owner }) => {
    if (!(await listLogs(files.database)).includes(log)) throw new Refusal(`There is no log ${log}.`);
    const before = await readRetention(owner, log);
    const after = changedRetention(before, change);
    if (Object.keys(change).length > 0) {
      await ledger.writer.register(log);
      await ledger.writer.append(bareDraft(log, 'ledger.retention', 'POLICY', newId()));
      await storeRetention(owner, log, after, new SystemClock().now());
    }
    const { months, transferMonths, hotMonths, hold } = after;
    process.stdout.write(
      `${log} months ${months} transfer-months ${transferMonths} hot-months ${hotMonths} hold ${hold ? 'on' : 'off'}\n`,
    );
  });
}

function changeIn(values: CommandInput['values']): Partial<Retention> {
  const change: { -readonly [Key in keyof Retention]?: Retention[Key] } = {};
  for (const [option, name] of [
    ['months', 'months'],
    ['transfer-months', 'transferMonths'],
    ['hot-months', 'hotMonths'],
  ] as const) {
    const text = values[option];
    if (text === undefined) continue;
    if (!/^\d{1,4}$/.test(String(text))) throw new Refusal(`--${option} is a number of months.`, 2);
    change[name] = Number(text);
  }
  const { hold } = values;
  if (hold !== undefined && hold !== 'on' && hold !== 'off') throw new Refusal('--hold is on or off.', 2);
  if (hold !== undefined) change.hold = hold === 'on';
  return change;
}
