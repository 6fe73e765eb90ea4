/**
 * The request of the witness protocol (c2sp.org/tlog-witness): a log asks a witness to cosign its newest checkpoint.
 *
 * @module
 */
import { toBase64 } from './bytes.mjs';
import { HASH_SIZE } from './hash.mjs';
import { strictBase64 } from './note.mjs';

/** Type of the answer that tells the size which the witness has. */
export const SIZE_TYPE = 'text/x.tlog.size';
/** No tree of 64-bit sizes needs more. */
const MOST_HASHES = 63;

/**
 * @typedef {object} AddCheckpoint
 * @property {number} old size of the checkpoint that the witness cosigned last; 0 for none
 * @property {Buffer[]} proof of consistency from there to the checkpoint
 * @property {string} note the checkpoint
 */

/**
 * @param {{old: number, proof: readonly Uint8Array[], note: string}} request
 * @returns {string} the body of the request
 */
export function formatAddCheckpoint({ old, proof, note }) {
  return [`old ${old}`, ...proof.map(toBase64), '', note].join('\n');
}

/**
 * @param {string} body
 * @returns {AddCheckpoint}
 * @throws {Error} when it is none
 */
export function parseAddCheckpoint(body) {
  const end = body.indexOf('\n\n');
  const [oldLine = '', ...encoded] = body.slice(0, Math.max(end, 0)).split('\n');
  const [, digits] = /^old (0|[1-9][0-9]*)$/.exec(oldLine) ?? [];
  const old = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(old)) throw new Error('The request has no line with the old size.');
  if (encoded.length > MOST_HASHES) throw new Error(`A consistency proof has at most ${MOST_HASHES} hashes.`);
  const proof = encoded.map((line) => {
    const hash = strictBase64(line);
    if (hash?.length !== HASH_SIZE) throw new Error('A line of the proof is not the base64 form of 32 bytes.');
    return hash;
  });
  return { old, proof, note: body.slice(end + 2) };
}

/**
 * @param {string} body of an answer of the type {@link SIZE_TYPE}
 * @returns {number | null} null when it is no size
 */
export function parseSize(body) {
  const size = Number(/^(0|[1-9][0-9]*)\n$/.exec(body)?.[1]);
  return Number.isSafeInteger(size) ? size : null;
}
