import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileRootKeyProvider } from './root-key.js';

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'custodia-keys-')), 'keys');
});
afterEach(() => {
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

const path = () => join(directory, 'root.key');

describe('the root key in a file', () => {
  test('is made at the first start, for its owner only, and kept', async () => {
    const first = await FileRootKeyProvider.open(directory, false);
    expect(statSync(path()).size).toBe(32);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toEqual(['root.key']);
    const wrapped = await first.wrap(Buffer.from('tenant key'), 'T-CN');
    const second = await FileRootKeyProvider.open(directory, true);
    expect(second.id).toBe(first.id);
    expect(await second.unwrap(wrapped, 'T-CN')).toEqual(Buffer.from('tenant key'));
    expect(await second.unwrap(wrapped, 'T-US')).toBeNull();
  });

  test('is never replaced where wrapped keys wait for it', async () => {
    await expect(FileRootKeyProvider.open(directory, true)).rejects.toThrow(/root\.key is missing, but/);
    expect(() => statSync(path())).toThrow();
  });

  test('is the same for processes that start at once', async () => {
    const providers = await Promise.all(Array.from({ length: 8 }, () => FileRootKeyProvider.open(directory, false)));
    expect(new Set(providers.map((provider) => provider.id)).size).toBe(1);
    expect(readdirSync(directory)).toEqual(['root.key']);
  });

  test('is refused when others may read it or when it was cut', async () => {
    await FileRootKeyProvider.open(directory, false);
    chmodSync(path(), 0o640);
    await expect(FileRootKeyProvider.open(directory, true)).rejects.toThrow(/set its mode to 0600/);
    chmodSync(path(), 0o600);
    writeFileSync(path(), readFileSync(path()).subarray(1));
    await expect(FileRootKeyProvider.open(directory, true)).rejects.toThrow(/not 32 bytes long/);
  });

  test('tells nothing of the key in its name', async () => {
    const { id } = await FileRootKeyProvider.open(directory, false);
    expect(id).toMatch(/^file:[0-9a-f]{16}$/);
    expect(readFileSync(path()).toString('hex')).not.toContain(id.slice(5));
  });
});
