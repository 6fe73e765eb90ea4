import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newId } from '../kernel/identifier.js';
import { TombstoneStore } from './tombstone-store.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tombstones-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('the store of tombstones', () => {
  it('keeps what was written first, however many write at once, and nothing else', async () => {
    const store = new TombstoneStore(path.join(directory, 'new'));
    expect(await store.all()).toEqual([]);
    const id = newId();
    const written = await Promise.all(
      Array.from({ length: 20 }, (_, index) => store.write({ tenant: 'T-CN', id, note: `note ${index}` })),
    );
    expect(new Set(written).size).toBe(1);
    expect(await store.all()).toEqual([{ tenant: 'T-CN', id, note: written[0] }]);
    expect(await store.write({ tenant: 'T-CN', id, note: 'later' })).toBe(written[0]);
    const folder = path.join(directory, 'new', 'T-CN');
    expect(readdirSync(folder)).toEqual([`${id}.note`]);
    expect(statSync(path.join(folder, `${id}.note`)).mode & 0o077).toBe(0);
  });

  it('takes no name that leads elsewhere, and reads past what is none', async () => {
    const store = new TombstoneStore(path.join(directory, 'other'));
    const id = newId();
    for (const [tenant, name] of [
      ['../T-CN', id],
      ['T-CN', '../../passwd'],
      ['T-CN', ''],
      ['', id],
    ] as const) {
      await expect(store.write({ tenant, id: name, note: '' })).rejects.toThrow(RangeError);
    }
    await store.write({ tenant: 'T-US', id, note: 'note' });
    writeFileSync(path.join(directory, 'other', 'T-US', `.${id}.abandoned`), 'half');
    writeFileSync(path.join(directory, 'other', 'README'), '');
    expect(await store.all()).toEqual([{ tenant: 'T-US', id, note: 'note' }]);
  });
});
