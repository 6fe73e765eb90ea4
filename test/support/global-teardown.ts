import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Stops the PostgreSQL of each worker, where one was started, and deletes the run's directory. */
export default async function globalTeardown(): Promise<void> {
  const directory = process.env.TEST_RUN_DIRECTORY;
  if (directory === undefined) return;
  for (const server of readdirSync(directory).filter((name) => name.startsWith('server-'))) {
    const pidFile = path.join(directory, server, 'postgres', 'postmaster.pid');
    if (!existsSync(pidFile)) continue;
    process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'SIGINT');
    for (let waited = 0; existsSync(pidFile) && waited < 10_000; waited += 20) await pause(20);
  }
  rmSync(directory, { recursive: true, force: true });
}
