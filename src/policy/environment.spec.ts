import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Network, readEnvironment, type EnvironmentDocument } from './environment.js';

const networks = new Map([
  ['corp', new Network(['10.0.0.0/8', 'fd00::/8'], [], refusal)],
  ['home', new Network(['192.168.7.0/24'], [], refusal)],
]);
function refusal(_: readonly (string | number)[], message: string): void {
  throw new Error(message);
}
const holds = (document: EnvironmentDocument, now: string, address: string | null = null) =>
  readEnvironment(document, networks, [], refusal)?.holds({ now: new Date(now), address });
const office = { tz: 'Asia/Shanghai', days: [1, 2, 3, 4, 5, 6], from: '08:00', to: '20:00' };

describe('a window of time', () => {
  // 2026-11-21 is a Saturday.
  it.each([
    ['2026-11-21T00:00:00Z', true],
    ['2026-11-20T23:59:59Z', false],
    ['2026-11-21T11:59:59Z', true],
    ['2026-11-21T12:00:00Z', false],
    ['2026-11-22T04:00:00Z', false],
    ['2026-11-23T04:00:00Z', true],
  ])('is judged by the clock of its zone: %s', (now, open) => {
    expect(holds({ time: office }, now)).toBe(open);
  });

  it('may reach over midnight: the day is the one on which it opened', () => {
    const night = { time: { tz: 'UTC', days: [5], from: '22:00', to: '06:00' } };
    expect(holds(night, '2026-11-20T22:00:00Z')).toBe(true);
    expect(holds(night, '2026-11-21T05:59:00Z')).toBe(true);
    expect(holds(night, '2026-11-21T06:00:00Z')).toBe(false);
    expect(holds(night, '2026-11-21T22:30:00Z')).toBe(false);
    expect(holds(night, '2026-11-20T05:00:00Z')).toBe(false);
  });

  it('follows the change to summer time', () => {
    const window = { time: { tz: 'Europe/Berlin', days: [7, 1], from: '08:00', to: '24:00' } };
    expect(holds(window, '2026-03-29T06:00:00Z')).toBe(true);
    expect(holds(window, '2026-03-29T05:59:00Z')).toBe(false);
    expect(holds(window, '2026-01-04T06:30:00Z')).toBe(false);
    expect(holds(window, '2026-01-04T22:59:00Z')).toBe(true);
  });

  it('is open on exactly the minutes that a count of minutes says', () => {
    const minute = fc.integer({ min: 0, max: 1_439 });
    const text = (at: number) => `${String(Math.floor(at / 60)).padStart(2, '0')}:${String(at % 60).padStart(2, '0')}`;
    fc.assert(
      fc.property(
        minute,
        minute,
        fc.integer({ min: 0, max: 10_079 }),
        fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
        (from, to, at, days) => {
          fc.pre(from !== to);
          const length = (to - from + 1_440) % 1_440;
          // Minutes since a Monday began; the windows of two weeks, so that one of a Sunday reaches into Monday.
          const open = days.some((day) =>
            [at, at + 10_080].some((moment) => {
              const since = moment - ((day - 1) * 1_440 + from);
              return since >= 0 && since < length;
            }),
          );
          const now = new Date(Date.UTC(2026, 10, 23) + at * 60_000).toISOString();
          expect(holds({ time: { tz: 'UTC', days, from: text(from), to: text(to) } }, now)).toBe(open);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a network', () => {
  it.each([
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['11.1.2.3', false],
    ['fd12:3456::1', true],
    ['fe80::1', false],
    ['192.168.7.9', false],
    ['localhost', false],
    ['', false],
  ])('holds its addresses and no other: %s', (address, inside) => {
    expect(holds({ network: ['corp'] }, '2026-11-21T00:00:00Z', address)).toBe(inside);
  });

  it('is one of several, and is not where there is no address', () => {
    expect(holds({ network: ['corp', 'home'] }, '2026-11-21T00:00:00Z', '192.168.7.9')).toBe(true);
    expect(holds({ network: ['corp'] }, '2026-11-21T00:00:00Z', null)).toBe(false);
  });

  it('goes with the time: both are met, or the condition is not', () => {
    const both = { time: office, network: ['corp'] };
    expect(holds(both, '2026-11-21T04:00:00Z', '10.1.2.3')).toBe(true);
    expect(holds(both, '2026-11-21T14:00:00Z', '10.1.2.3')).toBe(false);
    expect(holds(both, '2026-11-21T04:00:00Z', '11.1.2.3')).toBe(false);
  });
});

it('fails closed: without an environment no condition holds', () => {
  for (const document of [{ time: office }, { network: ['corp'] }, { time: office, network: ['corp'] }]) {
    expect(readEnvironment(document, networks, [], refusal)?.holds(undefined)).toBe(false);
  }
  expect(readEnvironment({}, networks, [], refusal)).toBeNull();
});

it.each([
  [{ network: ['crop'] }, /Unknown network "crop". Did you mean "corp"\?/],
  [{ time: { ...office, tz: 'Shanghai' } }, /"Shanghai" is no IANA time zone/],
  [{ time: { ...office, to: '08:00' } }, /never opens/],
])('refuses %j', (document, said) => {
  expect(() => readEnvironment(document as EnvironmentDocument, networks, [], refusal)).toThrow(said);
});

it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/-1', 'corp/8', '10.0.0.0/'])(
  'refuses the range %s',
  (range) => {
    expect(() => new Network([range], [], refusal)).toThrow(/is no range of addresses/);
  },
);
