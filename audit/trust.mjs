/**
 * Checkpoints against the keys and the quorum that an auditor relies on.
 *
 * @module
 */
import { parseCheckpoint, parseVkey, splitNote, TYPE_ED25519, verifyNote } from './note.mjs';
import { satisfies } from './policy.mjs';

/** @typedef {import('./kept.mjs').KeptCheckpoint} KeptCheckpoint */
/** @typedef {import('./policy.mjs').Policy} Policy */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./source.mjs').LogSource} LogSource */

/** @typedef {{vkeys: readonly string[], name: string | null}} Trust with the name in the first key */

/**
 * @param {string} text verifier keys, one a line
 * @returns {string[]}
 */
export function keysIn(text) {
  return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

/**
 * The keys that were given, with those of the policy; where no key of a log is among them, the log's own.
 * @param {LogSource} source
 * @param {readonly string[] | undefined} given
 * @param {Policy | null} policy
 * @param {Findings} findings
 * @returns {Promise<Trust>}
 */
export async function keysOf(source, given, policy, findings) {
  const listed = [...(policy?.logs ?? []), ...(policy?.witnesses ?? [])].map(({ vkey }) => vkey);
  const vkeys = [...(given ?? []), ...listed];
  if (given === undefined && (policy?.logs ?? []).length === 0) {
    const message = 'The key comes with the log itself, so its signature shows no origin: give the key with --vkey.';
    findings.warn({ index: null, class: 'key', message });
    vkeys.unshift(...keysIn((await source.text('log.vkey')) ?? ''));
  }
  return { vkeys, name: vkeys[0]?.split('+')[0] ?? null };
}

/**
 * A checkpoint whose signature fails is a fault, but its text still says where to look for more.
 * @param {string | null} note
 * @param {Trust} trust
 * @param {string} what begins the sentence about a fault
 * @param {Findings} findings
 * @returns {{checkpoint: KeptCheckpoint | null, verified: string[]}}
 */
export function openCheckpoint(note, { vkeys }, what, findings) {
  /** @type {KeptCheckpoint | null} */
  let checkpoint = null;
  try {
    if (note === null) throw new Error('It is missing or not text.');
    checkpoint = { ...parseCheckpoint(splitNote(note).text), witnessed: null };
    const { origin } = checkpoint;
    const { verified } = verifyNote(note, vkeys);
    const own = vkeys.map(parseVkey).filter((key) => key.name === origin && key.type === TYPE_ED25519);
    if (!own.some((key) => verified.some(({ name, keyId }) => name === key.name && keyId === key.keyId))) {
      throw new Error('It is not signed by the key of its origin.');
    }
    const times = verified.flatMap(({ time }) => (time === undefined ? [] : [time]));
    if (times.length > 0) checkpoint.witnessed = Math.max(...times);
    return { checkpoint, verified: verified.map(({ name, keyId }) => `${name}+${keyId}`) };
  } catch (error) {
    const message = `${what} cannot be relied on. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'signature', expected: null, found: null, message });
    return { checkpoint, verified: [] };
  }
}

/**
 * @param {Policy} policy
 * @param {string} note of a checkpoint
 * @param {Findings} findings
 * @returns {void}
 */
export function requireQuorum(policy, note, findings) {
  try {
    const { ok, missing, problem, verified } = satisfies(policy, note);
    if (ok) return;
    const found = verified.map(({ name }) => name).join(' ') || 'none';
    const values = { expected: policy.quorum, found, message: problem ?? 'The checkpoint lacks its quorum.' };
    findings.fault({ index: null, class: missing.length > 0 ? 'quorum' : 'signature', ...values });
  } catch (error) {
    const message = `The quorum cannot be told. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'quorum', expected: policy.quorum, found: null, message });
  }
}
