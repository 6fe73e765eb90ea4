import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnwrapLog } from './agent-log.js';
import { chained, LOG_BEGIN, UnwrapLogReader, type UnwrapLine } from './agent-log-reader.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'custodia-agent-log-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const entry = (use: string) => ({
  time: '2026-11-21T00:00:00.000Z',
  tenant: 'T-CN',
  use,
  references: ['a'.repeat(32)],
});

async function allLines(): Promise<UnwrapLine[]> {
  const reader = new UnwrapLogReader(directory);
  const lines: UnwrapLine[] = [];
  for (let at = LOG_BEGIN; ;) {
    const [more, reached] = chained(at, await reader.after(at.n));
    if (more.length === 0) return lines;
    lines.push(...more);
    at = reached;
  }
}

describe('the log of a key agent', () => {
  test('is one chain over files, starts and lines that are written together', async () => {
    for (let start = 0; start < 3; start += 1) {
      const log = await UnwrapLog.open(directory, 1_000);
      for (let turn = 0; turn < 3; turn += 1) {
        await Promise.all(Array.from({ length: 5 }, (_, at) => log.append(entry(`${start}.${turn}.${at}`))));
      }
      expect(log.end.n).toBe((start + 1) * 15);
      await log.close();
    }
    expect(readdirSync(directory).length).toBeGreaterThan(3);
    const lines = await allLines();
    expect(lines.map(({ n }) => n)).toEqual(Array.from({ length: 45 }, (_, at) => at + 1));
    expect(lines[44]?.use).toBe('2.2.4');
    expect((await new UnwrapLogReader(directory).after(40)).length).toBeGreaterThan(0);
  });

  test('loses the line that a crash cut off, and nothing else', async () => {
    const log = await UnwrapLog.open(directory);
    await log.append(entry('one'));
    await log.close();
    const [file = ''] = readdirSync(directory);
    appendFileSync(join(directory, file), '{"n":2,"time":"2026-11-21T00:0');
    expect(await allLines()).toHaveLength(1);
    const later = await UnwrapLog.open(directory);
    await later.append(entry('two'));
    await later.close();
    expect((await allLines()).map(({ use }) => use)).toEqual(['one', 'two']);
  });

  test('goes on after a crash between two files', async () => {
    const log = await UnwrapLog.open(directory);
    await log.append(entry('one'));
    await log.close();
    writeFileSync(join(directory, 'unwraps-000000000000002.log'), '{"n":2');
    const later = await UnwrapLog.open(directory);
    await later.append(entry('two'));
    await later.close();
    expect((await allLines()).map(({ use }) => use)).toEqual(['one', 'two']);
    rmSync(join(directory, 'unwraps-000000000000001.log'));
    writeFileSync(join(directory, 'unwraps-000000000000002.log'), '');
    await expect(UnwrapLog.open(directory)).rejects.toThrow(/has no line 1/);
  });

  test('shows a line that was changed, taken out or put in', async () => {
    const log = await UnwrapLog.open(directory);
    for (const use of ['one', 'two', 'three']) await log.append(entry(use));
    await log.close();
    const path = join(directory, readdirSync(directory)[0] ?? '');
    const text = readFileSync(path, 'utf8');
    const [one = '', two = '', three = ''] = text.split('\n');
    for (const changed of [
      text.replace('"two"', '"own"'),
      `${one}\n${three}\n`,
      `${one}\n${one}\n${two}\n${three}\n`,
      `${two}\n`,
    ]) {
      writeFileSync(path, changed);
      await expect(allLines()).rejects.toThrow(RangeError);
    }
  });

  test('takes nothing more once it could not be written', async () => {
    const log = await UnwrapLog.open(directory, 10);
    await log.append(entry('one'));
    rmSync(directory, { recursive: true });
    await expect(log.append(entry('two'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(log.append(entry('three'))).rejects.toMatchObject({ code: 'ENOENT' });
    await log.close();
  });
});
