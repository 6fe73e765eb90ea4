import { afterEach, expect, it, jest } from '@jest/globals';
import { progressOnTerminal } from './progress.js';

afterEach(() => {
  jest.restoreAllMocks();
});

it('tells a terminal, once a second, and wipes the line at the end', () => {
  const lines: string[] = [];
  let now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  const write = (text: string | Uint8Array) => lines.push(String(text)) > 0;
  const progress = progressOnTerminal('entries', { isTTY: true, write });
  for (; now < 2_500; now += 100) progress?.(now, 2_500);
  progress?.(2_500, 2_500);
  progress?.(2_500, 2_500);
  expect(lines.map((line) => line.replace('\r\u001b[K', ''))).toEqual([
    'entries: 1000 of 2500',
    'entries: 2000 of 2500',
    '',
  ]);
});

it('says nothing of a short work, and nothing where nobody watches', () => {
  const lines: string[] = [];
  const write = (text: string | Uint8Array) => lines.push(String(text)) > 0;
  progressOnTerminal('entries', { isTTY: true, write })?.(5, 5);
  expect([progressOnTerminal('entries', { isTTY: false, write }), lines]).toEqual([undefined, []]);
});
