/**
 * Policies (c2sp.org/tlog-policy): the logs that somebody relies on, the witnesses known to them, and which of these
 * must have cosigned a checkpoint.
 *
 * @module
 */
import { toBase64 } from './bytes.mjs';
import { parseCheckpoint, parseVkey, splitNote, TYPE_COSIGNATURE, TYPE_ED25519, verifyNote } from './note.mjs';

/** @typedef {import('./note.mjs').VerifierKey} VerifierKey */

/**
 * @typedef {object} PolicyLog
 * @property {string} vkey
 * @property {VerifierKey} key its name is the log's origin
 * @property {string | null} url
 */

/**
 * @typedef {object} PolicyWitness
 * @property {string} name in the policy
 * @property {string} vkey
 * @property {VerifierKey} key
 * @property {string | null} url prefix for the requests of a log (c2sp.org/tlog-witness)
 */

/**
 * @typedef {object} PolicyGroup
 * @property {string} name
 * @property {number} threshold how many of the members are enough
 * @property {string[]} members names of witnesses and of groups above this one
 */

/**
 * @typedef {object} Policy
 * @property {PolicyLog[]} logs empty: any log whose key is known otherwise
 * @property {PolicyWitness[]} witnesses
 * @property {PolicyGroup[]} groups
 * @property {string} quorum the name of a witness or group, or `none`
 */

/**
 * @typedef {object} PolicyVerdict
 * @property {boolean} ok
 * @property {string[]} missing names of the witnesses that belong to the quorum and have not cosigned; empty when ok
 * @property {string | null} problem one sentence: what is not as the policy demands
 * @property {{name: string, keyName: string, keyId: string, time: number}[]} verified witnesses whose cosignatures hold,
 *   with the time in POSIX seconds
 * @property {number | null} latestTime of these; null without any
 */

const NONE = 'none';
const MOST_LINES = 10_000;

/**
 * @param {string} text
 * @returns {Policy}
 * @throws {Error} with the number of the line that is wrong
 */
