/**
 * The numbers that each writer gave to its records of one log: 1, 2, 3 and so on, each once. They may stand in the log
 * in another order, because a transaction that took a lower number may commit later.
 *
 * @module
 */

/**
 * How long a number may be on its way, by the times of the same writer's records. A gap that the writer outlived by
 * less is not a fault: the log ends, or the writer ended, with that operation in flight.
 */
export const GAP_GRACE_MILLISECONDS = 60_000;

/**
 * @typedef {object} Gap
 * @property {number} from the first number that is missing
 * @property {number} to the last one
 * @property {number} index the entry whose number showed the gap
 * @property {number} time of that entry, milliseconds since 1970
 */

/** @typedef {Gap & {writer: string, settled: boolean}} OpenGap */

/** What is kept of a writer between two verifications. @typedef {{highest: number, latest: number, gaps: Gap[]}} NumberingState */

/** The numbers of one writer. Holds the highest and the gaps below it, so its memory grows with the gaps only. */
class Numbering {
  /** @param {NumberingState} state */
  constructor({ highest, latest, gaps }) {
    this.highest = highest;
    this.latest = latest;
    this.gaps = gaps;
  }

  /**
   * @param {number} number
   * @param {number} index
   * @param {number} time
   * @returns {boolean} false when the writer has used the number before
   */
  take(number, index, time) {
    if (time > this.latest) this.latest = time;
    if (number > this.highest) {
      if (number > this.highest + 1) this.gaps.push({ from: this.highest + 1, to: number - 1, index, time });
      this.highest = number;
      return true;
    }
    const at = this.gaps.findIndex((gap) => gap.from <= number && number <= gap.to);
    const gap = this.gaps[at];
    if (gap === undefined) return false;
    const pieces = [
      { ...gap, to: number - 1 },
      { ...gap, from: number + 1 },
    ];
    this.gaps.splice(at, 1, ...pieces.filter((piece) => piece.from <= piece.to));
    return true;
  }
}

export class WriterNumbers {
  /** @param {readonly [string, NumberingState][]} [states] of an earlier verification */
  constructor(states = []) {
    this.writers = new Map(states.map(([writer, state]) => [writer, new Numbering(state)]));
  }

  /**
   * @param {string} writer
   * @returns {Numbering}
   */
  of(writer) {
    let numbering = this.writers.get(writer);
    if (numbering === undefined) {
      this.writers.set(writer, (numbering = new Numbering({ highest: 0, latest: -Infinity, gaps: [] })));
    }
    return numbering;
  }

  /** @returns {OpenGap[]} gaps that no record closed; settled ones can no longer be an operation in flight */
  openGaps() {
    return [...this.writers].flatMap(([writer, { latest, gaps }]) =>
      gaps.map((gap) => ({ ...gap, writer, settled: latest - gap.time > GAP_GRACE_MILLISECONDS })),
    );
  }

  /** @returns {[string, NumberingState][]} */
  states() {
    return [...this.writers].map(([writer, { highest, latest, gaps }]) => [writer, { highest, latest, gaps }]);
  }
}
