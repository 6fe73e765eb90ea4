/**
 * Signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint): how a log states its size and root.
 *
 * @module
 */
import { fromHex, toBase64, toHex } from './bytes.mjs';
import { allocate, HASH_SIZE, sha256, verifyEd25519 } from './hash.mjs';
import { publicKeyOf, signEd25519 } from './signing.mjs';

/** @typedef {import('node:crypto').KeyObject} KeyObject */

/** Ed25519 over the note's text. */
export const TYPE_ED25519 = 0x01;
/** Ed25519 cosignature of a witness over a time and a checkpoint (c2sp.org/tlog-cosignature). */
export const TYPE_COSIGNATURE = 0x04;

const MOST_SIGNATURES = 100;
const NAME = /^[^\s+\u0085]+$/u;
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const UTF8 = new TextEncoder();

/**
 * @typedef {object} VerifierKey
 * @property {string} name
 * @property {string} keyId 8 lower-case hexadecimal digits
 * @property {number} type
 * @property {Buffer} publicKey 32 raw bytes
 */

/**
 * @typedef {object} SignatureName
 * @property {string} name
 * @property {string} keyId
 * @property {number} [time] POSIX seconds at which a witness cosigned; only for a cosignature that was verified
 */

/**
 * @param {ArrayLike<number>[]} parts
 * @returns {Uint8Array}
 */
function joined(...parts) {
  const bytes = allocate(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
 * @param {string} name
 * @param {number} type
 * @param {Uint8Array} publicKey raw bytes
 * @returns {string} 8 lower-case hexadecimal digits
 */
export function keyId(name, type, publicKey) {
  return toHex(sha256(joined(UTF8.encode(`${name}\n`), [type], publicKey)).subarray(0, 4));
}

/**
 * The verifier key of an Ed25519 key: `<name>+<key id>+<base64(type ‖ public key)>`.
 * @param {string} name the log's origin, or the witness's name
 * @param {Uint8Array | KeyObject} publicKey raw bytes or a key object (a private one gives its public half)
 * @param {number} [type] {@link TYPE_ED25519} for a log, {@link TYPE_COSIGNATURE} for a witness
 * @returns {string}
 */
export function vkey(name, publicKey, type = TYPE_ED25519) {
  requireName(name);
  const raw = publicKey instanceof Uint8Array ? publicKey : publicKeyOf(publicKey);
  if (raw.length !== 32) throw new Error('An Ed25519 public key has 32 bytes.');
  return `${name}+${keyId(name, type, raw)}+${toBase64(joined([type], raw))}`;
}

/**
 * @param {string} name
 * @returns {void}
 */
function requireName(name) {
  if (!NAME.test(name)) throw new Error('A key name is not empty and has no space and no plus sign.');
}

/**
 * @param {string} text
 * @returns {VerifierKey}
 * @throws {Error} when the text is not the verifier key of a known signature type
 */
export function parseVkey(text) {
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined || !NAME.test(name)) {
    throw new Error('The verifier key does not have the form name+id+key.');
  }
  const bytes = strictBase64(encoded);
  const type = bytes?.[0];
  if (bytes === null || bytes.length !== 33 || (type !== TYPE_ED25519 && type !== TYPE_COSIGNATURE)) {
    throw new Error('The verifier key is not an Ed25519 key.');
  }
  const publicKey = bytes.subarray(1);
  if (keyId(name, type, publicKey) !== id) throw new Error('The id of the verifier key does not belong to its key.');
  return { name, keyId: id, type, publicKey };
}

/**
 * Signs a text as a note with one signature line.
 * @param {string} text ends with a newline
 * @param {{name: string, privateKey: KeyObject}} signer an Ed25519 key and its name
 * @returns {string}
 */
export function signNote(text, { name, privateKey }) {
  requireNoteText(text);
  if (!text.endsWith('\n')) throw new Error('The text of a note ends with a newline.');
  const id = keyId(name, TYPE_ED25519, publicKeyOf(privateKey));
  return `${text}\n${signatureLine(name, id, signEd25519(privateKey, UTF8.encode(text)))}`;
}

/**
 * @param {string} name
 * @param {string} id the key id in hexadecimal
 * @param {Uint8Array} signature
 * @returns {string} with its newline
 */
export function signatureLine(name, id, signature) {
  requireName(name);
  return `\u2014 ${name} ${toBase64(joined(fromHex(id), signature))}\n`;
}

/**
 * Splits a note without verifying it: for messages about a note that does not verify.
 * @param {string} note
 * @returns {{text: string, signatures: {name: string, keyId: string, signature: Buffer}[]}}
 * @throws {Error} when the note is malformed
 */
export function splitNote(note) {
  requireNoteText(note);
  const end = note.lastIndexOf('\n\n');
  const lines = note.slice(end + 2).split('\n');
  if (end < 0 || lines.length < 2 || lines.pop() !== '') throw new Error('The note has no signature lines.');
  if (lines.length > MOST_SIGNATURES) throw new Error(`The note has more than ${MOST_SIGNATURES} signatures.`);
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line) ?? [];
    const bytes = encoded === undefined ? null : strictBase64(encoded);
    if (name === undefined || !NAME.test(name) || bytes === null || bytes.length < 5) {
      throw new Error('The note has a malformed signature line.');
    }
    return { name, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

/**
 * The signature lines by these keys, in their order and each once: what remains of a note when the rest is left out.
 * @param {string} note
 * @param {readonly SignatureName[]} keys
 * @returns {string}
 */
export function linesBy(note, keys) {
  const { signatures } = splitNote(note);
  return keys
    .flatMap(({ name, keyId: id }) => signatures.find((one) => one.name === name && one.keyId === id) ?? [])
    .map(({ name, keyId: id, signature }) => signatureLine(name, id, signature))
    .join('');
}

/**
 * Verifies a note: at least one signature is by a key given, and every signature by a key given holds. Signatures by
 * other keys are ignored.
 * @param {string} note
 * @param {readonly string[]} vkeys
 * @returns {{text: string, verified: SignatureName[], unknown: SignatureName[]}}
 * @throws {Error} when the note is malformed, a known key's signature fails, or no known key has signed
 */
export function verifyNote(note, vkeys) {
  const keys = vkeys.map(parseVkey);
  const { text, signatures } = splitNote(note);
  /** @type {Map<string, SignatureName>} */
  const verified = new Map();
  /** @type {Map<string, SignatureName>} */
  const unknown = new Map();
  for (const { name, keyId: id, signature } of signatures) {
    const entry = `${name} ${id}`;
    const key = keys.find((candidate) => candidate.name === name && candidate.keyId === id);
    if (key === undefined) unknown.set(entry, { name, keyId: id });
    else if (!verified.has(entry)) {
      const time = key.type === TYPE_COSIGNATURE ? cosignatureTime(signature) : undefined;
      if (!signatureHolds(key, text, signature, time)) throw new Error(`The signature of ${name} does not hold.`);
      verified.set(entry, time === undefined ? { name, keyId: id } : { name, keyId: id, time });
    }
  }
  if (verified.size === 0) throw new Error('The note has no signature by a known key.');
  return { text, verified: [...verified.values()], unknown: [...unknown.values()] };
}

/**
 * @param {VerifierKey} key
 * @param {string} text
 * @param {Buffer} signature
 * @param {number | undefined} time of a cosignature
 * @returns {boolean}
 */
function signatureHolds(key, text, signature, time) {
  if (key.type === TYPE_ED25519) return verifyEd25519(key.publicKey, UTF8.encode(text), signature);
  return time !== undefined && verifyEd25519(key.publicKey, cosignedMessage(text, time), signature.subarray(8));
}

/**
 * What a witness signs (c2sp.org/tlog-cosignature): its time and the checkpoint's text with the final newline.
 * @param {string} text
 * @param {number} time POSIX seconds
 * @returns {Uint8Array}
 */
export function cosignedMessage(text, time) {
  return UTF8.encode(`cosignature/v1\ntime ${time}\n${text}`);
}

/**
 * @param {Uint8Array} signature
 * @returns {number | undefined} undefined for a signature that is no cosignature, or of a time beyond whole numbers
 */
function cosignatureTime(signature) {
  if (signature.length !== 72) return undefined;
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0));
  return Number.isSafeInteger(time) ? time : undefined;
}

