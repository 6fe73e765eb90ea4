import type { Clock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { bareDraft } from '../ledger/record.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { Database } from '../persistence/database.js';
import { databaseFault } from '../persistence/sqlstate.js';
import type { Policies } from '../policy/policies.js';
import { contentOf, digestOf, SYSTEM, textOf, verifyHistory, type Release, type Unsigned } from '../policy/release.js';
import { activationRow, releaseRow } from '../policy/release.store.js';
import { Unit } from './unit.js';

/**
 * Stores the policies that came with the software as a release in force, in one statement with its record. A crash before
 * it leaves nothing, and the next start does it again. Of two processes that start at once, the other one's row stays.
 */
export async function storeShipped(
  policies: Policies,
  database: Database,
  ledger: LedgerWriter,
  clock: Clock,
): Promise<void> {
  const { releases, current } = policies;
  if (releases === null) return;
  const { key, store, shipped } = releases;
  const history = await store.history();
  const last = verifyHistory(history, key).activations.at(-1) ?? null;
  const files = Object.fromEntries(shipped.texts);
  const { hash } = current;
  const version = Number(current.version);
  const now = clock.now();
  const note = 'shipped with the software';
  const content = contentOf(files);
  const unsigned: Unsigned<Release> = { hash, version, files, note, content, author: SYSTEM, proposedAt: now };
  const activation = {
    sequence: (history.at(-1)?.sequence ?? 0) + 1,
    cause: 'install' as const,
    ...{ hash, version, author: SYSTEM.id, approver: null, actor: SYSTEM, activatedAt: now },
    replaces: last?.hash ?? null,
    previous: last === null ? null : digestOf(last),
  };
  const unit = new Unit();
  unit.insert('policy_release', releaseRow({ ...unsigned, signature: key.sign(textOf.release(unsigned)) }));
  unit.insert(
    'policy_activation',
    activationRow({ ...activation, signature: key.sign(textOf.activation(activation)) }),
  );
  const record = ledger.prepare({
    ...bareDraft('system', 'policy.install', 'POLICY', newId()),
    policy: hash,
    detail: { key: `policy:${version}`, sha256: hash },
  });
  try {
    await database.query(
      null,
      unit.statement((bind, from) => ledger.insertion(record, bind, from)),
    );
  } catch (error) {
    ledger.void(record);
    if (databaseFault(error).kind !== 'unique') throw error;
  }
  await policies.refresh();
}
