/**
 * Where a verifier reads a log from. Nothing that comes from a source is trusted.
 *
 * @module
 */
import { splitDetails } from './details.mjs';
import { splitBundle } from './entry.mjs';
import { HASH_SIZE } from './hash.mjs';
import { detailPath, entriesPath, macPath, TILE_WIDTH, tilePath } from './tiles.mjs';

/**
 * A log as the files of FORMAT.md section 4. `width` is how many hashes or entries the log has there by its checkpoint;
 * a source gives at most so many, and fewer where the rest is missing.
 * @typedef {object} LogSource
 * @property {(name: string) => Promise<string | null>} text a file of the root (`checkpoint`, `log.vkey`, `writer.keys`,
 *   `minimum`); null when there is no such file, or when it is not UTF-8
 * @property {(level: number, index: number, width: number) => Promise<Uint8Array[] | null>} tile hashes of 32 bytes
 * @property {(index: number, width: number) => Promise<Bundle | null>} bundle
 * @property {() => Promise<number>} highestBundle the highest number of a bundle that is there; -1 without any
 * @property {(index: number, width: number) => Promise<Uint8Array[] | null>} macs of the records of a bundle, 32 bytes
 *   each, all zero where there is none
 * @property {(index: number, width: number) => Promise<(Uint8Array | null)[] | null>} details of the records of a bundle
 * @property {() => Promise<boolean>} hasDetails whether the source gives details at all
 * @property {() => SourceDescription} [description] what a worker thread needs to open the same source; without it a log
 *   is verified in one thread
 */

/** @typedef {{directory: string} | {url: string, headers: Readonly<Record<string, string>>}} SourceDescription */

/**
 * @typedef {object} Bundle
 * @property {Uint8Array[]} entries an entry of length 0 could not be found
 * @property {boolean} surplus whether there are more bytes than the entries need
 */

/** A source whose files are read by their paths. */
export class FileSource {
  /**
   * @param {string} path
   * @returns {Promise<Uint8Array | null>} null when there is no such file
   */
  read(path) {
    throw new Error(`There is nothing to read ${path} from.`);
  }

  /**
   * @param {string} path of a full file
   * @returns {Promise<number[]>} widths of partial files that are there, where the source can list them
   */
  widths(path) {
    void path;
    return Promise.resolve([]);
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  async text(name) {
    const bytes = await this.read(name);
    try {
      return bytes === null ? null : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return null;
    }
  }

  /**
   * @param {number} level
   * @param {number} index
   * @param {number} width
   * @returns {Promise<Uint8Array[] | null>}
   */
  tile(level, index, width) {
    return this.#hashes(tilePath(level, index), width);
  }

  /**
   * @param {number} index
   * @param {number} width
   * @returns {Promise<Uint8Array[] | null>}
   */
  macs(index, width) {
    return this.#hashes(macPath(index), width);
  }

  /**
   * @param {number} index
   * @param {number} width
   * @returns {Promise<Bundle | null>}
   */
  async bundle(index, width) {
    const file = await this.#best(entriesPath(index), width);
    if (file === null) return null;
    const { entries, rest } = splitBundle(file.bytes);
    const surplus = entries.length > file.width || (rest > 0 && entries.length >= file.width);
    return { entries: entries.length > width ? entries.slice(0, width) : entries, surplus };
  }

  /**
   * @param {number} index
   * @param {number} width
   * @returns {Promise<(Uint8Array | null)[] | null>}
   */
  async details(index, width) {
    const file = await this.#best(detailPath(index), width);
    return file === null ? null : splitDetails(file.bytes, width);
  }

  /**
   * @param {string} path of the full file
   * @param {number} width
   * @returns {Promise<Uint8Array[] | null>}
   */
  async #hashes(path, width) {
    const file = await this.#best(path, width);
    if (file === null) return null;
    const { bytes } = file;
    const count = Math.min(Math.floor(bytes.length / HASH_SIZE), width);
    return Array.from({ length: count }, (_, at) => bytes.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
  }

  /**
   * The partial file of exactly this width, else the full one, else the widest partial one there is.
   * @param {string} path of the full file
   * @param {number} width
   * @returns {Promise<{bytes: Uint8Array, width: number} | null>} with the width that the file's name promises
   */
  async #best(path, width) {
    if (width < TILE_WIDTH) {
      const exact = await this.read(`${path}.p/${width}`);
      if (exact !== null) return { bytes: exact, width };
    }
    const full = await this.read(path);
    if (full !== null) return { bytes: full, width: TILE_WIDTH };
    const widest = Math.max(0, ...(await this.widths(path)));
    const partial = widest === 0 ? null : await this.read(`${path}.p/${widest}`);
    return partial === null ? null : { bytes: partial, width: widest };
  }
}