/**
 * @param {string} text
 * @returns {void}
 */
function requireNoteText(text) {
  if (LONE_SURROGATE.test(text)) throw new Error('The note is not valid Unicode.');
  if (CONTROL.test(text)) throw new Error('The note has a control character.');
}

/**
 * @param {string} text
 * @returns {Buffer | null} null unless the text is the one base64 form of its bytes
 */
export function strictBase64(text) {
  /** @type {string} */
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  if (btoa(binary) !== text) return null;
  const bytes = allocate(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/**
 * @typedef {object} Checkpoint
 * @property {string} origin name of the log, equal to the name of its key
 * @property {number} size number of entries
 * @property {Buffer} root 32 bytes
 */

/**
 * The text that a log signs: origin, size and root, a line each.
 * @param {{origin: string, size: number, root: Uint8Array}} checkpoint
 * @returns {string}
 */
export function checkpointText({ origin, size, root }) {
  if (origin === '' || origin.includes('\n')) throw new Error('An origin is one line.');
  if (!Number.isSafeInteger(size) || size < 0) throw new Error('The size of a log is a whole number.');
  if (root.length !== HASH_SIZE) throw new Error('A hash has 32 bytes.');
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/**
 * @param {string} text a verified note's text; extension lines are ignored
 * @returns {Checkpoint}
 * @throws {Error} when the text is not a checkpoint
 */
export function parseCheckpoint(text) {
  const [origin, size, encoded, ...extensions] = text.split('\n');
  if (!origin || size === undefined || encoded === undefined || extensions.pop() !== '' || extensions.includes('')) {
    throw new Error('The checkpoint does not have the lines origin, size and root.');
  }
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new Error('The size of the checkpoint is not a whole number without leading zeroes.');
  }
  const root = strictBase64(encoded);
  if (root?.length !== HASH_SIZE) throw new Error('The root of the checkpoint is not the base64 form of 32 bytes.');
  return { origin, size: Number(size), root };
}
