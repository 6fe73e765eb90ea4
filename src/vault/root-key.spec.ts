import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileRootKeyProvider } from './root-key.js';
import { keyIdOf } from './sealed-value.js';

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

  test('is refused as a symbolic link, and in a directory that others may write to', async () => {
    await FileRootKeyProvider.open(directory, false);
    renameSync(path(), join(directory, 'elsewhere'));
    symlinkSync('elsewhere', path());
    await expect(FileRootKeyProvider.open(directory, true)).rejects.toThrow(/symbolic link/);
    rmSync(path());
    renameSync(join(directory, 'elsewhere'), path());
    chmodSync(directory, 0o770);
    await expect(FileRootKeyProvider.open(directory, true)).rejects.toThrow(/written by others/);
  });

  test('is replaced while others use it: pending, primary, and gone at last', async () => {
    const mine = await FileRootKeyProvider.open(directory, false);
    const other = await FileRootKeyProvider.open(directory, true);
    const old = await mine.wrap(Buffer.from('key'), 'T-CN');
    expect(await mine.create()).toBe(1);
    expect(await mine.create()).toBe(1);
    expect(await mine.primaryId()).toBe(0);
    await expect(mine.destroy(0)).rejects.toThrow(/is the primary/);
    await expect(mine.promote(2)).rejects.toThrow(/not pending/);
    await mine.promote(1);
    await expect(mine.promote(0)).rejects.toThrow(/not pending/);
    const fresh = await other.wrap(Buffer.from('key'), 'T-CN');
    expect(keyIdOf(fresh)).toBe(1);
    const again = await other.rewrap(old, 'T-CN');
    expect(keyIdOf(again)).toBe(1);
    await expect(other.rewrap(old, 'T-US')).rejects.toThrow(/opens under no root key/);
    await mine.destroy(0);
    const later = await FileRootKeyProvider.open(directory, true);
    expect(await later.keyIds()).toEqual([1]);
    expect(await later.unwrap(old, 'T-CN')).toBeNull();
    for (const wrapped of [fresh, again]) expect(await later.unwrap(wrapped, 'T-CN')).toEqual(Buffer.from('key'));
    rmSync(join(directory, 'root-1.key'));
    await expect(FileRootKeyProvider.open(directory, false)).rejects.toThrow(/root-1\.key is missing/);
  });

  test('tells nothing of the key in its name', async () => {
    const { id } = await FileRootKeyProvider.open(directory, false);
    expect(id).toMatch(/^file:[0-9a-f]{16}$/);
    expect(readFileSync(path()).toString('hex')).not.toContain(id.slice(5));
  });
});
