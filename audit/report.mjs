/**
 * What a verification found: faults and warnings, and how they are told.
 *
 * @module
 */
import { toBase64 } from './bytes.mjs';

/**
 * The stable names of faults; FORMAT.md says what each means.
 * @typedef {'signature' | 'missing-entry' | 'extra-entry' | 'chain' | 'leaf' | 'tile' | 'root' | 'consistency'
 *   | 'record' | 'start' | 'writer-gap' | 'writer-duplicate' | 'writer-unregistered' | 'mac' | 'detail'
 *   | 'quorum' | 'proof'} FaultClass
 */

/**
 * @typedef {object} Fault
 * @property {number | null} index the first entry that the fault touches; null where it cannot be told
 * @property {number} [last] the last entry of a run that begins at index
 * @property {FaultClass} class
 * @property {string | null} expected
 * @property {string | null} found
 * @property {string} message one sentence; never a value out of a record except writer and number
 */

/**
 * @typedef {object} Warning
 * @property {number | null} index
 * @property {'key' | 'gap' | 'time' | 'detail' | 'restored' | 'pruned' | 'hashes-only'} class
 * @property {string} message
 */

/**
 * @typedef {object} Report
 * @property {string | null} origin
 * @property {number | null} size entries that the checkpoint covers
 * @property {string | null} root base64, as in the checkpoint
 * @property {boolean} ok
 * @property {{index: number | null, class: FaultClass} | null} first the fault to look at first
 * @property {number} faultCount
 * @property {Fault[]} faults at most 1,000, by index
 * @property {number} warningCount
 * @property {Warning[]} warnings at most 1,000
 * @property {string[]} verified names and key ids of the keys whose signatures hold
 * @property {{entries: number, records: number, macs: number, details: number}} checked how many of each
 * @property {{index: number, leaf: string, latestTime: number | null}} [proven] the one entry whose proof was verified:
 *   its leaf in hexadecimal, and the POSIX seconds of the latest cosignature over it
 */

const MOST_LISTED = 1_000;

/** Faults of the bytes come before faults of what they say: those are often only their consequence. */
const OF_THE_RECORD = new Set([
  'record',
  'start',
  'writer-gap',
  'writer-duplicate',
  'writer-unregistered',
  'mac',
  'detail',
]);

export class Findings {
  constructor() {
    /** @type {Fault[]} */
    this.faults = [];
    /** @type {Warning[]} */
    this.warnings = [];
    this.faultCount = 0;
    this.warningCount = 0;
  }

  /**
   * @param {Fault} fault
   * @returns {Fault} the same one, so that a later entry may correct it
   */
  fault(fault) {
    this.faultCount += 1;
    if (this.faults.length < MOST_LISTED) this.faults.push(fault);
    return fault;
  }

  /**
   * @param {Warning} warning
   * @returns {void}
   */
  warn(warning) {
    this.warningCount += 1;
    if (this.warnings.length < MOST_LISTED) this.warnings.push(warning);
  }

  /**
   * @param {{origin: string | null, size: number | null, root: Uint8Array | null, verified: string[]}} log
   * @param {Report['checked']} [checked]
   * @returns {Report}
   */
  report({ origin, size, root, verified }, checked = { entries: 0, records: 0, macs: 0, details: 0 }) {
    const faults = this.faults.sort((a, b) => (a.index ?? Infinity) - (b.index ?? Infinity) || 0);
    const indexed = faults.filter((fault) => fault.index !== null);
    const first = indexed.find((fault) => !OF_THE_RECORD.has(fault.class)) ?? indexed[0] ?? faults[0];
    return {
      origin,
      size,
      root: root === null ? null : toBase64(root),
      ok: this.faultCount === 0,
      first: first === undefined ? null : { index: first.index, class: first.class },
      faultCount: this.faultCount,
      faults,
      warningCount: this.warningCount,
      warnings: this.warnings,
      verified,
      checked,
    };
  }
}

/**
 * The report for people: a line for each finding, and the verdict as the last line.
 * @param {Report} report
 * @returns {string}
 */
export function renderReport(report) {
  const lines = report.warnings.map((warning) => `warning ${warning.class} ${place(warning)}: ${warning.message}`);
  for (const fault of report.faults) {
    lines.push(`fault ${fault.class} ${place(fault)}: ${fault.message}`);
    if (fault.expected !== null) lines.push(`  expected ${fault.expected}`);
    if (fault.found !== null) lines.push(`  found    ${fault.found}`);
  }
  const unlisted = report.faultCount - report.faults.length + report.warningCount - report.warnings.length;
  if (unlisted > 0) lines.push(`${unlisted} more are not listed`);
  const { entries, records, macs, details } = report.checked;
  if (entries > 0) lines.push(`checked ${entries} entries, ${records} records, ${macs} MACs, ${details} details`);
  if (report.proven !== undefined) {
    const { index, latestTime } = report.proven;
    const seen = latestTime === null ? '' : `, cosigned at ${new Date(latestTime * 1000).toISOString()}`;
    lines.push(`entry ${index} of ${report.size}${seen}`);
  }
  if (report.root !== null) lines.push(`root ${report.root}`);
  const origin = report.origin ?? '-';
  if (report.first === null) lines.push(`OK ${origin} ${report.size}`);
  else lines.push(`BAD ${origin} ${report.first.index ?? '-'} ${report.first.class}`);
  return lines.join('\n') + '\n';
}

/**
 * @param {{index: number | null, last?: number}} finding
 * @returns {string}
 */
function place({ index, last }) {
  if (index === null) return '-';
  return last === undefined || last === index ? `${index}` : `${index}-${last}`;
}
