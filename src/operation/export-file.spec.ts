import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { ExportFiles, type ExportFile } from './export-file.js';
import type { ExportJobRow } from './export.store.js';

const root = createSecretKey(randomBytes(32));
const vault = {
  streamKey: (_: string, label: string) =>
    createSecretKey(createHash('sha256').update(label).update(root.export()).digest()),
};
let directory: string;
let files: ExportFiles;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'export-file-'));
  files = new ExportFiles(directory, vault);
});
afterAll(() => rmSync(directory, { recursive: true }));

function job(id: string, version: number, file: ExportFile | null, fileVersion = version): ExportJobRow {
  const { bytes = 0, frames = 0, plainBytes = 0 } = file ?? {};
  return { tenant: 'T-CN', id, version, fileVersion, fileBytes: bytes, fileFrames: frames, plainBytes } as ExportJobRow;
}
const pathOf = (id: string, version: number) => path.join(directory, 'T-CN', `${id}.${version}`);

async function contentOf(row: ExportJobRow): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of files.read(row)) parts.push(part);
  return Buffer.concat(parts);
}

const chunks = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 6 });

test('a run that was killed at any byte goes on behind the last commit: the same bytes, the same digest', async () => {
  await fc.assert(
    fc.asyncProperty(chunks, chunks, fc.nat({ max: 300 }), async (before, after, more) => {
      const id = newId();
      const first = await files.create(job(id, 2, null));
      for (const chunk of before) await first.append(Buffer.from(chunk));
      const committed = job(id, 3, first, 2);
      // Written, perhaps in part, and not committed.
      await first.append(Buffer.alloc(300, 7));
      truncateSync(pathOf(id, 2), committed.fileBytes + more);
      await first.close();

      const second = await files.resume(committed);
      if (second === null) throw new Error('It started over.');
      for (const chunk of after) await second.append(Buffer.from(chunk));
      const sha256 = await second.finish();
      const whole = Buffer.concat([...before, ...after]);
      const done = job(id, 3, second);
      expect(done.plainBytes).toBe(whole.length);
      expect(sha256).toEqual(createHash('sha256').update(whole).digest());
      expect(await contentOf(done)).toEqual(whole);
      await files.remove(done, 3);
      expect(await files.ids('T-CN')).toEqual([id]);
      await files.remove(done);
      expect(await files.ids('T-CN')).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

test('a file that lost or changed committed bytes is not gone on with', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), async (place, shorter) => {
      const id = newId();
      const file = await files.create(job(id, 2, null));
      for (const text of ['one', 'two', 'three']) await file.append(Buffer.from(text));
      await file.close();
      const target = pathOf(id, 2);
      const at = place % statSync(target).size;
      if (shorter) truncateSync(target, at);
      else {
        const bytes = readFileSync(target);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        writeFileSync(target, bytes);
      }
      expect(await files.resume(job(id, 3, file, 2))).toBeNull();
      await files.remove({ tenant: 'T-CN', id });
    }),
    { numRuns: 40 },
  );
  expect(await files.resume({ ...job(newId(), 3, null, 2), fileBytes: 10, fileFrames: 1 })).toBeNull();
});

test('the file is for its owner alone, nothing in it is clear, and a finished one is checked for its length', async () => {
  const id = newId();
  const file = await files.create(job(id, 2, null));
  await file.append(Buffer.from('Canary of a patient'));
  await file.finish();
  const row = job(id, 2, file);
  expect(statSync(pathOf(id, 2)).mode & 0o777).toBe(0o600);
  expect(statSync(path.join(directory, 'T-CN')).mode & 0o777).toBe(0o700);
  expect(readFileSync(pathOf(id, 2)).includes('Canary')).toBe(false);
  await files.check(row);
  truncateSync(pathOf(id, 2), row.fileBytes - 1);
  await expect(files.check(row)).rejects.toBeInstanceOf(Failure);
  await expect(contentOf(row)).rejects.toBeInstanceOf(Failure);
});
