/**
 * The lives of a log: its START records, and what a declared restore between two of them means for checkpoints that were
 * signed before.
 *
 * @module
 */
import { SUITE } from './entry.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */
/** @typedef {import('./report.mjs').Findings} Findings */

/**
 * @typedef {object} Start
 * @property {number} index
 * @property {number} incarnation
 * @property {string} origin
 * @property {{origin: string, size: number, root: string} | null} replaces
 */

/** @typedef {{log: string | null, incarnation: number | null, starts: Start[]}} StartsState */

export class Starts {
  /**
   * @param {Findings} findings
   * @param {StartsState} [state] of an earlier verification
   */
  constructor(findings, { log, incarnation, starts } = { log: null, incarnation: null, starts: [] }) {
    this.findings = findings;
    this.log = log;
    this.incarnation = incarnation;
    this.starts = [...starts];
  }

  /** @returns {StartsState} */
  state() {
    return { log: this.log, incarnation: this.incarnation, starts: this.starts };
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record
   * @returns {void}
   */
  take(index, record) {
    this.log ??= record.log;
    if (record.log !== this.log) {
      const message = 'The record belongs to another log.';
      this.findings.fault({ index, class: 'record', expected: this.log, found: record.log, message });
    }
    if (record.kind === 'START') this.#start(index, record);
    else if (index === 0) this.fault(index, 'START', record.kind, 'The log does not begin with START.');
    this.incarnation ??= record.incarnation;
    if (record.incarnation !== this.incarnation) {
      const message = 'The incarnation changed without a START record.';
      this.fault(index, `${this.incarnation}`, `${record.incarnation}`, message);
    }
  }

  /**
   * After the last entry.
   * @param {string} origin of the checkpoint
   * @returns {void}
   */
  finish(origin) {
    const last = this.starts.at(-1);
    if (last === undefined || last.origin === origin) return;
    this.fault(last.index, origin, last.origin, 'The last START names another origin than the checkpoint.');
  }

  /**
   * The declared restore by which a checkpoint no longer covers what the log has now.
   * @param {{origin: string, size: number}} checkpoint
   * @returns {Start | undefined} the START that came in the place of entries below the checkpoint's size
   */
  restoreAfter({ origin, size }) {
    const next = this.starts.find((start) => start.replaces?.origin === origin);
    return next !== undefined && next.index < size ? next : undefined;
  }

  /**
   * @param {string} origin
   * @returns {boolean} whether it may have been an origin of this log: true also where no START could be read
   */
  knows(origin) {
    return this.starts.length === 0 || this.starts.some((start) => start.origin === origin);
  }

  /**
   * @param {number} index
   * @param {string} expected
   * @param {string} found
   * @param {string} message
   * @returns {void}
   */
  fault(index, expected, found, message) {
    this.findings.fault({ index, class: 'start', expected, found, message });
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record a START
   * @returns {void}
   */
  #start(index, record) {
    const { incarnation } = record;
    const origin = `${record.origin}`;
    if (record.suite !== SUITE) {
      this.fault(index, SUITE, `${record.suite}`, 'The log uses a suite that this verifier does not know.');
    }
    const before = this.starts.at(-1);
    const replaces = record.replaces ?? null;
    this.starts.push({ index, incarnation, origin, replaces });
    if (this.incarnation === null) {
      // A log that was made after a restore begins in a later incarnation and replaces nothing.
      if (index > 0 || replaces !== null) this.#restored(index, incarnation, origin, replaces, before);
      return;
    }
    if (incarnation <= this.incarnation) {
      this.fault(index, `more than ${this.incarnation}`, `${incarnation}`, 'START does not raise the incarnation.');
      return;
    }
    this.incarnation = incarnation;
    this.#restored(index, incarnation, origin, replaces, before);
  }

  /**
   * @param {number} index
   * @param {number} incarnation
   * @param {string} origin
   * @param {Start['replaces']} replaces
   * @param {Start | undefined} before the START before; undefined where it was pruned
   * @returns {void}
   */
  #restored(index, incarnation, origin, replaces, before) {
    if (before !== undefined) {
      const expected = `${baseOf(before)}/${incarnation}`;
      if (origin !== expected)
        this.fault(index, expected, origin, 'START names another origin than its incarnation has.');
    }
    if (replaces === null) {
      this.fault(index, 'replaces', 'none', 'START does not name the checkpoint that it replaces.');
      return;
    }
    if (before !== undefined && replaces.origin !== before.origin) {
      this.fault(index, before.origin, replaces.origin, 'START replaces a checkpoint of another origin.');
    }
    const message = `The log goes on after a declared restore, in incarnation ${incarnation}; ${lossOf(index, replaces.size)}.`;
    this.findings.warn({ index, class: 'restored', message });
  }
}

/**
 * @param {number} index of the START
 * @param {number} size that was signed before
 * @returns {string}
 */
export function lossOf(index, size) {
  if (size <= index) return 'nothing that was signed before was lost';
  return size === index + 1
    ? `entry ${index} was lost in a declared restore`
    : `entries ${index} to ${size - 1} were lost in a declared restore`;
}

/**
 * The origin of a log without the number of the incarnation, which the first has not.
 * @param {Start} start
 * @returns {string}
 */
function baseOf({ origin, incarnation }) {
  const suffix = `/${incarnation}`;
  return incarnation > 1 && origin.endsWith(suffix) ? origin.slice(0, -suffix.length) : origin;
}
