import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from '@jest/globals';
import { LogDirectory } from './directory.mjs';
import { Inspector } from './inspection.mjs';
import type { Report } from './report.mjs';
import { VKEY, writeLog, type Files } from './sample-log.js';
import { inspectSlice, type Slice, SlicedInspections } from './slices.mjs';
import { type StartInspections, type VerifyOptions, verifySource } from './verification.mjs';
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

/** Leaves every bundle to the walk, entry by entry. */
const noInspections: StartInspections = () => ({
  next: () => Promise.resolve({ part: null, inspected: null }),
  close: () => Promise.resolve(),
});

/** As threads do it, with as many joins as there can be, but in this one. */
const slices: StartInspections = (source, size, from, options) => {
  const inspect = (slice: Slice) => inspectSlice(source, size, options, new Inspector(options), slice);
  const inspector = () => ({ inspect, close: () => Promise.resolve() });
  return new SlicedInspections([inspector(), inspector()], size, from, 1);
};

/** The verdict on a directory, which is the same by whichever of these ways it is reached. */
async function verdictOn(directory: string, options: VerifyOptions, ways: StartInspections[]): Promise<Report> {
  const report = await verifyDirectory(directory, options);
  for (const start of ways) expect(await verifySource(new LogDirectory(directory), options, start)).toEqual(report);
  return report;
}

/** A temporary directory for logs that differ from a clean one; removed after the tests of the file. */
export function sampleDirectory(clean: Files) {
  const directory = mkdtempSync(join(tmpdir(), 'custodia-audit-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const file = (path: string): string => join(directory, path);
  const verify = (options: VerifyOptions = {}, ways = [slices]): Promise<Report> =>
    verdictOn(directory, { vkeys: [VKEY], ...options }, ways);
  return {
    directory,
    file,
    verify,
    write(log: Partial<Files> = {}): void {
      writeLog(directory, { ...clean, ...log });
    },
    verifyLog(log: Partial<Files>, options: VerifyOptions = {}): Promise<Report> {
      this.write(log);
      return verify(options, [slices, noInspections]);
    },
    flipInFile(path: string, at: number, mask = 1): void {
      writeFileSync(file(path), flip(readFileSync(file(path)), at, mask));
    },
  };
}
