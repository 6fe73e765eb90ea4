import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import type { Actor } from '../kernel/actor.js';
import { AccessVolume } from './access-volume.store.js';

const HOUR = 3_600_000;
/** The first moment of a day of UTC. */
const MORNING = Date.UTC(2026, 10, 21);
const PEOPLE = Array.from({ length: 12 }, () => randomUUID());

let postgres: TestDatabase;
beforeAll(async () => {
  postgres = await testDatabase();
});
afterAll(() => postgres.close());

/** An account of its own, with two processes that serve it. */
function world() {
  const actor = { id: randomUUID(), tenant: 'T-CN' } as Actor;
  const processes = [new AccessVolume(postgres.app), new AccessVolume(postgres.app)] as const;
  const ask = async (process: 0 | 1, subjects: readonly string[], volume: Volume, at = MORNING): Promise<string> => {
    try {
      await processes[process].count(actor, subjects, volume, new Date(at));
      return 'shown';
    } catch (error) {
      const { code, options } = error as { code: string; options: { extensions: Record<string, unknown> } };
      return `${code} ${String(options.extensions['limit'])} ${String(options.extensions['period'])}`;
    }
  };
  return { actor, processes, ask };
}
interface Volume {
  readonly patientsPerHour: number;
  readonly patientsPerDay: number;
}
const people = (from: number, to: number) => PEOPLE.slice(from, to);

describe('the patients that an account sees', () => {
  it('are as many as the hour allows, in all processes together, and none of a page beyond', async () => {
    const { ask, processes } = world();
    const volume = { patientsPerHour: 5, patientsPerDay: 50 };
    expect(await ask(0, people(0, 3), volume)).toBe('shown');
    expect(await ask(1, people(2, 5), volume)).toBe('shown');
    expect(await ask(0, people(4, 6), volume)).toBe('BULK_LIMIT 5 hour');
    // The refused one was not counted as seen: asked for again it is refused again, by both.
    expect(await ask(0, people(5, 6), volume)).toBe('BULK_LIMIT 5 hour');
    expect(await ask(1, people(5, 6), volume)).toBe('BULK_LIMIT 5 hour');
    expect(await ask(1, people(0, 5), volume)).toBe('shown');
    expect(processes.map((one) => one.refused.hour)).toEqual([2, 1]);
    expect(await ask(0, people(5, 10), volume, MORNING + HOUR)).toBe('shown');
    expect(await ask(1, people(10, 11), volume, MORNING + HOUR)).toBe('BULK_LIMIT 5 hour');
  });

  it('are as many as the day allows, however the hours divide them', async () => {
    const { ask } = world();
    const volume = { patientsPerHour: 4, patientsPerDay: 6 };
    expect(await ask(0, people(0, 4), volume)).toBe('shown');
    expect(await ask(1, people(4, 6), volume, MORNING + HOUR)).toBe('shown');
    expect(await ask(0, people(6, 7), volume, MORNING + HOUR)).toBe('BULK_LIMIT 6 day');
    // Whoever was seen today may be seen again, in the limits of the hour.
    expect(await ask(0, people(0, 4), volume, MORNING + 5 * HOUR)).toBe('shown');
    expect(await ask(0, people(6, 10), volume, MORNING + 24 * HOUR)).toBe('shown');
  });

  it('are remembered: the same ones cost no statement, and a new hour asks again', async () => {
    const { actor, processes, ask } = world();
    const volume = { patientsPerHour: 5, patientsPerDay: 50 };
    await ask(0, people(0, 5), volume);
    const again = (at: number) => processes[0].count(actor, [...people(0, 5), null], volume, new Date(at));
    expect(again(MORNING + HOUR - 1)).toBeNull();
    expect(processes[0].count(actor, [null], volume, new Date(MORNING))).toBeNull();
    const later = again(MORNING + HOUR);
    expect(later).not.toBeNull();
    await later;
  });

  it('are counted by account: what one has seen takes nothing from another', async () => {
    const volume = { patientsPerHour: 3, patientsPerDay: 3 };
    expect(await world().ask(0, people(0, 3), volume)).toBe('shown');
    expect(await world().ask(0, people(3, 6), volume)).toBe('shown');
  });

  it('are counted exactly when both processes ask at once', async () => {
    const { ask, actor } = world();
    const volume = { patientsPerHour: 7, patientsPerDay: 50 };
    const asked = await Promise.all(PEOPLE.flatMap((one) => [ask(0, [one], volume), ask(1, [one], volume)]));
    const shown = new Set(
      PEOPLE.filter((_, index) => asked[2 * index] === 'shown' || asked[2 * index + 1] === 'shown'),
    );
    expect(shown.size).toBe(7);
    // Nobody is seen by one process and refused by the other.
    expect(asked.filter((one) => one === 'shown')).toHaveLength(14);
    const { rows } = await postgres.owner.query('SELECT hour_subjects FROM access_volume WHERE account_id = $1', [
      actor.id,
    ]);
    expect(rows).toEqual([{ hour_subjects: 7 }]);
  });

  it('are a window that never goes back: a process whose clock is behind opens no second hour', async () => {
    const { ask } = world();
    const volume = { patientsPerHour: 3, patientsPerDay: 3 };
    expect(await ask(0, people(0, 3), volume, MORNING)).toBe('shown');
    expect(await ask(1, people(3, 6), volume, MORNING - 1)).toBe('BULK_LIMIT 3 hour');
  });

  it('agree with a set for any pages, in any order, of any process', async () => {
    const page = fc.record({
      process: fc.constantFrom(0 as const, 1 as const),
      who: fc.subarray(PEOPLE, { minLength: 1, maxLength: 5 }),
      hours: fc.integer({ min: 0, max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(page, { minLength: 1, maxLength: 12 }), async (pages) => {
        const { ask } = world();
        const volume = { patientsPerHour: 5, patientsPerDay: 8 };
        let [now, day, hour] = [0, new Set<string>(), new Set<string>()];
        for (const { process, who, hours } of pages) {
          if (hours > 0) hour = new Set();
          now += hours;
          if (Math.floor(now / 24) > Math.floor((now - hours) / 24)) day = new Set();
          const [ofHour, ofDay] = [hour.union(new Set(who)), day.union(new Set(who))];
          const wanted = ofHour.size > 5 ? 'BULK_LIMIT 5 hour' : ofDay.size > 8 ? 'BULK_LIMIT 8 day' : 'shown';
          expect(await ask(process, who, volume, MORNING + now * HOUR)).toBe(wanted);
          if (wanted === 'shown') [hour, day] = [ofHour, ofDay];
        }
      }),
      { numRuns: 25 },
    );
  });
});
