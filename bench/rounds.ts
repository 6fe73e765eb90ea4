import path from 'node:path';
import type { LoadFigures } from './load.js';
import type { ProfileSummary, Share } from './profile-summary.js';
import type { MeasuredServer } from './server.js';

/** One side of a comparison. `load` sends it a round of its own work for so many milliseconds. */
export interface Side {
  readonly name: string;
  readonly server: MeasuredServer;
  load(milliseconds: number): Promise<LoadFigures>;
  /** Processor time of the database so far, in milliseconds. */
  databaseTime(): number;
}

export interface Pace {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  /** Where whole CPU profiles are kept; null: nowhere. */
  readonly profiles: string | null;
}

interface Round extends LoadFigures {
  /** Processor milliseconds of the server for one request. */
  readonly processor: number;
  /** The same of PostgreSQL. */
  readonly database: number;
}

/**
 * Measures two sides in turn (A B A B …), each round after a warm-up, so that whatever else the machine does meets both.
 * Prints every round (processor time in milliseconds for one request) and where the time of a further, profiled one goes. Gives the median of the paired ratios A / B.
 */
export async function compare(sides: readonly [Side, Side], pace: Pace): Promise<number> {
  const ratios: number[] = [];
  const processorRatios: number[] = [];
  print(['round', 'server', 'requests/s', 'p50 ms', 'p99 ms', 'server CPU', 'database CPU']);
  for (let round = 1; round <= pace.rounds; round += 1) {
    const pair: Round[] = [];
    for (const side of sides) {
      await side.load(pace.warmSeconds * 1000);
      const figures = await measured(side, pace.seconds * 1000);
      pair.push(figures);
      print([
        String(round),
        side.name,
        ...[figures.perSecond, figures.p50, figures.p99, figures.processor, figures.database].map(rounded),
      ]);
    }
    const [first, second] = pair as [Round, Round];
    ratios.push(first.perSecond / second.perSecond);
    processorRatios.push(second.processor / first.processor);
  }
  for (const side of sides) printProfile(side.name, await profiled(side, pace));
  console.log(
    `\nratios by round ${ratios.map((one) => one.toFixed(2)).join(' ')}; by processor time of the server alone ${median(processorRatios).toFixed(2)}`,
  );
  return median(ratios);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = low] =
    sorted.length % 2 === 1 ? [sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (low + high) / 2;
}

/** A line of a table. */
export function print(cells: readonly string[]): void {
  console.log(cells.map((cell, index) => (index === 1 ? cell.padEnd(12) : cell.padStart(12))).join(' '));
}

export function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

async function measured(side: Side, milliseconds: number): Promise<Round> {
  const before = await side.server.processorTime();
  const databaseBefore = side.databaseTime();
  const figures = await side.load(milliseconds);
  const database = (side.databaseTime() - databaseBefore) / figures.requests;
  return { ...figures, processor: ((await side.server.processorTime()) - before) / figures.requests, database };
}

async function profiled(side: Side, pace: Pace): Promise<ProfileSummary> {
  await side.server.startProfile();
  await side.load(pace.seconds * 1000);
  return side.server.stopProfile(
    pace.profiles === null ? null : path.join(path.resolve(pace.profiles), `${side.name}.cpuprofile`),
  );
}

function printProfile(name: string, summary: ProfileSummary): void {
  const line = ({ name: what, share }: Share) => `${(share * 100).toFixed(1).padStart(6)} %  ${what}`;
  console.log(`\nwhere the time of ${name} goes\n${summary.categories.map(line).join('\n')}`);
  console.log(`its functions by own time\n${summary.functions.slice(0, 25).map(line).join('\n')}`);
}
