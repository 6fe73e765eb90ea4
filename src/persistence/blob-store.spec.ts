import { beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { SystemClock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newReference } from '../kernel/identifier.js';
import { FileBlobStore } from './blob-store.js';

let directory: string;
let store: FileBlobStore;
beforeEach(async () => {
  directory = path.join(mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'blobs-')), 'blobs');
  store = await FileBlobStore.open(directory, new SystemClock());
});

async function* of(...parts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield await Promise.resolve(Buffer.from(part));
  }
}

async function read(name: string): Promise<string> {
  const found: Uint8Array[] = [];
  for await (const bytes of store.get(name)) found.push(bytes);
  return Buffer.concat(found).toString();
}

const incoming = () => readdirSync(path.join(directory, 'incoming'));
const tree = () => readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());

describe('FileBlobStore', () => {
  it('gives back what was put, to its owner alone, until it is deleted', async () => {
    const name = newReference();
    await store.put(name, of('one', 'two'));
    expect(await read(name)).toBe('onetwo');
    expect(statSync(path.join(directory, name.slice(0, 2), name)).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    await store.delete(name);
    await store.delete(name);
    await expect(read(name)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    await expect(read(name)).rejects.toBeInstanceOf(Failure);
  });

  it('stores nothing of a source that fails', async () => {
    const name = newReference();
    await expect(store.put(name, of('one', new Error('gone')))).rejects.toThrow('gone');
    expect(tree()).toEqual([]);
  });

  it('takes no name that could lead elsewhere', async () => {
    for (const name of ['../../etc/passwd', '', 'a'.repeat(31), 'A'.repeat(32), `${'a'.repeat(32)}/x`]) {
      await expect(store.put(name, of('x'))).rejects.toThrow(RangeError);
      await expect(read(name)).rejects.toThrow(RangeError);
      await expect(store.delete(name)).rejects.toThrow(RangeError);
    }
    expect(tree()).toEqual([]);
  });

  it('removes at its start what dead writers left, and nothing that somebody still writes', async () => {
    const dead = spawnSync(process.execPath, ['--version']).pid;
    const here = hash('sha256', hostname()).slice(0, 16);
    const put = (name: string) => {
      const file = path.join(directory, 'incoming', name);
      writeFileSync(file, 'x');
      return file;
    };
    const gone = [put(`${here}.${dead}.a`), put(`${here}.${process.pid}.b`), put('elsewhere.1.c')];
    const kept = [put(`${here}.${process.ppid}.d`), put('elsewhere.1.e')];
    utimesSync(gone[2] as string, 1, 1);
    const name = newReference();
    await store.put(name, of('whole'));
    store = await FileBlobStore.open(directory, new SystemClock());
    expect(gone.filter((file) => existsSync(file))).toEqual([]);
    expect(incoming()).toHaveLength(kept.length);
    expect(await read(name)).toBe('whole');
  });
});
