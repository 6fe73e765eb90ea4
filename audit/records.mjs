/**
 * What the records of a log say, checked one after the other: form, membership of the log, numbers, times, registration
 * of writers, MACs and sealed details.
 *
 * @module
 */
import { DetailChecks } from './details.mjs';
import { NOTABLE } from './inspection.mjs';
import { MacChecks } from './mac.mjs';
import { readRecord } from './record.mjs';
import { Starts } from './starts.mjs';
import { GAP_GRACE_MILLISECONDS, WriterNumbers } from './writers.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */
/** @typedef {import('./inspection.mjs').InspectionOptions} InspectionOptions */
/** @typedef {import('./inspection.mjs').Inspected} Inspected */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./starts.mjs').StartsState} StartsState */
/** @typedef {import('./writers.mjs').NumberingState} NumberingState */

/** Clocks of several writers differ, and an operation may take a while: only more than this is worth a warning. */
const CLOCK_TOLERANCE_MILLISECONDS = 300_000;
const PRUNE = /^prune:(0|[1-9][0-9]{0,14})$/;

/**
 * What an incremental verification goes on from.
 * @typedef {object} RecordsState
 * @property {StartsState} starts
 * @property {[string, NumberingState][]} writers
 * @property {boolean} registers whether each writer must register
 * @property {[string, string][]} commitments that writers registered with
 * @property {{time: number, index: number} | null} latest
 * @property {number | null} afterPrune time of the first record after a pruned part
 */

export class RecordChecks {
  /**
   * @param {Findings} findings
   * @param {InspectionOptions} options
   * @param {RecordsState} [state]
   */
  constructor(findings, options, state) {
    this.findings = findings;
    this.options = options;
    this.starts = new Starts(findings, state?.starts);
    this.numbers = new WriterNumbers(state?.writers);
    this.registers = state?.registers ?? false;
    this.macs = new MacChecks(findings, options.keys, state?.commitments);
    this.details = new DetailChecks(findings);
    this.latest = state?.latest ?? { time: -Infinity, index: -1 };
    this.afterPrune = state?.afterPrune ?? null;
    /** Entries whose record is missing or not the one that was logged. */
    this.unreadable = 0;
    /** The pruned entries so far lie between these. */
    this.prunedFrom = 0;
    this.prunedTo = 0;
    /** The highest index that an ARCHIVE record declares to be pruned. */
    this.declaredPrune = 0;
    /** Records that were read. */
    this.count = 0;
  }

  /** @returns {{records: number, macs: number, details: number}} how many of each were checked */
  get checked() {
    return { records: this.count, macs: this.macs.checked, details: this.details.checked };
  }

  /** @returns {RecordsState} */
  state() {
    return {
      starts: this.starts.state(),
      writers: this.numbers.states(),
      registers: this.registers,
      commitments: [...this.macs.commitments],
      latest: this.latest.index < 0 ? null : this.latest,
      afterPrune: this.afterPrune,
    };
  }

  /**
   * @param {number} index
   * @param {Uint8Array} bytes the record's bytes
   * @param {Uint8Array | undefined} mac
   * @param {Uint8Array | null | undefined} detail
   * @returns {void}
   */
  take(index, bytes, mac, detail) {
    if (!this.options.records) return;
    const { record, problem } = readRecord(bytes);
    if (record === null) {
      this.unreadable += 1;
      this.findings.fault({ index, class: 'record', expected: null, found: null, message: problem });
      if (index === 0) this.starts.fault(index, 'a valid START record', 'none', 'The log does not begin with START.');
      return;
    }
    this.#record(index, record);
    this.macs.take(index, record.writer, bytes, mac);
    if (this.options.details) this.details.take(index, record, detail);
    else if (record.sealed !== undefined) this.details.unasked += 1;
  }

  /**
   * @param {Inspected} bundle
   * @returns {boolean} whether its records can be taken without a look at each
   */
  accepts({ log, incarnation, notable }) {
    if (!this.options.records) return true;
    const { starts } = this;
    const begins = starts.incarnation === null;
    if (notable.some(({ at, record }) => record.kind === 'START' && !(begins && at === 0))) return false;
    if (incarnation === 0) return true;
    if (!begins) return starts.log === log && starts.incarnation === incarnation;
    return notable.every(({ record }) => record.log === log && record.incarnation === incarnation);
  }

  /**
   * @param {number} first index of the bundle's first entry
   * @param {Inspected} bundle that is accepted
   * @returns {void}
   */
  takeBundle(first, { log, incarnation, writers, who, numbers, times, notable, macs, details, unasked }) {
    if (!this.options.records) return;
    const numberings = writers.map((writer) => this.numbers.of(writer));
    let next = 0;
    for (let at = 0; at < who.length; at++) {
      const which = /** @type {number} */ (who[at]);
      if (which === NOTABLE) {
        const { record, detailMissing } = /** @type {import('./inspection.mjs').Notable} */ (notable[next++]);
        this.#record(first + at, record);
        if (detailMissing) this.details.missing(first + at, record);
        continue;
      }
      const number = /** @type {number} */ (numbers[at]);
      const time = /** @type {number} */ (times[at]);
      if (number === 1) this.#unregistered(first + at, /** @type {string} */ (writers[which]));
      if (!numberings[which]?.take(number, first + at, time)) {
        this.#duplicate(first + at, /** @type {string} */ (writers[which]), number);
      }
      this.#time(first + at, time);
    }
    if (incarnation > 0) {
      this.starts.log ??= log;
      this.starts.incarnation ??= incarnation;
    }
    this.count += who.length - notable.length;
    this.macs.found(macs);
    this.details.checked += details;
    this.details.unasked += unasked;
  }

