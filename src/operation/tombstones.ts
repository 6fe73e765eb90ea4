import { Failure } from '../kernel/failure.js';
import { ERASURE_TOMBSTONE, openErasureNote, signErasureNote } from '../ledger/erasure-note.js';
import type { LedgerKeys } from '../ledger/keys.js';
import type { TombstoneStore } from '../persistence/tombstone-store.js';
import type { ErasureStore } from './erasure.store.js';

/** What a tombstone says: enough to erase again. No name, and no id of the person's. */
export interface Tombstone {
  readonly erasure: string;
  readonly tenant: string;
  /** The person's name in the ledger. */
  readonly subject: string;
  /** RFC 3339, UTC. */
  readonly erasedAt: string;
  /** Names of the blobs that were deleted: a backup may bring them back. */
  readonly blobs: readonly string[];
}

/** With what tombstones are signed and verified. */
export interface TombstoneSigners {
  readonly keys: Pick<LedgerKeys, 'signer'>;
  /** The life of the ledger that `keys` sign for. */
  readonly incarnation: number;
}

/** Who was erased, as it stands outside the database, compared with who is in it. */
export class Tombstones {
  constructor(
    readonly signers: TombstoneSigners,
    private readonly files: TombstoneStore,
    private readonly erasures: Pick<ErasureStore, 'living'>,
  ) {}

  /** Durable when it resolves, with the note that is stored: where there was one before, that one. */
  bury(tombstone: Tombstone): Promise<string> {
    const { tenant, erasure: id } = tombstone;
    return this.files.write({
      tenant,
      id,
      note: signErasureNote(this.signers.keys, tenant, ERASURE_TOMBSTONE, tombstone),
    });
  }

  /** Every tombstone. INTEGRITY_FAILED for a file that this installation did not sign: somebody else wants somebody erased. */
  async all(): Promise<Tombstone[]> {
    const { keys, incarnation } = this.signers;
    return (await this.files.all()).map(({ tenant, id, note }) => {
      const content = openErasureNote(keys, { log: tenant, kind: ERASURE_TOMBSTONE, note }, incarnation);
      const tombstone = content as Tombstone | null;
      if (tombstone !== null && tombstone.erasure === id && tombstone.tenant === tenant) return tombstone;
      throw new Failure(
        'INTEGRITY_FAILED',
        `The tombstone ${id} of ${tenant} was not signed by this installation.`,
        'Restore it from its copy, or take it away.',
      );
    });
  }

  /** Of these the ones who are in the database all the same: a backup brought them back. */
  async resurrected(tombstones: readonly Tombstone[]): Promise<Tombstone[]> {
    const back: Tombstone[] = [];
    for (const [tenant, list] of Map.groupBy(tombstones, (one) => one.tenant)) {
      const references = list.map(({ subject }) => subject);
      const living = await this.erasures.living(tenant, references);
      back.push(...list.filter(({ subject }) => living.has(subject)));
    }
    return back;
  }

  /** Refuses to serve while somebody who was erased is back. */
  async refuseResurrected(): Promise<void> {
    const { length } = await this.resurrected(await this.all());
    if (length === 0) return;
    throw new Failure(
      'INTEGRITY_FAILED',
      `${length} of those who were erased are in the database again, as after a restore: "npm run restore:replay" is owed.`,
      'Run it, then start again.',
    );
  }
}
