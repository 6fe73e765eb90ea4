/**
 * What a witness does with a checkpoint (c2sp.org/tlog-witness): it cosigns one only if it goes on from the one that it
 * cosigned last, and remembers it before anybody gets the cosignature.
 *
 * @module
 */
import { cosign, verifyCosignature, witnessVkey } from './cosignature.mjs';
import { EMPTY_ROOT, sameBytes, sha256, verifyConsistency } from './merkle.mjs';
import { linesBy, parseCheckpoint, parseVkey, splitNote, TYPE_ED25519, verifyNote } from './note.mjs';
import { parseAddCheckpoint, SIZE_TYPE } from './witness-request.mjs';

/** @typedef {import('node:crypto').KeyObject} KeyObject */
/** @typedef {import('./note.mjs').Checkpoint} Checkpoint */
/** @typedef {import('./witness-state.mjs').WitnessState} WitnessState */
/** @typedef {import('./witness-state.mjs').Remembered} Remembered */

/**
 * @typedef {object} Answer
 * @property {number} status of HTTP
 * @property {string} type of the body
 * @property {string} body
 */

/** What is wrong with a request, as the answer that tells it. */
class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const ATTEMPTS = 16;

export class Cosigner {
  /**
   * @param {object} options
   * @param {string} options.name of the witness
   * @param {KeyObject} options.privateKey
   * @param {readonly string[]} options.logs verifier keys of the logs that it watches; a log may have several
   * @param {WitnessState} options.state
   * @param {() => number} [options.now] POSIX seconds
   */
  constructor({ name, privateKey, logs, state, now = () => Math.floor(Date.now() / 1000) }) {
    this.signer = { name, privateKey };
    this.vkey = witnessVkey(name, privateKey);
    this.state = state;
    this.now = now;
    /** Keys by origin. @type {Map<string, string[]>} */
    this.logs = new Map();
    for (const vkey of logs) {
      const key = parseVkey(vkey);
      if (key.type !== TYPE_ED25519) throw new Error(`${vkey} is not the key of a log.`);
      this.logs.set(key.name, [...(this.logs.get(key.name) ?? []), vkey]);
    }
  }

  /**
   * @param {string} body of the request
   * @returns {Promise<Answer>} with status 200 only after the checkpoint is remembered durably
   */
  async addCheckpoint(body) {
    try {
      const request = badRequestUnless(() => parseAddCheckpoint(body));
      const text = badRequestUnless(() => splitNote(request.note).text);
      const checkpoint = badRequestUnless(() => parseCheckpoint(text));
      const lines = this.#openSigned(request.note, checkpoint.origin);
      if (request.old > checkpoint.size) throw new Refusal(400, 'The old size is larger than the checkpoint.');
      // Of requests at once, here or in another process, one takes the place; the others look again.
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const answer = await this.#attempt(request, checkpoint, text, lines);
        if (answer !== null) return answer;
      }
      throw new Refusal(503, 'Too many requests for this log at once.');
    } catch (error) {
      if (error instanceof Refusal) return plain(error.status, `${error.message}\n`);
      throw error;
    }
  }

  /**
   * @param {string} log hexadecimal hash of an origin
   * @returns {Promise<string | null>} the checkpoint that was cosigned last, with the cosignature
   */
  async checkpoint(log) {
    const known = [...this.logs.keys()].some((origin) => logId(origin) === log);
    return known ? (await this.state.newest(log)).note : null;
  }

  /**
   * @param {import('./witness-request.mjs').AddCheckpoint} request
   * @param {Checkpoint} checkpoint
   * @param {string} text
   * @param {string} lines
   * @returns {Promise<Answer | null>} null: somebody else was quicker
   */
  async #attempt(request, checkpoint, text, lines) {
    const log = logId(checkpoint.origin);
    const remembered = await this.state.newest(log);
    const last = remembered.note === null ? null : this.#lastOf(remembered.note);
    const size = last?.size ?? 0;
    if (request.old !== size) return { status: 409, type: SIZE_TYPE, body: `${size}\n` };
    if (last !== null && checkpoint.size === size && !sameBytes(last.root, checkpoint.root)) {
      await this.state.keepEvidence(log, size, `${remembered.note}\n${request.note}`);
      throw new Refusal(409, 'Another checkpoint of this size was cosigned before: the log has forked.');
    }
    requireExtension(request, checkpoint, last);
    // A clock that went back must not make an older tree the later one.
    const line = cosign(text, this.signer, Math.max(this.now(), last?.time ?? 0));
    const note = `${text}\n${lines}${line}`;
    return (await this.state.advance(log, remembered.version, note)) ? plain(200, line) : null;
  }

  /**
   * @param {string} note
   * @param {string} origin
   * @returns {string} the lines of the log's own signatures
   */
  #openSigned(note, origin) {
    const vkeys = this.logs.get(origin);
    if (vkeys === undefined) throw new Refusal(404, 'This witness does not watch that log.');
    try {
      return linesBy(note, verifyNote(note, vkeys).verified);
    } catch {
      throw new Refusal(403, 'The checkpoint is not signed by a key of the log.');
    }
  }

  /**
   * @param {string} note
   * @returns {Checkpoint & {time: number}} what it says, and when it was cosigned
   */
  #lastOf(note) {
    const { text } = splitNote(note);
    const lines = note.slice(text.length + 1);
    return { ...parseCheckpoint(text), time: verifyCosignature(text, lines, this.vkey).time };
  }
}

/**
 * @param {import('./witness-request.mjs').AddCheckpoint} request
 * @param {Checkpoint} checkpoint
 * @param {Checkpoint | null} last
 * @returns {void}
 */
function requireExtension({ proof }, checkpoint, last) {
  try {
    if (checkpoint.size === 0 && !sameBytes(checkpoint.root, EMPTY_ROOT)) {
      throw new Error('A log without entries has another root.');
    }
    if (last === null || last.size === 0) {
      if (proof.length > 0) throw new Error('From nothing there is no proof.');
      return;
    }
    verifyConsistency({ from: last.size, to: checkpoint.size, fromRoot: last.root, toRoot: checkpoint.root, proof });
  } catch (error) {
    throw new Refusal(422, error instanceof Error ? error.message : 'The proof does not hold.');
  }
}

/**
 * @template Value
 * @param {() => Value} read
 * @returns {Value}
 */
function badRequestUnless(read) {
  try {
    return read();
  } catch (error) {
    throw new Refusal(400, error instanceof Error ? error.message : 'The request is malformed.');
  }
}

/**
 * @param {string} origin
 * @returns {string} SHA-256 of the origin in hexadecimal: how a witness names a log in paths
 */
export function logId(origin) {
  return sha256(Buffer.from(origin)).toString('hex');
}

/**
 * @param {number} status
 * @param {string} body
 * @returns {Answer}
 */
function plain(status, body) {
  return { status, type: 'text/plain; charset=utf-8', body };
}
