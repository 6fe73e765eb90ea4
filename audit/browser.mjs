/**
 * The verifier for browsers: a log that was dropped on a page, or that lies behind an address. `node build-browser.mjs`
 * makes one file of this module and everything below it.
 *
 * @module
 */
import { FileSource, HttpLog } from './source.mjs';
import { verifySource } from './verification.mjs';

export { verifyConsistency, verifyInclusion } from './merkle.mjs';
export { parseProof, verifyProof } from './proof.mjs';
export { renderReport } from './report.mjs';

/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('./verification.mjs').VerifyOptions} VerifyOptions */

/** What files are to a page; a Blob is one. @typedef {{arrayBuffer(): Promise<ArrayBuffer>}} PageFile */

/** A log as files by their paths under the log's directory, such as `tile/entries/000.p/17`. */
class PageLog extends FileSource {
  /** @param {ReadonlyMap<string, PageFile>} files */
  constructor(files) {
    super();
    this.files = files;
  }

  /**
   * @override
   * @param {string} path
   * @returns {Promise<Uint8Array | null>}
   */
  async read(path) {
    const file = this.files.get(path);
    return file === undefined ? null : new Uint8Array(await file.arrayBuffer());
  }

  /**
   * @override
   * @param {string} path
   * @returns {Promise<number[]>}
   */
  widths(path) {
    const names = this.#below(`${path}.p/`).filter((name) => /^[1-9][0-9]{0,2}$/.test(name));
    return Promise.resolve(names.map(Number));
  }

  /** @returns {Promise<number>} */
  highestBundle() {
    const numbers = this.#below('tile/entries/').map((path) => {
      const [, digits] = /^((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/[0-9]+)?$/.exec(path) ?? [];
      return digits === undefined ? -1 : Number(digits.replace(/[x/]/g, ''));
    });
    return Promise.resolve(Math.max(-1, ...numbers));
  }

  /** @returns {Promise<boolean>} */
  hasDetails() {
    return Promise.resolve(this.#below('detail/').length > 0);
  }

  /**
   * @param {string} start
   * @returns {string[]} what follows it in the paths that begin so
   */
  #below(start) {
    return [...this.files.keys()].filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  }
}

/**
 * Verifies a log of files.
 * @param {ReadonlyMap<string, PageFile>} files by path; whatever folder holds `checkpoint` is taken for the log's directory
 * @param {VerifyOptions} [options]
 * @returns {Promise<Report>}
 */
export function verifyFiles(files, options = {}) {
  const checkpoints = [...files.keys()].filter((path) => path === 'checkpoint' || path.endsWith('/checkpoint'));
  const [shortest = 'checkpoint'] = checkpoints.sort((left, right) => left.length - right.length);
  const root = shortest.slice(0, -'checkpoint'.length);
  const own = [...files].filter(([path]) => path.startsWith(root));
  return verifySource(new PageLog(new Map(own.map(([path, file]) => [path.slice(root.length), file]))), options);
}

/**
 * Verifies a log behind an address.
 * @param {string} url of the log, without the name of a file
 * @param {VerifyOptions & {headers?: Readonly<Record<string, string>>}} [options] with headers for each request
 * @returns {Promise<Report>}
 */
export function verifyUrl(url, { headers = {}, ...options } = {}) {
  return verifySource(new HttpLog(url, headers), options);
}