const MOST_BYTES = 64 * 1024 * 1024;
const ATTEMPTS = 5;
const TIMEOUT_MILLISECONDS = 30_000;
const FIRST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 30_000;

/** A log over HTTP (c2sp.org/tlog-tiles), such as `https://…/ledger/T-CN`. */
export class HttpLog extends FileSource {
  /**
   * @param {string} url of the log, without the name of a file
   * @param {Readonly<Record<string, string>>} [headers] sent with each request: `authorization`, `x-purpose-of-use`
   * @param {{attempts?: number}} [options] how often a file is asked for in all (5)
   */
  constructor(url, headers = {}, { attempts = ATTEMPTS } = {}) {
    super();
    this.url = url.replace(/\/+$/, '');
    this.headers = headers;
    this.attempts = attempts;
  }

  /** @returns {SourceDescription} */
  description() {
    return { url: this.url, headers: this.headers };
  }

  /**
   * A busy server (429, 5xx) or a broken connection is asked again, after a pause that grows.
   * @override
   * @param {string} path
   * @returns {Promise<Uint8Array | null>}
   * @throws {Error} when the server refuses or cannot be reached
   */
  async read(path) {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#ask(path);
      if (!('again' in answer)) return answer.bytes;
      if (attempt >= this.attempts) throw new Error(`${this.url}/${path}: ${answer.again}`);
      const pause = Math.max(answer.pause, FIRST_PAUSE_MILLISECONDS * 2 ** (attempt - 1));
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, LONGEST_PAUSE_MILLISECONDS)));
    }
  }

  /**
   * Without a list of the files this supposes that bundles are missing at the end only.
   * @returns {Promise<number>}
   */
  async highestBundle() {
    const size = await this.#size();
    let [present, absent] = [-1, Math.ceil(size / TILE_WIDTH)];
    while (absent - present > 1) {
      const middle = Math.floor((present + absent) / 2);
      const found = await this.bundle(middle, Math.min(TILE_WIDTH, size - middle * TILE_WIDTH));
      if (found === null) absent = middle;
      else present = middle;
    }
    return present;
  }

  /** @returns {Promise<boolean>} */
  async hasDetails() {
    const size = await this.#size();
    const last = Math.ceil(size / TILE_WIDTH) - 1;
    return last >= 0 && (await this.details(last, size - last * TILE_WIDTH)) !== null;
  }

  /** @returns {Promise<number>} that the checkpoint states, whoever signed it; 0 where it states none */
  async #size() {
    const size = Number((await this.text('checkpoint'))?.split('\n')[1]);
    return Number.isSafeInteger(size) && size > 0 ? size : 0;
  }

  /**
   * @param {string} path
   * @returns {Promise<{bytes: Uint8Array | null} | {again: string, pause: number}>}
   */
  async #ask(path) {
    /** @type {Response} */
    let response;
    try {
      // A redirection would hand the token to whoever it leads to.
      const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
      response = await fetch(`${this.url}/${path}`, { headers: this.headers, redirect: 'error', signal });
      if (response.ok) return { bytes: await bodyOf(response) };
    } catch (error) {
      if (error instanceof TooLarge) throw error;
      return { again: error instanceof Error ? reasonOf(error) : 'The request failed.', pause: 0 };
    }
    await response.body?.cancel();
    const { status } = response;
    if (status === 404 || status === 410) return { bytes: null };
    if (status !== 429 && status < 500) throw new Error(`${this.url}/${path}: The server answers ${status}.`);
    const seconds = Number(response.headers.get('retry-after') ?? 0);
    return { again: `The server answers ${status}.`, pause: Number.isFinite(seconds) ? seconds * 1000 : 0 };
  }
}

class TooLarge extends Error {}

/**
 * @param {Response} response
 * @returns {Promise<Uint8Array>}
 */
async function bodyOf(response) {
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (response.body ?? [])) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new TooLarge(`${response.url}: The answer has more than ${MOST_BYTES} bytes.`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * @param {Error} error
 * @returns {string} with the cause, which is where fetch hides what happened
 */
function reasonOf(error) {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
