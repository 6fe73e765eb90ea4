/**
 * Threads that inspect slices of a log.
 *
 * @module
 */
import { Worker } from 'node:worker_threads';
import { toHex } from './bytes.mjs';

/** @typedef {import('./inspection.mjs').Inspected} Inspected */
/** @typedef {import('./inspection.mjs').InspectionOptions} InspectionOptions */
/** @typedef {import('./slices.mjs').Slice} Slice */
/** @typedef {import('./slices.mjs').SliceInspector} SliceInspector */
/** @typedef {import('./source.mjs').SourceDescription} SourceDescription */

/**
 * What a thread is started with.
 * @typedef {object} WorkerData
 * @property {SourceDescription} source
 * @property {number} size of the log
 * @property {boolean} records
 * @property {boolean} details
 * @property {[string, string][]} keys of writers, hexadecimal
 */

/** @typedef {{inspected: (Inspected | null)[]} | {error: unknown}} SliceResult */
/** @typedef {{resolve: (inspected: (Inspected | null)[]) => void, reject: (error: unknown) => void}} Task */

/** @implements {SliceInspector} */
export class InspectorThread {
  /**
   * @param {SourceDescription} source
   * @param {number} size of the log
   * @param {InspectionOptions} options
   */
  constructor(source, size, { records, details, keys }) {
    /** In the order in which their results will come. @type {Task[]} */
    this.tasks = [];
    const hexKeys = [...keys].map(([writer, { key }]) => [writer, toHex(key)]);
    const workerData = { source, size, records, details, keys: hexKeys };
    this.worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData, env: {} });
    this.worker.on('message', (/** @type {SliceResult} */ result) => {
      const task = this.tasks.shift();
      if ('error' in result) task?.reject(result.error);
      else task?.resolve(result.inspected);
    });
    this.worker.on('error', (error) => this.#fail(error));
    this.worker.on('exit', () => this.#fail(new Error('A thread of the verifier has ended.')));
  }

  /**
   * @param {Slice} slice
   * @returns {Promise<(Inspected | null)[]>}
   */
  inspect(slice) {
    return new Promise((resolve, reject) => {
      this.tasks.push({ resolve, reject });
      this.worker.postMessage(slice, []);
    });
  }

  /** @returns {Promise<unknown>} */
  close() {
    return this.worker.terminate();
  }

  /**
   * @param {unknown} error
   * @returns {void}
   */
  #fail(error) {
    for (const task of this.tasks.splice(0)) task.reject(error);
  }
}
