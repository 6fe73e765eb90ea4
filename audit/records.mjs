/**
 * What the records of a log say, checked one after the other: form, membership of the log, numbers and times.
 *
 * @module
 */
import { canonicalize } from './canonical.mjs';
import { SUITE, validateRecord } from './entry.mjs';
import { WriterNumbers } from './writers.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */
/** @typedef {import('./report.mjs').Findings} Findings */

/** Clocks of several writers differ, and an operation may take a while: only more than this is worth a warning. */
const CLOCK_TOLERANCE_MILLISECONDS = 300_000;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class RecordChecks {
  /**
   * @param {Findings} findings
   * @param {string} origin of the checkpoint
   */
  constructor(findings, origin) {
    this.findings = findings;
    this.origin = origin;
    this.numbers = new WriterNumbers();
    /** Entries whose record is missing or not the one that was logged. */
    this.unreadable = 0;
    /** @type {string | null} */
    this.log = null;
    /** @type {number | null} */
    this.incarnation = null;
    this.latest = -Infinity;
  }

  /**
   * @param {number} index
   * @param {Uint8Array} bytes the record's bytes
   * @returns {void}
   */
  take(index, bytes) {
    const { record, problem } = readRecord(bytes);
    if (record === null) {
      this.unreadable += 1;
      this.findings.fault({ index, class: 'record', expected: null, found: null, message: problem });
      if (index === 0) this.#start(index, 'a valid START record', 'none', 'The log does not begin with START.');
      return;
    }
    this.#membership(index, record);
    const time = Date.parse(record.time);
    const { writer, number } = record;
    if (!this.numbers.take({ writer, number, index, time })) {
      const message = `Writer ${writer} used number ${number} before.`;
      this.findings.fault({ index, class: 'writer-duplicate', expected: null, found: `${number}`, message });
    }
    if (time < this.latest - CLOCK_TOLERANCE_MILLISECONDS) {
      const message = `The time ${record.time} lies more than 5 minutes before that of an earlier entry.`;
      this.findings.warn({ index, class: 'time', message });
    }
    this.latest = Math.max(this.latest, time);
  }

  /** After the last entry: numbers that never came. */
  finish() {
    const gaps = this.numbers.openGaps();
    const missing = gaps.reduce((sum, gap) => sum + gap.to - gap.from + 1, 0);
    // Where entries are unreadable, their numbers are missing too: that is one fault, and it is reported already.
    const explained = missing <= this.unreadable;
    for (const { writer, from, to, index, settled } of gaps) {
      const numbers = from === to ? `number ${from}` : `numbers ${from} to ${to}`;
      if (settled && !explained) {
        const message = `Writer ${writer} left out ${numbers}.`;
        this.findings.fault({ index, class: 'writer-gap', expected: `${from}`, found: `${to + 1}`, message });
      } else {
        const reason = explained
          ? 'as many entries cannot be read'
          : 'the log or the writer ends within a minute of it';
        this.findings.warn({ index, class: 'gap', message: `Writer ${writer} lacks ${numbers}; ${reason}.` });
      }
    }
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record
   * @returns {void}
   */
  #membership(index, record) {
    this.log ??= record.log;
    if (record.log !== this.log) {
      const message = 'The record belongs to another log.';
      this.findings.fault({ index, class: 'record', expected: this.log, found: record.log, message });
    }
    const starts = record.kind === 'START';
    if (index === 0 && !starts) this.#start(index, 'START', record.kind, 'The log does not begin with START.');
    if (starts && record.suite !== SUITE) {
      this.#start(index, SUITE, `${record.suite}`, 'The log uses a suite that this verifier does not know.');
    }
    if (starts && record.origin !== this.origin) {
      this.#start(index, this.origin, `${record.origin}`, 'START names another origin than the checkpoint.');
    }
    const raised = starts && this.incarnation !== null && record.incarnation > this.incarnation;
    if (raised) this.incarnation = record.incarnation;
    this.incarnation ??= record.incarnation;
    if (record.incarnation !== this.incarnation) {
      const message = 'The incarnation changed without a START record.';
      this.#start(index, `${this.incarnation}`, `${record.incarnation}`, message);
    }
  }

  /**
   * @param {number} index
   * @param {string} expected
   * @param {string} found
   * @param {string} message
   * @returns {void}
   */
  #start(index, expected, found, message) {
    this.findings.fault({ index, class: 'start', expected, found, message });
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {{record: LedgerRecord, problem: ''} | {record: null, problem: string}}
 */
export function readRecord(bytes) {
  /** @type {unknown} */
  let value;
  let text = '';
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return { record: null, problem: 'The record is not JSON in UTF-8.' };
  }
  const [problem] = validateRecord(value);
  if (problem !== undefined) return { record: null, problem };
  const record = /** @type {LedgerRecord} */ (value);
  if (!isCanonical(record, text)) return { record: null, problem: 'The record is not canonical JSON.' };
  return { record, problem: '' };
}

/**
 * @param {LedgerRecord} record
 * @param {string} text
 * @returns {boolean}
 */
function isCanonical(record, text) {
  try {
    return canonicalize(record) === text;
  } catch {
    return false;
  }
}
