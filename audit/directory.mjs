/**
 * A log that lies in a plain directory of files (c2sp.org/tlog-tiles).
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileSource } from './source.mjs';

/** @typedef {import('./source.mjs').SourceDescription} SourceDescription */

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

export class LogDirectory extends FileSource {
  /**
   * @param {string} directory
   * @param {{blocking?: boolean}} [options] blocking: for a program that has nothing else to do while it reads, which
   *   halves the cost of reading
   */
  constructor(directory, { blocking = false } = {}) {
    super();
    this.directory = directory;
    this.blocking = blocking;
  }

  /** @returns {SourceDescription} */
  description() {
    return { directory: this.directory };
  }

  /**
   * @override
   * @param {string} path
   * @returns {Promise<Uint8Array | null>}
   */
  async read(path) {
    const file = join(this.directory, path);
    try {
      const bytes = this.blocking ? readFileSync(file) : await readFile(file);
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    } catch (error) {
      return absent(null)(/** @type {NodeJS.ErrnoException} */ (error));
    }
  }

  /**
   * @override
   * @param {string} path
   * @returns {Promise<number[]>}
   */
  async widths(path) {
    const names = await this.#list(`${path}.p`);
    return names.filter((name) => /^[1-9][0-9]{0,2}$/.test(name)).map(Number);
  }

  /** @returns {Promise<number>} */
  highestBundle() {
    return this.#highest('tile/entries', 0);
  }

  /** @returns {Promise<boolean>} */
  async hasDetails() {
    return (await this.#list('detail')).length > 0;
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
