import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ReminderDirectory } from './appointment-reminder-sink.js';

let root: string;
let outbox: string;
let sink: ReminderDirectory;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'custodia-outbox-'));
  outbox = path.join(root, 'outbox', 'reminders');
  sink = new ReminderDirectory(outbox);
});
afterEach(() => rmSync(root, { recursive: true }));

const message = (text: string) => ({ to: '13812345678', text });
const key = 'a'.repeat(64);

describe('the directory of reminders', () => {
  it('keeps a message under its key, for its owner alone', async () => {
    expect(await sink.has(key)).toBe(false);
    await sink.write(key, message('first'));
    expect(await sink.has(key)).toBe(true);
    expect(readdirSync(outbox)).toEqual([`${key}.json`]);
    expect(JSON.parse(readFileSync(path.join(outbox, `${key}.json`), 'utf8'))).toEqual(message('first'));
    expect(statSync(outbox).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(outbox, `${key}.json`)).mode & 0o777).toBe(0o600);
  });

  it('keeps the first of many that come with one key at once, whole', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, index) => sink.write(key, message(`${index}`))));
    expect(readdirSync(outbox)).toEqual([`${key}.json`]);
    const before = readFileSync(path.join(outbox, `${key}.json`), 'utf8');
    expect(JSON.parse(before)).toMatchObject({ to: '13812345678' });
    await sink.write(key, message('late'));
    expect(readFileSync(path.join(outbox, `${key}.json`), 'utf8')).toBe(before);
  });

  it('does not take for a message what a crash left half written, and removes it', async () => {
    await sink.write('b'.repeat(64), message('other'));
    writeFileSync(path.join(outbox, `${key}.0123456789abcdef.partial`), '{"to":"138');
    expect(await sink.has(key)).toBe(false);
    await sink.write(key, message('whole'));
    expect(readdirSync(outbox).sort()).toEqual([`${key}.json`, `${'b'.repeat(64)}.json`]);
  });

  it('fails aloud where it cannot write', async () => {
    writeFileSync(path.join(root, 'outbox'), 'a file');
    await expect(sink.write(key, message('x'))).rejects.toThrow();
  });
});
