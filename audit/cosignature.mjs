/**
 * Cosignatures of witnesses (c2sp.org/tlog-cosignature, type 0x04): who cosigns says that at this time it had seen no
 * other history of the log than the one of this checkpoint.
 *
 * @module
 */
import { cosignedMessage, keyId, linesBy, signatureLine, TYPE_COSIGNATURE, verifyNote, vkey } from './note.mjs';
import { publicKeyOf, signEd25519 } from './signing.mjs';

/** @typedef {import('node:crypto').KeyObject} KeyObject */

/**
 * The verifier key of a witness.
 * @param {string} name
 * @param {Uint8Array | KeyObject} publicKey raw bytes or a key object (a private one gives its public half)
 * @returns {string}
 */
export function witnessVkey(name, publicKey) {
  return vkey(name, publicKey, TYPE_COSIGNATURE);
}

/**
 * @param {string} checkpointText what the log signed: without the empty line and the signatures
 * @param {{name: string, privateKey: KeyObject}} witness an Ed25519 key that signs nothing else, and its name
 * @param {number} time POSIX seconds
 * @returns {string} the signature line, to be put behind those of the note
 */
export function cosign(checkpointText, { name, privateKey }, time) {
  if (!checkpointText.endsWith('\n')) throw new Error('The text of a checkpoint ends with a newline.');
  if (!Number.isSafeInteger(time) || time < 0) throw new Error('The time of a cosignature is in whole seconds.');
  const signature = new Uint8Array(8 + 64);
  new DataView(signature.buffer).setBigUint64(0, BigInt(time));
  signature.set(signEd25519(privateKey, cosignedMessage(checkpointText, time)), 8);
  return signatureLine(name, keyId(name, TYPE_COSIGNATURE, publicKeyOf(privateKey)), signature);
}

/**
 * One witness's line among these, with the time that it states.
 * @param {string} checkpointText
 * @param {string} lines signature lines, such as a witness answers with; those of other keys are ignored
 * @param {string} witness its verifier key
 * @returns {{line: string, time: number}}
 * @throws {Error} when there is none, or it does not hold
 */
export function verifyCosignature(checkpointText, lines, witness) {
  const note = `${checkpointText}\n${lines}`;
  const { verified } = verifyNote(note, [witness]);
  const time = verified[0]?.time;
  if (time === undefined) throw new Error('The key is not the key of a witness.');
  return { line: linesBy(note, verified), time };
}
