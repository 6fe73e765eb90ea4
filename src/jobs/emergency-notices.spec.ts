import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { UntoldAccess } from '../domain/emergency-access/emergency-access.store.js';
import { ManualClock } from '../kernel/clock.js';
import { ReminderDirectory, type ReminderSink } from './appointment-reminder-sink.js';
import { EmergencyNotices } from './emergency-notices.js';

const NOW = Date.parse('2026-11-21T04:00:00Z');
const ACCESS: UntoldAccess = {
  id: 'a1',
  startedAt: new Date(NOW),
  reviewDueAt: new Date(NOW + 72 * 3_600_000),
  heads: ['h1', 'h2'],
  represented: ['p1'],
};
const NAMES = ['a1-head-h1.json', 'a1-head-h2.json', 'a1-patient-p1.json', 'a1.json'];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'emergency-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Rows of one tenant, of which `told` may fail before or after it has taken effect. */
function rows(accesses: readonly UntoldAccess[], fault: 'failed' | 'failed but happened' | null = null) {
  let owed = [...accesses];
  let broken = fault;
  return {
    untold: async () => [...owed],
    told: async (_tenant: string, id: string) => {
      const now = broken;
      broken = null;
      if (now === 'failed') throw new Error('lost');
      owed = owed.filter((one) => one.id !== id);
      if (now !== null) throw new Error('lost');
    },
  };
}

function notices(store: ReturnType<typeof rows>, sink: ReminderSink = new ReminderDirectory(directory)) {
  return new EmergencyNotices(store, sink, new ManualClock(NOW), ['T-CN']);
}

const found = () =>
  readdirSync(directory)
    .sort()
    .map((name) => [name, JSON.parse(readFileSync(path.join(directory, name), 'utf8'))] as const);

describe('the notices of an emergency access', () => {
  it('go to the privacy office, to every head and to who speaks for the patient, once', async () => {
    const job = notices(rows([ACCESS]));
    expect(await job.run()).toBe(1);
    expect(await job.run()).toBe(0);
    expect(found().map(([name, { kind, to }]) => [name, kind, to])).toEqual([
      ['a1-head-h1.json', 'EMERGENCY_HEAD', 'h1@T-CN'],
      ['a1-head-h2.json', 'EMERGENCY_HEAD', 'h2@T-CN'],
      ['a1-patient-p1.json', 'EMERGENCY_PATIENT', 'p1@T-CN'],
      ['a1.json', 'EMERGENCY_REVIEW', 'privacy_officer@T-CN'],
    ]);
  });

  it('go to the post where nobody speaks for the patient, and to the office of a head that has no account', async () => {
    await notices(rows([{ ...ACCESS, heads: [], represented: [] }])).run();
    expect(found().map(([name, { kind, to }]) => [name, kind, to])).toEqual([
      ['a1-head.json', 'EMERGENCY_HEAD', 'department_head@T-CN'],
      ['a1-post.json', 'PATIENT_BY_POST', 'privacy_officer@T-CN'],
      ['a1.json', 'EMERGENCY_REVIEW', 'privacy_officer@T-CN'],
    ]);
  });

  it.each(['failed', 'failed but happened'] as const)('are each there once when any step %s', async (flavour) => {
    for (let at = 0; at <= NAMES.length; at += 1) {
      const real = new ReminderDirectory(directory);
      let writes = 0;
      const sink: ReminderSink = {
        has: (key) => real.has(key),
        write: async (key, message) => {
          const strikes = writes++ === at;
          if (strikes && flavour === 'failed') throw new Error('lost');
          await real.write(key, message);
          if (strikes) throw new Error('lost');
        },
      };
      const store = rows([ACCESS], at === NAMES.length ? flavour : null);
      await expect(notices(store, sink).run()).rejects.toThrow('lost');
      // The process is gone; two others come at once.
      await Promise.all([notices(store).run(), notices(store).run()]);
      expect(found().map(([name]) => name)).toEqual(NAMES);
      expect(await notices(store).run()).toBe(0);
      for (const name of NAMES) rmSync(path.join(directory, name));
    }
  });
});
