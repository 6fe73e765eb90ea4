import { compose } from '../composition.js';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { newId } from '../kernel/identifier.js';
import { bareDraft } from '../ledger/record.js';
import { redecided } from '../operation/decision-redecision.js';
import { readInstant } from '../operation/input.js';
import { withDatabase } from './command.js';
import { print, type Verb } from './policy-verb.js';

/** Makes every recorded decision of a period again with the release of its time. */
export const redecide: Verb = {
  usage: `npm run policy -- redecide --tenant T [--from TIME] [--to TIME]

  makes every recorded decision of a period again with the policies of its time: the same rules, the same states of fields,
  refused where it was refused; what is not the same is named by its index, exit 1. Rows are not read: they may have changed
  since. What a record does not tell enough for is counted as not comparable, with the reason.
  --from, --to  RFC 3339 with a zone; all there are where they are not given`,
  options: { tenant: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' } },
  async run({ values }) {
    const { tenant } = values;
    if (typeof tenant !== 'string') throw new Refusal('--tenant is missing.', 2);
    const period = { from: instant(values['from']), to: instant(values['to']) };
    return withDatabase(readConfiguration(), async (database) => {
      const { ledger, ledgerReader, policy, tenants, close } = await compose(readConfiguration(), database, {
        stopgap: true,
      });
      try {
        if (!tenants.includes(tenant)) throw new Refusal(`There is no tenant ${tenant}.`, 2);
        if (policy.releases === null) throw new Refusal('The policies of this installation are those of a directory.');
        await ledger.writer.append(bareDraft(tenant, 'policy.redecide', 'LEDGER_READ', newId()));
        const counts = { same: 0, other: 0, without: 0 };
        const incomparable = new Map<string, number>();
        for await (const { index, verdict } of redecided(ledgerReader, policy.releases, tenant, period)) {
          if (verdict === null) counts.without += 1;
          else if (verdict.incomparable !== null) {
            incomparable.set(verdict.incomparable, (incomparable.get(verdict.incomparable) ?? 0) + 1);
          } else if (verdict.differences.length === 0) counts.same += 1;
          else {
            counts.other += 1;
            print(`index ${index}: ${verdict.differences.join('; ')}`);
          }
        }
        const left = [...incomparable.values()].reduce((sum, count) => sum + count, 0);
        print(`${counts.without} entries without a decision`);
        for (const [why, count] of incomparable) print(`${count} not comparable: ${why}`);
        print(`${counts.same} identical, ${counts.other} differ, ${left} not comparable`);
        return counts.other === 0;
      } finally {
        await close();
      }
    });
  },
};

function instant(value: string | boolean | undefined): string | null {
  if (value === undefined) return null;
  const read = readInstant(String(value));
  if (read !== null) return read;
  throw new Refusal('A time is RFC 3339 with a zone, such as 2026-01-31T08:00:00Z.', 2);
}
