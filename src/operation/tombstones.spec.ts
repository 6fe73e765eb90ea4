import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Failure } from '../kernel/failure.js';
import { newId, newReference } from '../kernel/identifier.js';
import { ERASURE_RECEIPT, signErasureNote } from '../ledger/erasure-note.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { TombstoneStore } from '../persistence/tombstone-store.js';
import { Tombstones, type Tombstone } from './tombstones.js';

let directory: string;
const living = new Set<string>();
const erasures = {
  living: (_: string, references: readonly string[]) =>
    Promise.resolve(new Set(references.filter((one) => living.has(one)))),
};
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tombstones-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function tombstones(incarnation = 1, keys = 'keys') {
  const signers = { keys: fileLedgerKeys(path.join(directory, keys), 'test.example', incarnation), incarnation };
  return new Tombstones(signers, new TombstoneStore(path.join(directory, 'store')), erasures);
}
const tombstone = (): Tombstone => ({
  ...{ erasure: newId(), tenant: 'T-CN', subject: newReference(), erasedAt: '2026-11-22T00:00:00.000Z' },
  blobs: [newReference()],
});

describe('tombstones', () => {
  it('are what was buried, also in a later life of the ledger, and refuse the start while one of them lives', async () => {
    const buried = [tombstone(), tombstone()];
    for (const one of buried) await tombstones().bury(one);
    const byId = (list: readonly Tombstone[]) => [...list].sort((one, other) => (one.erasure < other.erasure ? -1 : 1));
    for (const incarnation of [1, 2, 3]) expect(byId(await tombstones(incarnation).all())).toEqual(byId(buried));
    await tombstones().refuseResurrected();
    living.add(buried[1]?.subject ?? '');
    expect(await tombstones().resurrected(buried)).toEqual([buried[1]]);
    await expect(tombstones().refuseResurrected()).rejects.toThrow('npm run restore:replay');
    living.clear();
  });

  it('count under the own signature alone, in their own place, as what they are', async () => {
    const mine = tombstone();
    const note = await tombstones().bury(mine);
    const place = path.join(directory, 'store', 'T-CN', `${mine.erasure}.note`);
    const { keys } = tombstones().signers;
    const forged = [
      note.replace(mine.subject, newReference()),
      signErasureNote(
        fileLedgerKeys(path.join(directory, 'others'), 'test.example'),
        'T-CN',
        'custodia erasure tombstone v1',
        mine,
      ),
      signErasureNote(keys, 'T-US', 'custodia erasure tombstone v1', mine),
      signErasureNote(keys, 'T-CN', ERASURE_RECEIPT, mine),
      signErasureNote(keys, 'T-CN', 'custodia erasure tombstone v1', { ...mine, erasure: newId() }),
      '',
    ];
    for (const text of forged) {
      writeFileSync(place, text);
      await expect(tombstones().all()).rejects.toThrow(Failure);
    }
    writeFileSync(place, note);
    expect(readFileSync(place, 'utf8')).toContain(mine.subject);
    expect(await tombstones().all()).toContainEqual(mine);
  });
});
