/**
 * Reads a log that lies in a plain directory of files (c2sp.org/tlog-tiles). Nothing read here is trusted yet.
 *
 * @module
 */
import { isUtf8 } from 'node:buffer';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splitBundle } from './entry.mjs';
import { HASH_SIZE } from './merkle.mjs';
import { entriesPath, TILE_WIDTH, tilePath } from './tiles.mjs';

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

export class LogDirectory {
  /** @param {string} directory */
  constructor(directory) {
    this.directory = directory;
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>} null when there is no such file, or when it is not UTF-8
   */
  async text(name) {
    const bytes = await this.#read(name);
    if (bytes === null || !isUtf8(bytes)) return null;
    return bytes.toString('utf8');
  }

  /**
   * @param {number} level
   * @param {number} index
   * @param {number} width how many hashes the log has there
   * @returns {Promise<Buffer[] | null>} the whole hashes of the file that fits best, at most width; null without a file
   */
  async tile(level, index, width) {
    const file = await this.#best(tilePath(level, index), width);
    if (file === null) return null;
    const count = Math.min(Math.floor(file.bytes.length / HASH_SIZE), width);
    return Array.from({ length: count }, (_, at) => file.bytes.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
  }

  /**
   * @param {number} index
   * @param {number} width how many entries the log has there
   * @returns {Promise<{entries: Buffer[], surplus: boolean} | null>} at most width entries; surplus tells that the file
   *   holds more bytes than it should
   */
  async bundle(index, width) {
    const file = await this.#best(entriesPath(index), width);
    if (file === null) return null;
    const { entries, rest } = splitBundle(file.bytes);
    const surplus = entries.length > file.width || (rest > 0 && entries.length >= file.width);
    return { entries: entries.slice(0, width), surplus };
  }

  /** @returns {Promise<number>} the highest number of a bundle that is there; -1 without any */
  highestBundle() {
    return this.#highest('tile/entries', 0);
  }

  /**
   * @param {string} path
   * @param {number} prefix
   * @returns {Promise<number>}
   */
  async #highest(path, prefix) {
    let highest = -1;
    for (const name of await this.#list(path)) {
      const [, folder, digits] = /^(x?)([0-9]{3})(?:\.p)?$/.exec(name) ?? [];
      if (digits === undefined) continue;
      const number = prefix * 1000 + Number(digits);
      highest = Math.max(highest, folder === 'x' ? await this.#highest(`${path}/${name}`, number) : number);
    }
    return highest;
  }

  /**
   * The partial file of exactly this width, else the full one, else the widest partial one there is.
   * @param {string} path of the full file
   * @param {number} width
   * @returns {Promise<{bytes: Buffer, width: number} | null>} with the width that the file's name promises
   */
  async #best(path, width) {
    if (width < TILE_WIDTH) {
      const exact = await this.#read(`${path}.p/${width}`);
      if (exact !== null) return { bytes: exact, width };
    }
    const full = await this.#read(path);
    if (full !== null) return { bytes: full, width: TILE_WIDTH };
    const widths = (await this.#list(`${path}.p`)).filter((name) => /^[1-9][0-9]{0,2}$/.test(name)).map(Number);
    const widest = Math.max(0, ...widths);
    const partial = widest === 0 ? null : await this.#read(`${path}.p/${widest}`);
    return partial === null ? null : { bytes: partial, width: widest };
  }

  /**
   * @param {string} path
   * @returns {Promise<Buffer | null>}
   */
  #read(path) {
    return readFile(join(this.directory, path)).catch(absent(null));
  }

  /**
   * @param {string} path
   * @returns {Promise<string[]>}
   */
  #list(path) {
    return readdir(join(this.directory, path)).catch(absent(/** @type {string[]} */ ([])));
  }
}

/**
 * @template Value
 * @param {Value} value
 * @returns {(error: NodeJS.ErrnoException) => Value} gives the value for a file that is not there, else throws on
 */
function absent(value) {
  return (error) => {
    if (error.code !== undefined && ABSENT.has(error.code)) return value;
    throw error;
  };
}
