/**
 * What a verification came to, so that the next one goes on from there. The auditor keeps it; the log has no part in it.
 *
 * @module
 */
import { fromHex, toHex } from './bytes.mjs';
import { HASH_SIZE } from './hash.mjs';
import { CompactRange } from './merkle.mjs';
import { MissingTile, TiledTree } from './roots.mjs';
import { TileWriter } from './tiles.mjs';

/** @typedef {import('./note.mjs').Checkpoint} Checkpoint */
/** @typedef {import('./records.mjs').RecordChecks} RecordChecks */
/** @typedef {import('./records.mjs').RecordsState} RecordsState */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./source.mjs').LogSource} LogSource */
/** @typedef {import('./walk.mjs').Walk} Walk */

const VERSION = 1;

/**
 * Where the state is kept: a text that nobody but the auditor writes.
 * @typedef {object} StateStore
 * @property {() => Promise<string | null>} read null: there is none yet
 * @property {(text: string) => Promise<void>} write only after a verification without a fault
 */

/**
 * @typedef {object} State
 * @property {number} version
 * @property {string} origin
 * @property {number} size
 * @property {string} root hexadecimal
 * @property {string[]} range roots of the complete subtrees from the largest to the smallest, hexadecimal
 * @property {string} leaf the last one, hexadecimal
 * @property {RecordsState} records
 */

/** @typedef {{ok: true, start: {tree: TileWriter, leaf: Uint8Array}, records: RecordsState}} Earlier */

/**
 * @param {StateStore} store
 * @param {LogSource} source
 * @param {Checkpoint} checkpoint of the log as it is now
 * @param {Findings} findings
 * @returns {Promise<Earlier | {ok: false} | null>} null: there is nothing to go on from; not ok: the log does not extend
 *   the state, which is among the findings
 * @throws {Error} for a state that cannot be read
 */
export async function restore(store, source, checkpoint, findings) {
  const text = await store.read();
  if (text === null) return null;
  const state = parse(text);
  const { size, origin } = state;
  const broken = (/** @type {number | null} */ index, /** @type {string} */ found, /** @type {string} */ message) => {
    findings.fault({ index, class: 'consistency', expected: state.root, found, message });
    return /** @type {const} */ ({ ok: false });
  };
  if (checkpoint.size < size) {
    const message = `The log was rolled back: ${size} entries were verified before.`;
    return broken(checkpoint.size, `${checkpoint.size} entries`, message);
  }
  const tree = new TiledTree(source, checkpoint.size);
  const known = new CompactRange(size, state.range.map(hashOf));
  if (toHex(known.root()) !== state.root) throw new Error('The state contradicts itself.');
  try {
    const [edge, now] = [await tree.edgeAt(size), await tree.rangeAt(size)];
    if (now.hashes.some((hash, at) => toHex(hash) !== state.range[at])) {
      const message = `The log is not the one that was verified up to ${size} entries: its history was replaced.`;
      return broken(null, toHex(now.root()), message);
    }
    const declared = checkpoint.origin === origin || checkpoint.size > size;
    if (!declared) return broken(null, checkpoint.origin, `The log that was verified has the origin ${origin}.`);
    return { ok: true, start: { tree: TileWriter.from(size, edge), leaf: hashOf(state.leaf) }, records: state.records };
  } catch (error) {
    if (!(error instanceof MissingTile)) throw error;
    return broken(null, 'none', `The log does not have the tiles of the ${size} entries that were verified before.`);
  }
}

/**
 * @param {StateStore} store
 * @param {Checkpoint} checkpoint
 * @param {Walk} walk
 * @param {RecordChecks} records
 * @returns {Promise<void>}
 */
export async function save(store, { origin, size, root }, walk, records) {
  /** @type {State} */
  const state = {
    version: VERSION,
    origin,
    size,
    root: toHex(root),
    range: walk.stored.tree().hashes.map(toHex),
    leaf: toHex(walk.previous.stored ?? new Uint8Array(HASH_SIZE)),
    records: records.state(),
  };
  await store.write(`${JSON.stringify(state)}\n`);
}

/**
 * @param {string} text
 * @returns {State}
 */
function parse(text) {
  try {
    const state = /** @type {State} */ (JSON.parse(text));
    const { version, size, range, leaf, root, records } = state;
    const hashes = [...range, leaf, root].every((hash) => /^[0-9a-f]{64}$/.test(hash));
    if (
      version === VERSION &&
      Number.isSafeInteger(size) &&
      size >= 0 &&
      hashes &&
      records.writers &&
      records.commitments
    )
      return state;
  } catch {
    // Falls through to the one message.
  }
  throw new Error('The state is not one of this verifier. Delete it to begin again.');
}

/**
 * @param {string} hex
 * @returns {Buffer}
 */
function hashOf(hex) {
  return /** @type {Buffer} */ (fromHex(hex));
}
