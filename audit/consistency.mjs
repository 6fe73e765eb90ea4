/**
 * Two checkpoints of one log: is the older tree the beginning of the newer one? Asks the log for a few tiles only, and
 * reads no entry.
 *
 * @module
 */
import { verifyConsistency } from './merkle.mjs';
import { parseCheckpoint, splitNote } from './note.mjs';
import { parsePolicy } from './policy.mjs';
import { Findings } from './report.mjs';
import { MissingTile, TiledTree } from './roots.mjs';
import { keysOf, openCheckpoint, requireQuorum } from './trust.mjs';

/** @typedef {import('./kept.mjs').KeptCheckpoint} KeptCheckpoint */
/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('./source.mjs').LogSource} LogSource */

/**
 * @param {LogSource} source
 * @param {string} from the older note
 * @param {string} to the newer note
 * @param {{vkeys?: readonly string[], policy?: string}} options
 * @returns {Promise<Report>} about the newer one
 */
export async function verifyCheckpoints(source, from, to, options) {
  const findings = new Findings();
  const policy = options.policy === undefined ? null : parsePolicy(options.policy);
  const trust = await keysOf(source, options.vkeys, policy, findings);
  const older = openCheckpoint(from, trust, 'The older checkpoint', findings).checkpoint;
  const { checkpoint: newer, verified } = openCheckpoint(to, trust, 'The newer checkpoint', findings);
  if (newer !== null && policy !== null) requireQuorum(policy, to, findings);
  if (older === null || newer === null) {
    return findings.report({ origin: trust.name, size: null, root: null, verified });
  }
  const problem = await problemOf(source, older, newer);
  if (problem !== null) {
    const values = { expected: `${older.size} entries`, found: `${newer.size} entries`, message: problem.message };
    findings.fault({ index: null, class: problem.class, ...values });
  }
  return findings.report({ ...newer, verified });
}

/**
 * @param {LogSource} source
 * @param {KeptCheckpoint} older
 * @param {KeptCheckpoint} newer
 * @returns {Promise<{class: 'consistency' | 'tile', message: string} | null>}
 */
async function problemOf(source, older, newer) {
  if (older.origin !== newer.origin) {
    const message = `The checkpoints are of two logs, ${older.origin} and ${newer.origin}.`;
    return { class: 'consistency', message: `${message} A declared restore shows in a verification of the whole log.` };
  }
  if (older.size === 0) return null;
  try {
    const tree = new TiledTree(source, Math.max(newer.size, await sizeOf(source)));
    const covered = older.size <= newer.size;
    const proof = covered ? await tree.consistencyProof(older.size, newer.size) : [];
    const roots = { fromRoot: older.root, toRoot: newer.root };
    verifyConsistency({ from: older.size, to: newer.size, ...roots, proof });
    return null;
  } catch (error) {
    if (error instanceof MissingTile) return { class: 'tile', message: error.message };
    const reason = error instanceof Error ? error.message : '';
    return { class: 'consistency', message: `The newer checkpoint does not extend the older one. ${reason}`.trim() };
  }
}

/**
 * @param {LogSource} source
 * @returns {Promise<number>} that the log's own checkpoint states, whoever signed it: which partial tiles to ask for
 */
async function sizeOf(source) {
  try {
    return parseCheckpoint(splitNote((await source.text('checkpoint')) ?? '').text).size;
  } catch {
    return 0;
  }
}
