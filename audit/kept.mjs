/**
 * The checkpoints that an auditor kept: the log must have passed through each of them.
 *
 * @module
 */
import { toHex } from './bytes.mjs';
import { MissingTile } from './roots.mjs';
import { lossOf } from './starts.mjs';

/** @typedef {import('./note.mjs').Checkpoint} Checkpoint */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./roots.mjs').TiledTree} TiledTree */
/** @typedef {import('./starts.mjs').Starts} Starts */
/** @typedef {import('./walk.mjs').Walk} Walk */

/** @typedef {Checkpoint & {witnessed: number | null}} KeptCheckpoint with the time of its latest cosignature */

export class KeptCheckpoints {
  /**
   * @param {readonly KeptCheckpoint[]} kept
   * @param {Checkpoint} checkpoint of the log as it is
   * @param {Findings} findings
   */
  constructor(kept, checkpoint, findings) {
    this.rest = [...kept].sort((a, b) => a.size - b.size);
    this.checkpoint = checkpoint;
    this.findings = findings;
  }

  /**
   * @param {number} from
   * @param {number} end
   * @returns {boolean} whether one of them has a size between these, so that the walk has to stop there
   */
  within(from, end) {
    return this.rest.some(({ size }) => from < size && size < end);
  }

  /**
   * Those below the place from which an incremental verification goes on.
   * @param {Walk} walk at that place
   * @param {TiledTree} tree whose tiles agree with what was verified before
   * @returns {Promise<void>}
   */
  async compareBefore(walk, tree) {
    for (let next = this.rest[0]; next !== undefined && next.size < walk.size; next = this.rest[0]) {
      this.rest.shift();
      const found = await tree.rootAt(next.size).then(toHex, (error) => {
        if (error instanceof MissingTile) return null;
        throw error;
      });
      if (found !== toHex(next.root) && !this.#restored(next, walk.records.starts)) this.#replaced(next, found);
    }
  }

  /**
   * Call whenever the walk has grown.
   * @param {Walk} walk
   * @returns {void}
   */
  compare(walk) {
    for (let next = this.rest[0]; next !== undefined && next.size <= walk.size; next = this.rest[0]) {
      this.rest.shift();
      if (next.size === walk.size) this.#compare(next, walk);
    }
  }

  /**
   * Those that cover more than the log has.
   * @param {Starts} starts
   * @returns {void}
   */
  finish(starts) {
    const { size } = this.checkpoint;
    const open = this.rest.filter((kept) => kept.size > size && !this.#restored(kept, starts));
    const last = open.at(-1);
    if (last === undefined) return;
    const message = `The log was rolled back: a kept checkpoint covers ${last.size} entries.`;
    this.findings.fault({ index: size, class: 'consistency', expected: `${last.size}`, found: `${size}`, message });
  }

  /**
   * @param {KeptCheckpoint} kept of the size that the walk has now
   * @param {Walk} walk
   * @returns {void}
   */
  #compare(kept, walk) {
    const { starts } = walk.records;
    if (this.#restored(kept, starts)) return;
    if ((kept.origin === this.checkpoint.origin || starts.knows(kept.origin)) && walk.hasRoot(kept.root) !== false) {
      walk.records.witnessed(kept.witnessed);
      return;
    }
    this.#replaced(kept, toHex(walk.stored.tree().root()));
  }

  /**
   * @param {KeptCheckpoint} kept
   * @param {string | null} found
   * @returns {void}
   */
  #replaced(kept, found) {
    const message = `The log is not the one of the kept checkpoint of size ${kept.size}: its history was replaced.`;
    this.findings.fault({ index: null, class: 'consistency', expected: toHex(kept.root), found, message });
  }

  /**
   * @param {KeptCheckpoint} kept
   * @param {Starts} starts
   * @returns {boolean} whether a declared restore gave up a part of what it covers; that is a warning then
   */
  #restored(kept, starts) {
    const start = starts.restoreAfter(kept);
    const { replaces = null } = start ?? {};
    if (start === undefined || replaces === null || kept.size > replaces.size) return false;
    if (kept.size === replaces.size && toHex(kept.root) !== replaces.root) return false;
    const message = `A kept checkpoint covers ${kept.size} entries; ${lossOf(start.index, kept.size)}.`;
    this.findings.warn({ index: start.index, class: 'restored', message });
    return true;
  }
}