  /**
   * An entry that is not there because its time is over.
   * @param {number} index
   * @returns {void}
   */
  pruned(index) {
    if (this.prunedTo === 0) this.prunedFrom = index;
    this.prunedTo = index + 1;
  }

  /**
   * A witness saw the log as it is now: no record so far can be much younger.
   * @param {number | null} seconds since 1970, as the witness signed; null without a witness
   * @returns {void}
   */
  witnessed(seconds) {
    const { time, index } = this.latest;
    if (seconds === null || time <= seconds * 1000 + CLOCK_TOLERANCE_MILLISECONDS) return;
    const message = 'The time of the record lies more than 5 minutes after a witness signed a checkpoint over it.';
    this.findings.warn({ index, class: 'time', message });
  }

  /**
   * After the last entry: numbers that never came, details that nobody erased, entries that nobody pruned.
   * @param {string} origin of the checkpoint
   * @returns {void}
   */
  finish(origin) {
    this.starts.finish(origin);
    this.#gaps();
    this.details.finish();
    if (this.prunedTo === 0) return;
    const [index, last] = [this.prunedFrom, this.prunedTo - 1];
    if (this.declaredPrune > last || !this.options.records) {
      const message = `The entries ${index} to ${last} were pruned; their leaf hashes stand in the tree.`;
      this.findings.warn({ index, class: 'pruned', message });
    } else {
      const message = 'The entries are missing, and no ARCHIVE record declares that they were pruned.';
      this.findings.fault({ index, last, class: 'missing-entry', expected: null, found: null, message });
    }
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record
   * @returns {void}
   */
  #record(index, record) {
    this.count += 1;
    this.starts.take(index, record);
    const { writer, number, commitment } = record;
    if (commitment !== undefined) {
      if (index === 0 || this.prunedTo > 0) this.registers = true;
      this.macs.registered(index, writer, commitment);
    }
    if (number === 1 && commitment === undefined) this.#unregistered(index, writer);
    if (number !== 1 && record.kind === 'WRITER') {
      const message = `Writer ${writer} registers with number ${number}; that is the place of number 1.`;
      this.findings.fault({ index, class: 'writer-unregistered', expected: '1', found: `${number}`, message });
    }
    const time = Date.parse(record.time);
    if (!this.numbers.of(writer).take(number, index, time)) this.#duplicate(index, writer, number);
    this.#time(index, time);
    const { kind, outcome } = record;
    if (kind === 'ERASE' && outcome === 'success') this.details.erased(record);
    if (kind !== 'ARCHIVE' || outcome !== 'success') return;
    const declared = Number(PRUNE.exec(record.detail?.key ?? '')?.[1] ?? 0);
    // Nobody can have removed what came later.
    if (declared <= index) this.declaredPrune = Math.max(this.declaredPrune, declared);
  }

  /**
   * @param {number} index
   * @param {string} writer whose number 1 is no registration
   * @returns {void}
   */
  #unregistered(index, writer) {
    if (!this.registers) return;
    const message = `Writer ${writer} did not register: its number 1 is no WRITER record.`;
    this.findings.fault({ index, class: 'writer-unregistered', expected: null, found: null, message });
  }

  /**
   * @param {number} index
   * @param {string} writer
   * @param {number} number
   * @returns {void}
   */
  #duplicate(index, writer, number) {
    const message = `Writer ${writer} used number ${number} before.`;
    this.findings.fault({ index, class: 'writer-duplicate', expected: null, found: `${number}`, message });
  }

  /**
   * @param {number} index
   * @param {number} time
   * @returns {void}
   */
  #time(index, time) {
    const { latest } = this;
    if (latest.index < this.prunedTo && this.prunedTo > 0) this.afterPrune ??= time;
    if (time > latest.time) this.latest = { time, index };
    else if (time < latest.time - CLOCK_TOLERANCE_MILLISECONDS) {
      const message = 'The time of the record lies more than 5 minutes before that of an earlier entry.';
      this.findings.warn({ index, class: 'time', message });
    }
  }

  #gaps() {
    const gaps = this.numbers.openGaps().filter((gap) => !this.#mayBePruned(gap));
    const missing = gaps.reduce((sum, gap) => sum + gap.to - gap.from + 1, 0);
    // Where entries are unreadable, their numbers are missing too: that is one fault, and it is reported already.
    const explained = missing <= this.unreadable;
    for (const { writer, from, to, index, settled } of gaps.sort((a, b) => a.index - b.index)) {
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
   * @param {import('./writers.mjs').OpenGap} gap
   * @returns {boolean} whether the numbers may stand in the pruned part
   */
  #mayBePruned({ from, time }) {
    return this.afterPrune !== null && (from === 1 || time - this.afterPrune <= GAP_GRACE_MILLISECONDS);
  }
}
