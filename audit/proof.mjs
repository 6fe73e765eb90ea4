/**
 * Proofs that one record is in a log, verified without the log (c2sp.org/tlog-proof).
 *
 * @module
 */
import { toBase64 } from './bytes.mjs';
import { encodeEntry, ZERO_LEAF } from './entry.mjs';
import { HASH_SIZE } from './hash.mjs';
import { leafHash, verifyInclusion } from './merkle.mjs';
import { parseCheckpoint, parseVkey, splitNote, strictBase64, TYPE_ED25519, verifyNote } from './note.mjs';
import { parsePolicy, satisfies } from './policy.mjs';

/** @typedef {import('./policy.mjs').Policy} Policy */

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A tree of 2^63 entries has paths of 63 hashes. */
const MOST_HASHES = 63;

/**
 * @typedef {object} Proof
 * @property {number} index
 * @property {Buffer | null} extra of our logs: the leaf hash of the entry before, with which a record becomes an entry.
 *   Nobody signs it; a wrong one leads to another root
 * @property {Buffer[]} hashes from the leaf's sibling up to the root's child
 * @property {string} note the checkpoint, as it was published
 */

/**
 * @typedef {object} Proven
 * @property {string} origin
 * @property {number} size
 * @property {number} index
 * @property {Buffer} leaf
 * @property {string[]} verified names and key ids of the keys whose signatures hold
 * @property {number | null} latestTime POSIX seconds of the latest cosignature; null without any: then nobody but the
 *   log itself says when
 */

/**
 * @param {{index: number, extra?: Uint8Array | null, hashes: readonly Uint8Array[], note: string}} proof
 * @returns {string}
 */
export function formatProof({ index, extra = null, hashes, note }) {
  const lines = [HEADER, ...(extra === null ? [] : [`extra ${toBase64(extra)}`]), `index ${index}`];
  return [...lines, ...hashes.map(toBase64), '', note].join('\n');
}

/**
 * @param {string} text
 * @returns {Proof}
 * @throws {Error} when the text is not a proof
 */
export function parseProof(text) {
  const end = text.indexOf('\n\n');
  if (!text.startsWith(`${HEADER}\n`) || end < 0) throw new Error(`The proof does not begin with ${HEADER}.`);
  const lines = text.slice(HEADER.length + 1, end).split('\n');
  const first = lines[0] ?? '';
  const extra = first.startsWith('extra ') ? bytesOf(first.slice('extra '.length), 'The extra line') : null;
  const [indexLine = '', ...encoded] = extra === null ? lines : lines.slice(1);
  const [, digits] = /^index (0|[1-9][0-9]*)$/.exec(indexLine) ?? [];
  const index = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(index)) throw new Error('The proof has no index line.');
  if (encoded.length > MOST_HASHES) throw new Error(`The proof has more than ${MOST_HASHES} hashes.`);
  const hashes = encoded.map((line) => bytesOf(line, 'A hash of the proof'));
  if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash of the proof has not 32 bytes.');
  return { index, extra, hashes, note: text.slice(end + 2) };
}

/**
 * @param {string} text
 * @param {string} what
 * @returns {Buffer}
 */
function bytesOf(text, what) {
  const bytes = strictBase64(text);
  if (bytes === null) throw new Error(`${what} is not base64.`);
  return bytes;
}

/**
 * Verifies that a record, or a whole entry, is in the log.
 * @param {string} text the proof
 * @param {{record: Uint8Array} | {entry: Uint8Array}} content the exact bytes
 * @param {{vkeys?: readonly string[], policy?: Policy | string}} trust the keys that the auditor holds, or a policy
 * @returns {Proven}
 * @throws {Error} with one sentence: the proof is malformed, not signed as demanded, or of something else
 */
export function verifyProof(text, content, { vkeys = [], policy }) {
  const proof = parseProof(text);
  const checkpoint = parseCheckpoint(splitNote(proof.note).text);
  const { verified, latestTime } = openSigned(proof.note, checkpoint.origin, vkeys, policy);
  const entry = 'entry' in content ? content.entry : encodeEntry(previousLeaf(proof), content.record);
  const { index, hashes } = proof;
  const leaf = leafHash(entry);
  verifyInclusion({ index, size: checkpoint.size, leafHash: leaf, proof: hashes, root: checkpoint.root });
  return { origin: checkpoint.origin, size: checkpoint.size, index, leaf, verified, latestTime };
}

/**
 * @param {string} note
 * @param {string} origin
 * @param {readonly string[]} vkeys
 * @param {Policy | string | undefined} policyOrText
 * @returns {{verified: string[], latestTime: number | null}}
 */
function openSigned(note, origin, vkeys, policyOrText) {
  const policy = typeof policyOrText === 'string' ? parsePolicy(policyOrText) : policyOrText;
  const all = [...vkeys, ...(policy?.logs ?? []).map(({ vkey }) => vkey)];
  const own = all.map(parseVkey).filter((key) => key.name === origin && key.type === TYPE_ED25519);
  const { verified } = verifyNote(note, [...all, ...(policy?.witnesses ?? []).map(({ vkey }) => vkey)]);
  if (!own.some((key) => verified.some(({ name, keyId }) => name === key.name && keyId === key.keyId))) {
    throw new Error('The checkpoint of the proof is not signed by the key of its origin.');
  }
  const verdict = policy === undefined ? null : satisfies(policy, note);
  if (verdict !== null && !verdict.ok)
    throw new Error(verdict.problem ?? 'The checkpoint is not as the policy demands.');
  const times = verified.flatMap(({ time }) => (time === undefined ? [] : [time]));
  const latestTime = times.length === 0 ? null : Math.max(...times);
  return { verified: verified.map(({ name, keyId }) => `${name}+${keyId}`), latestTime };
}

/**
 * @param {Proof} proof
 * @returns {Uint8Array} the leaf hash before the proof's entry
 */
function previousLeaf({ index, extra, hashes }) {
  if (index === 0) return ZERO_LEAF;
  if (extra !== null) {
    if (extra.length !== HASH_SIZE) throw new Error('The extra line is not the leaf hash of the entry before.');
    return extra;
  }
  // An odd entry's sibling is the entry before it.
  const sibling = index % 2 === 1 ? hashes[0] : undefined;
  if (sibling === undefined)
    throw new Error('The proof lacks the leaf hash of the entry before: give the whole entry.');
  return sibling;
}
