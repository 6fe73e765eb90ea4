import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import type { Report } from './report.mjs';
import { VKEY, writeLog, type Files } from './sample-log.js';
import { verifyDirectory } from './verify.mjs';

/** A copy of the bytes with bits of one of them flipped. */
export function flip(bytes: Buffer, at: number, mask = 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= mask;
  return copy;
}

/** The classes of a report's faults, each once, by index. */
export function classes(report: Report): string[] {
  return [...new Set(report.faults.map((fault) => fault.class))];
}

/** A temporary directory for logs that differ from a clean one; removed after the tests of the file. */
export function sampleDirectory(clean: Files) {
  const directory = mkdtempSync(join(tmpdir(), 'custodia-audit-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const file = (path: string): string => join(directory, path);
  const verify = (checkpoints: string[] = []): Promise<Report> =>
    verifyDirectory(directory, { vkeys: [VKEY], checkpoints });
  return {
    directory,
    file,
    verify,
    write(log: Partial<Files> = {}): void {
      writeLog(directory, { ...clean, ...log });
    },
    verifyLog(log: Partial<Files>, checkpoints: string[] = []): Promise<Report> {
      this.write(log);
      return verify(checkpoints);
    },
    flipInFile(path: string, at: number, mask = 1): void {
      writeFileSync(file(path), flip(readFileSync(file(path)), at, mask));
    },
  };
}
