import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cosign, witnessVkey } from './cosignature.mjs';
import { ZERO_LEAF } from './entry.mjs';
import { inclusionProof } from './merkle.mjs';
import { parseCheckpoint, parseVkey, splitNote } from './note.mjs';
import { formatProof, parseProof, verifyProof } from './proof.mjs';
import { checkpointOf, KEYS, logOf, ORIGIN, sampleRecords, VKEY } from './sample-log.js';

const SIZE = 11;
const records = sampleRecords(SIZE);
const log = logOf(records);
const witness = { name: 'witness.example.org/w1', privateKey: KEYS.privateKey };
const witnessKey = witnessVkey(witness.name, witness.privateKey);
const text = splitNote(log.note).text;
const policy = `log ${VKEY}\nwitness w1 ${witnessKey}\nquorum w1\n`;
const cosigned = log.note + cosign(text, witness, 1_767_225_600);

/** The proof of one entry, as a log gives it out. */
function proofOf(index: number, note = log.note): string {
  const extra = log.leaves[index - 1] ?? ZERO_LEAF;
  return formatProof({ index, extra, hashes: inclusionProof(log.leaves, index, SIZE), note });
}
const trust = { vkeys: [VKEY] };

describe('proof', () => {
  it('holds for the record and the entry of its index, and for no other', () => {
    for (let index = 0; index < SIZE; index++) {
      const proven = verifyProof(proofOf(index), { record: records[index]! }, trust);
      expect(proven).toMatchObject({ origin: ORIGIN, size: SIZE, index, leaf: log.leaves[index], latestTime: null });
      expect(proven.verified).toEqual([`${ORIGIN}+${parseVkey(VKEY).keyId}`]);
      expect(verifyProof(proofOf(index), { entry: log.entries[index]! }, trust)).toEqual(proven);
      for (let other = 0; other < SIZE; other++) {
        if (other !== index) {
          expect(() => verifyProof(proofOf(index), { record: records[other]! }, trust)).toThrow('another root');
        }
      }
    }
  });

  it('needs no extra line for the first entry and those whose sibling is the entry before', () => {
    const bare = (index: number) => formatProof({ ...parseProof(proofOf(index)), extra: null });
    for (const index of [0, 1, 7]) verifyProof(bare(index), { record: records[index]! }, trust);
    expect(() => verifyProof(bare(2), { record: records[2]! }, trust)).toThrow('give the whole entry');
    verifyProof(bare(2), { entry: log.entries[2]! }, trust);
  });

  it('holds with no character changed', () => {
    const proof = proofOf(6, cosigned);
    fc.assert(
      fc.property(fc.nat(proof.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
        fc.pre(proof.charCodeAt(at) !== code);
        const changed = proof.slice(0, at) + String.fromCharCode(code) + proof.slice(at + 1);
        expect(() => verifyProof(changed, { record: records[6]! }, { policy })).toThrow(Error);
      }),
      { numRuns: 400 },
    );
  });

  it('demands the quorum of a policy, and tells the time of the witness', () => {
    const proven = verifyProof(proofOf(3, cosigned), { record: records[3]! }, { policy });
    expect(proven.latestTime).toBe(1_767_225_600);
    expect(proven.verified).toHaveLength(2);
    const content = { record: records[3]! };
    expect(() => verifyProof(proofOf(3), content, { policy })).toThrow('w1 has not cosigned');
    // A policy without a log, and none of the keys given is the log's: nobody says that this is the log.
    const witnessOnly = policy.split('\n').slice(1).join('\n');
    expect(() => verifyProof(proofOf(3, cosigned), content, { policy: witnessOnly })).toThrow('key of its origin');
    verifyProof(proofOf(3, cosigned), content, { policy: witnessOnly, vkeys: [VKEY] });
    expect(() => verifyProof(proofOf(3), content, {})).toThrow('no signature by a known key');
  });

  it('does not hold under a checkpoint of another size', () => {
    const shorter = checkpointOf(log.leaves.slice(0, 8));
    expect(parseCheckpoint(splitNote(shorter).text).size).toBe(8);
    expect(() => verifyProof(proofOf(3, shorter), { record: records[3]! }, trust)).toThrow(Error);
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 }),
        fc.option(fc.uint8Array({ maxLength: 40 })),
        (index, hashes, extra) => {
          const read = parseProof(formatProof({ index, hashes, extra, note: log.note }));
          expect(read).toEqual({
            index,
            hashes: hashes.map((hash) => Buffer.from(hash)),
            extra: extra === null ? null : Buffer.from(extra),
            note: log.note,
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  const hash = log.leaves[0]!.toString('base64');
  it.each([
    ['another header', 'c2sp.org/tlog-proof@v2\nindex 0\n\n'],
    ['no empty line', 'c2sp.org/tlog-proof@v1\nindex 0\n'],
    ['no index', `c2sp.org/tlog-proof@v1\n${hash}\n\n`],
    ['a leading zero', 'c2sp.org/tlog-proof@v1\nindex 01\n\n'],
    ['an index beyond whole numbers', 'c2sp.org/tlog-proof@v1\nindex 9007199254740993\n\n'],
    ['a short hash', `c2sp.org/tlog-proof@v1\nindex 0\n${hash.slice(0, 8)}\n\n`],
    ['another base64 form', `c2sp.org/tlog-proof@v1\nindex 0\n${hash.replace('=', '')}\n\n`],
    ['two extra lines', `c2sp.org/tlog-proof@v1\nextra AA==\nextra AA==\nindex 0\n\n`],
    ['more hashes than a tree has levels', `c2sp.org/tlog-proof@v1\nindex 0\n${`${hash}\n`.repeat(64)}\n`],
  ])('is refused with %s', (_, text) => {
    expect(() => parseProof(text)).toThrow(Error);
  });
});
