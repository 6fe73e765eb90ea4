/**
 * What a witness remembers: per log the checkpoint that it cosigned last. Nothing is ever overwritten, so that neither a
 * crash nor a second process on the same directory can make a witness forget.
 *
 * @module
 */
import { randomBytes } from 'node:crypto';
import * as fileSystem from 'node:fs/promises';
import { join } from 'node:path';

/** @typedef {Pick<typeof fileSystem, 'link' | 'mkdir' | 'open' | 'readdir' | 'readFile' | 'rm'>} FileSystem */

/**
 * @typedef {object} Remembered
 * @property {number} version 0: nothing was cosigned yet
 * @property {string | null} note
 */

/** How many older versions stay beside the newest. */
const KEPT = 1;

export class WitnessState {
  /**
   * @param {string} directory must exist: an empty one instead of the right one would be a witness without a memory
   * @param {FileSystem} [files]
   */
  constructor(directory, files = fileSystem) {
    this.directory = directory;
    this.files = files;
  }

  /**
   * @param {string} log hexadecimal hash of the origin
   * @returns {Promise<Remembered>}
   */
  async newest(log) {
    for (;;) {
      const version = Math.max(0, ...(await this.#versions(log)));
      if (version === 0) return { version, note: null };
      try {
        return { version, note: await this.files.readFile(join(this.directory, log, String(version)), 'utf8') };
      } catch (error) {
        // Another process has gone on and cleaned up between the two calls.
        if (codeOf(error) !== 'ENOENT') throw error;
      }
    }
  }

  /**
   * Compare and swap: remembers a note if the newest version still is the one given. Durable when it resolves with true.
   * After an error the note may or may not be remembered.
   * @param {string} log
   * @param {number} version
   * @param {string} note
   * @returns {Promise<boolean>}
   */
  async advance(log, version, note) {
    const folder = join(this.directory, log);
    await this.files.mkdir(folder, { recursive: true });
    const next = version + 1;
    if (!(await this.#create(folder, String(next), note))) return false;
    await this.#sync(folder);
    if (version === 0) await this.#sync(this.directory);
    // A number is free again after the cleaning up, but then a higher one was there before.
    const versions = await this.#versions(log);
    if (Math.max(...versions) !== next) return false;
    for (const old of versions.filter((one) => one < next - KEPT)) {
      await this.files.rm(join(folder, String(old)), { force: true }).catch(() => undefined);
    }
    return true;
  }

  /**
   * Keeps two notes that a log must not both have signed, for people to see; the first pair of a size.
   * @param {string} log
   * @param {number} size
   * @param {string} notes
   * @returns {Promise<void>}
   */
  async keepEvidence(log, size, notes) {
    const folder = join(this.directory, log);
    if (await this.#create(folder, `fork-${size}`, notes)) await this.#sync(folder);
  }

  /**
   * @param {string} log
   * @returns {Promise<number[]>}
   */
  async #versions(log) {
    try {
      const names = await this.files.readdir(join(this.directory, log));
      return names.filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).map(Number);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * @param {string} folder
   * @param {string} name
   * @param {string} content
   * @returns {Promise<boolean>} false when there is such a file already; true when it is there, whole and synced
   */
  async #create(folder, name, content) {
    const temporary = join(folder, `.${randomBytes(8).toString('hex')}`);
    const file = await this.files.open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await this.files.link(temporary, join(folder, name));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await this.files.rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  /**
   * @param {string} directory
   * @returns {Promise<void>}
   */
  async #sync(directory) {
    const handle = await this.files.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/**
 * @param {unknown} error
 * @returns {string | undefined}
 */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