export function parsePolicy(text) {
  const reading = new Reading();
  const lines = text.split('\n');
  if (lines.length > MOST_LINES) throw new Error(`The policy has more than ${MOST_LINES} lines.`);
  lines.forEach((line, at) => {
    try {
      reading.line(line);
    } catch (error) {
      throw new Error(`Line ${at + 1} of the policy: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  });
  const { logs, witnesses, groups, quorum } = reading;
  if (quorum === null) throw new Error('The policy has no quorum line; write "quorum none" to demand no witness.');
  return { logs, witnesses, groups, quorum };
}

/** What the lines so far say. A line names only what stands above it, so no group can hold itself. */
class Reading {
  constructor() {
    /** @type {PolicyLog[]} */
    this.logs = [];
    /** @type {PolicyWitness[]} */
    this.witnesses = [];
    /** @type {PolicyGroup[]} */
    this.groups = [];
    /** @type {string | null} */
    this.quorum = null;
    this.names = new Set([NONE]);
    /** Names that are a member of some group. @type {Set<string>} */
    this.members = new Set();
  }

  /**
   * @param {string} line
   * @returns {void}
   */
  line(line) {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw new Error('There is a control character.');
    const [word, ...rest] = line.split(/[ \t]+/).filter((item) => item !== '');
    if (word === undefined || word.startsWith('#')) return;
    if (word === 'log') this.#log(rest);
    else if (word === 'witness') this.#witness(rest);
    else if (word === 'group') this.#group(rest);
    else if (word === 'quorum') this.#quorum(rest);
    else throw new Error(`"${word}" is not log, witness, group or quorum.`);
  }

  /**
   * @param {string[]} items
   * @returns {void}
   */
  #log([vkey, url, ...surplus]) {
    if (vkey === undefined || surplus.length > 0) throw new Error('Write "log <vkey> [<url>]".');
    const key = keyOf(vkey, TYPE_ED25519, 'a log');
    if (this.logs.some((other) => sameKey(other.key, key))) throw new Error('The key of this log is listed twice.');
    this.logs.push({ vkey, key, url: url ?? null });
  }

  /**
   * @param {string[]} items
   * @returns {void}
   */
  #witness([name, vkey, url, ...surplus]) {
    if (name === undefined || vkey === undefined || surplus.length > 0) {
      throw new Error('Write "witness <name> <vkey> [<url>]".');
    }
    const key = keyOf(vkey, TYPE_COSIGNATURE, 'a witness');
    if (this.witnesses.some((other) => sameKey(other.key, key))) {
      throw new Error('The key of this witness is listed twice.');
    }
    this.#define(name);
    this.witnesses.push({ name, vkey, key, url: url ?? null });
  }

  /**
   * @param {string[]} items
   * @returns {void}
   */
  #group([name, count, ...members]) {
    if (name === undefined || count === undefined || members.length === 0) {
      throw new Error('Write "group <name> <k|any|all> <names…>".');
    }
    const threshold = thresholdOf(count, members.length);
    for (const member of members) {
      this.#requireDefined(member);
      if (this.members.has(member)) throw new Error(`"${member}" is a member of a group already.`);
      this.members.add(member);
    }
    this.#define(name);
    this.groups.push({ name, threshold, members });
  }

  /**
   * @param {string[]} items
   * @returns {void}
   */
  #quorum([name, ...surplus]) {
    if (name === undefined || surplus.length > 0) throw new Error('Write "quorum <name>" or "quorum none".');
    if (this.quorum !== null) throw new Error('There is a quorum line already.');
    if (name !== NONE) this.#requireDefined(name);
    this.quorum = name;
  }

  /**
   * @param {string} name
   * @returns {void}
   */
  #define(name) {
    if (this.names.has(name)) throw new Error(`The name "${name}" is taken.`);
    this.names.add(name);
  }

  /**
   * @param {string} name
   * @returns {void}
   */
  #requireDefined(name) {
    if (name === NONE || !this.names.has(name)) throw new Error(`No line above defines "${name}".`);
  }
}

/**
 * @param {string} vkey
 * @param {number} type
 * @param {string} whose
 * @returns {VerifierKey}
 */
function keyOf(vkey, type, whose) {
  const key = parseVkey(vkey);
  if (key.type !== type) throw new Error(`The key is not the key of ${whose}: its type is not 0x0${type}.`);
  return key;
}

/**
 * @param {VerifierKey} a
 * @param {VerifierKey} b
 * @returns {boolean} whether the two wrap one public key, under whatever names
 */
function sameKey(a, b) {
  return toBase64(a.publicKey) === toBase64(b.publicKey);
}

/**
 * @param {string} count
 * @param {number} members
 * @returns {number}
 */
function thresholdOf(count, members) {
  if (count === 'any') return 1;
  if (count === 'all') return members;
  const threshold = /^[1-9][0-9]{0,5}$/.test(count) ? Number(count) : NaN;
  if (!(threshold <= members)) throw new Error(`A group of ${members} is any, all, or a number from 1 to ${members}.`);
  return threshold;
}

/**
 * Whether a checkpoint is as the policy demands: signed by a listed log whose name is its origin, and cosigned by the
 * quorum. With a policy that lists no log the caller verifies the log's own signature.
 * @param {Policy} policy
 * @param {string} note the whole checkpoint, with its signatures
 * @returns {PolicyVerdict}
 * @throws {Error} when the note is malformed, or a signature by a key of the policy does not hold
 */
export function satisfies(policy, note) {
  const { origin } = parseCheckpoint(splitNote(note).text);
  const vkeys = [...policy.logs, ...policy.witnesses].map(({ vkey }) => vkey);
  const holding = signatures(note, vkeys);
  const signed = (/** @type {VerifierKey} */ key) =>
    holding.find(({ name, keyId }) => name === key.name && keyId === key.keyId);
  const verified = policy.witnesses.flatMap(({ name, key }) => {
    const { time } = signed(key) ?? {};
    return time === undefined ? [] : [{ name, keyName: key.name, keyId: key.keyId, time }];
  });
  const latestTime = verified.length === 0 ? null : Math.max(...verified.map(({ time }) => time));
  const byLog = policy.logs.length === 0 || policy.logs.some(({ key }) => key.name === origin && signed(key));
  const quorum = new Quorum(policy, new Set(verified.map(({ name }) => name)));
  const enough = quorum.has(policy.quorum);
  const missing = enough ? [] : quorum.missing(policy.quorum);
  let problem = null;
  if (!byLog) problem = 'The checkpoint is not signed by a log of the policy.';
  else if (!enough) problem = `The checkpoint lacks cosignatures: ${quorum.lack(policy.quorum)}.`;
  return { ok: byLog && enough, missing, problem, verified, latestTime };
}

/**
 * @param {string} note
 * @param {readonly string[]} vkeys
 * @returns {import('./note.mjs').SignatureName[]} none where no known key has signed
 */
function signatures(note, vkeys) {
  const known = vkeys.map(parseVkey);
  const present = splitNote(note).signatures.some(({ name, keyId }) =>
    known.some((key) => key.name === name && key.keyId === keyId),
  );
  return present ? verifyNote(note, vkeys).verified : [];
}

class Quorum {
  /**
   * @param {Policy} policy
   * @param {ReadonlySet<string>} cosigned names of witnesses
   */
  constructor({ groups }, cosigned) {
    this.groups = new Map(groups.map((group) => [group.name, group]));
    this.cosigned = cosigned;
  }

  /**
   * @param {string} name
   * @returns {boolean}
   */
  has(name) {
    const group = this.groups.get(name);
    if (group === undefined) return name === NONE || this.cosigned.has(name);
    return group.members.filter((member) => this.has(member)).length >= group.threshold;
  }

  /**
   * @param {string} name
   * @returns {string[]} the witnesses below that have not cosigned
   */
  missing(name) {
    const group = this.groups.get(name);
    if (group !== undefined) return group.members.flatMap((member) => this.missing(member));
    return this.has(name) ? [] : [name];
  }

  /**
   * @param {string} name of a group or witness that has not enough
   * @returns {string}
   */
  lack(name) {
    const group = this.groups.get(name);
    if (group === undefined) return `${name} has not cosigned`;
    const open = group.members.filter((member) => !this.has(member));
    const count = group.members.length - open.length;
    return `${name} has ${count} of ${group.threshold} (${open.map((member) => this.lack(member)).join('; ')})`;
  }
}
