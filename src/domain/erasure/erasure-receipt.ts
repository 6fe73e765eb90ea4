import { Failure, notFound } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { defineOperation } from '../../operation/operation.js';
import type { ErasedKey, ErasureExclusion } from '../../operation/subject-erasure.js';
import { personOf } from './person.js';

/** What was erased, and the note that proves it. */
export interface ErasureReceiptView {
  readonly id: string;
  readonly ledgerReference: string;
  /** RFC 3339, UTC. */
  readonly erasedAt: string;
  readonly legalBasis: string;
  readonly replayOf: string | null;
  readonly stores: readonly { readonly store: string; readonly count: number }[];
  readonly columns: readonly string[];
  readonly keys: readonly ErasedKey[];
  readonly exclusions: readonly ErasureExclusion[];
  /** The signed note (c2sp.org/signed-note) that says all this. */
  readonly note: string;
  /** What verifies the note: `<origin>+<key id>+<key>`. */
  readonly verifierKey: string;
}

const SHOWN = Object.freeze({ note: 'CLEAR' } as const);

/**
 * The receipt of an erasure. What a crash left undone is done first: a receipt tells of what has happened. It goes on with
 * what the second factor of the erasure allowed.
 */
export const erasureReceipt = defineOperation<{ readonly id: string }, ErasureReceiptView>({
  name: 'erasureReceipt',
  kind: 'READ',
  action: 'erase',
  type: 'Patient',
  mode: 'read',
  continues: true,
  handler: async (scope, { id }) => {
    const { actor, services, document } = scope;
    const row = isId(id) ? await services.erasures.store.find(actor.tenant, id) : null;
    if (row === null) throw notFound();
    await personOf(scope, row.patientId);
    const finished = await services.erasures.finish(actor.tenant, id);
    const note = finished?.receipt ?? null;
    const opened = note === null ? null : services.erasures.opened(actor.tenant, note);
    if (note === null || opened === null) {
      throw new Failure('INTEGRITY_FAILED', 'The receipt was changed in the database.', 'Tell the security team.');
    }
    const { receipt, verifierKey } = opened;
    document.note({ type: 'ErasureReceipt', rows: 1, fields: SHOWN, subjects: [row.subject] });
    const { subject, erasedAt, legalBasis, replayOf, columns, keys, exclusions, stores, blobs, details } = receipt;
    const counts = { ...stores, blob: blobs, ledger_detail: details };
    return {
      ...{
        id,
        ledgerReference: subject,
        erasedAt,
        legalBasis,
        replayOf,
        columns,
        keys,
        exclusions,
        note,
        verifierKey,
      },
      stores: Object.entries(counts).map(([store, count]) => ({ store, count })),
    };
  },
});
