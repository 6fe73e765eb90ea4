import { randomBytes } from 'node:crypto';
import { Failure } from '../../src/kernel/failure.js';
import { newId, newReference } from '../../src/kernel/identifier.js';
import { BulkOpening } from '../../src/vault/bulk-opening.js';
import { commitmentOf, SubjectKey, wrappingPlace } from '../../src/vault/subject-key.js';
import { extractKey, intoKey } from '../../src/vault/derivation.js';
import { openTask, packTask, valuesIn, type SealedRow } from '../../src/vault/opening-task.js';
import { sealBytes } from '../../src/vault/sealed-value.js';
import type { SubjectKeyRow } from '../../src/vault/vault.store.js';

/** What bulk-opening.spec.ts wants to know; prints one JSON object. */
const tenant = 'T-CN';
const wrap = intoKey(randomBytes(32));
const wraps = new Map([[1, wrap]]);

const subjects = Array.from({ length: 150 }, (_, number) => {
  const subjectId = newId();
  const raw = randomBytes(32);
  const reference = newReference();
  const place = wrappingPlace({ kind: 'subject key', tenant, subjectId, reference, keyId: 1 });
  const wrapped = sealBytes(wrap, 1, place, raw);
  const key = extractKey(raw);
  const stored: SubjectKeyRow = {
    ...{ tenantId: tenant, subjectId, keyId: 1, reference, state: 'primary', wrapKeyId: 1, wrapped, detail: null },
    commitment: commitmentOf(key, 1),
  };
  const address = { tenant, type: 'Patient', rowId: subjectId, version: 1, subjectId };
  const values = { name: `Somebody ${number}`, phone: String(number) };
  const subject = new SubjectKey(tenant, subjectId, 1, key);
  const row: SealedRow = {
    address,
    parts: [
      { group: 'identity', sealed: subject.seal(address, 'identity', { name: values.name }) },
      { group: 'contact', sealed: subject.seal(address, 'contact', { phone: values.phone }) },
    ],
  };
  return { stored, row, values };
});
const keys = subjects.map((one) => one.stored);
const rows = subjects.map((one) => one.row);
const expected = JSON.stringify(subjects.map((one) => one.values));

const opening = new BulkOpening();
const same = async (given = rows) => JSON.stringify(await opening.open(wraps, keys, given)) === expected;
const failure = async (given: typeof keys, asked: readonly SealedRow[]) => {
  try {
    await opening.open(wraps, given, asked);
    return 'none';
  } catch (error) {
    return error instanceof Failure ? error.code : String(error);
  }
};
const [first, second] = subjects as unknown as [(typeof subjects)[0], (typeof subjects)[0]];
const flipped = (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)));
const [part] = first.row.parts as [SealedRow['parts'][number]];

const answer = {
  same: await same(),
  threaded: await opening.threaded(),
  sameAgain: (await Promise.all([same(), same(), same()])).every(Boolean),
  withoutKey: (await opening.open(wraps, keys.slice(1), rows))[0],
  nothingAsked: (await opening.open(wraps, keys, [{ ...first.row, parts: [] }]))[0],
  changedValue: await failure(keys, [{ ...first.row, parts: [{ ...part, sealed: flipped(part.sealed) }] }]),
  changedKey: await failure([{ ...first.stored, commitment: second.stored.commitment }], [first.row]),
  movedValue: await failure(keys, [{ ...second.row, parts: first.row.parts }]),
  afterFailure: await same(),
  sameHere:
    JSON.stringify(
      valuesIn(
        openTask(
          packTask(
            wraps,
            subjects.map(({ row, stored }) => ({ row, keys: [stored] })),
          ),
        ),
      ),
    ) === expected,
};
console.log(JSON.stringify(answer));
