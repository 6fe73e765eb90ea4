import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { logPath, logPlaces, parseLogPath } from './log-path.js';

const KINDS = ['tile', 'entries', 'mac', 'detail'] as const;

describe('paths of a log', () => {
  it('lead to their place and back, for any place', () => {
    const place = fc
      .record({
        kind: fc.constantFrom(...KINDS),
        level: fc.nat(63),
        index: fc.oneof(fc.nat(), fc.nat(2_000)),
        width: fc.integer({ min: 1, max: 256 }),
      })
      .map((one) => (one.kind === 'tile' ? one : { ...one, level: 0 }));
    fc.assert(fc.property(place, (one) => expect(parseLogPath(logPath(one))).toEqual(one)));
    expect(logPath({ kind: 'detail', level: 0, index: 1_234_067, width: 5 })).toBe('detail/x001/x234/067.p/5');
  });

  it.each([
    '',
    'tile',
    'tile/0',
    'tile/0/',
    'tile/0/0',
    'tile/0/0000',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/x000/000',
    'tile/0/001/000',
    'tile/0/x001/x002',
    'tile/0/000.p/0',
    'tile/0/000.p/00',
    'tile/0/000.p/05',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p',
    'tile/0/000.p/',
    'tile/entries/000/',
    'tile/entries/x/000',
    'tile/mac/000',
    'entries/000',
    'mac/../../../etc/passwd',
    'mac/%30%30%30',
    'detail/000.p/1/2',
    'checkpoint',
    'log.vkey',
    'tile/0/000\n',
    ` tile/0/000`,
    `tile/0/${'x999/'.repeat(9)}999`,
  ])('%j is none', (path) => expect(parseLogPath(path)).toBeNull());

  it('name every file of a log once, the last of a level partial', () => {
    const widths = (level: number, size: number) => [...logPlaces('tile', level, size)].map(({ width }) => width);
    expect(widths(0, 0)).toEqual([]);
    expect(widths(0, 600)).toEqual([256, 256, 88]);
    expect(widths(1, 600)).toEqual([2]);
    expect(widths(2, 600)).toEqual([]);
    expect(widths(1, 65_536)).toEqual([256]);
    expect(widths(2, 65_536)).toEqual([1]);
  });
});
