import type { Installation } from './installation.js';
import { governedSide, seedList } from './read-list.js';
import { compare, type Pace } from './rounds.js';

/** What rules and masks cost: the list of `read-list`, against the same server in which both are short-circuited. */
export async function policyCost(installation: Installation, patients: number, pace: Pace): Promise<number> {
  const cursors = await seedList(installation, patients);
  const on = await governedSide(installation, 'on', cursors, patients);
  const off = await governedSide(installation, 'off', cursors, patients, undefined, { BENCH_POLICY: 'off' });
  return compare([on, off], pace);
}
