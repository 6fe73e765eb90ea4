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

/** Holds the highest number and the gaps below it, so its memory grows with the gaps and not with the log. */
export class WriterNumbers {
  constructor() {
    /** @type {Map<string, {highest: number, latest: number, gaps: Gap[]}>} */
    this.writers = new Map();
  }

  /**
   * @param {{writer: string, number: number, index: number, time: number}} entry
   * @returns {boolean} false when the writer has used the number before
   */
  take({ writer, number, index, time }) {
    let state = this.writers.get(writer);
    if (state === undefined) this.writers.set(writer, (state = { highest: 0, latest: time, gaps: [] }));
    state.latest = Math.max(state.latest, time);
    if (number > state.highest) {
      if (number > state.highest + 1) state.gaps.push({ from: state.highest + 1, to: number - 1, index, time });
      state.highest = number;
      return true;
    }
    const at = state.gaps.findIndex((gap) => gap.from <= number && number <= gap.to);
    const gap = state.gaps[at];
    if (gap === undefined) return false;
    const pieces = [
      { ...gap, to: number - 1 },
      { ...gap, from: number + 1 },
    ];
    state.gaps.splice(at, 1, ...pieces.filter((piece) => piece.from <= piece.to));
    return true;
  }

  /** @returns {OpenGap[]} gaps that no record closed; settled ones can no longer be an operation in flight */
  openGaps() {
    return [...this.writers].flatMap(([writer, { latest, gaps }]) =>
      gaps.map((gap) => ({ ...gap, writer, settled: latest - gap.time > GAP_GRACE_MILLISECONDS })),
    );
  }
}
