/**
 * A thread that inspects slices of a log for `workers.mjs`.
 *
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads';
import { fromHex } from './bytes.mjs';
import { LogDirectory } from './directory.mjs';
import { Inspector } from './inspection.mjs';
import { MacKey } from './mac.mjs';
import { inspectSlice } from './slices.mjs';
import { HttpLog } from './source.mjs';

/** @typedef {import('./slices.mjs').Slice} Slice */
/** @typedef {import('./workers.mjs').SliceResult} SliceResult */

const { source, size, records, details, keys } = /** @type {import('./workers.mjs').WorkerData} */ (workerData);
const log =
  'directory' in source
    ? new LogDirectory(source.directory, { blocking: true })
    : new HttpLog(source.url, source.headers);
const options = { records, details, keys: new Map(keys.map(([writer, key]) => [writer, new MacKey(fromHex(key))])) };
const inspector = new Inspector(options);

/** @type {Promise<unknown>} */
let turn = Promise.resolve();
parentPort?.on('message', (/** @type {Slice} */ slice) => {
  turn = turn.then(async () => {
    const result = await resultOf(slice);
    const inspected = 'error' in result ? [] : result.inspected.filter((bundle) => bundle !== null);
    // What is large is handed over and not copied.
    const buffers = inspected.flatMap(({ who, numbers, times }) => [who.buffer, numbers.buffer, times.buffer]);
    parentPort?.postMessage(result, /** @type {ArrayBuffer[]} */ (buffers));
  });
});

/**
 * @param {Slice} slice
 * @returns {Promise<SliceResult>}
 */
async function resultOf(slice) {
  try {
    return { inspected: await inspectSlice(log, size, options, inspector, slice) };
  } catch (error) {
    return { error };
  }
}
