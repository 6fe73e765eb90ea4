import { mkdtempSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Gives the run a directory. The first test that needs PostgreSQL starts it in there (see postgres.ts). */
export default function globalSetup(): void {
  const directory = mkdtempSync(path.join(tmpdir(), 'custodia-test-'));
  chmodSync(directory, 0o711);
  process.env.TEST_RUN_DIRECTORY = directory;
  process.env.TEST_RUN_PROCESS = String(process.pid);
}
