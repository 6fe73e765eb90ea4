import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { LedgerReader } from '../ledger/reader.js';
import { GRACE_MILLISECONDS, KeyUseReconciliation, type UnwrapSource } from '../operation/key-use-reconciliation.js';
import { Database } from '../persistence/database.js';
import { AgentClient } from '../vault/agent-client.js';
import { UnwrapLogReader } from '../vault/agent-log-reader.js';
import { type CommandInput, onInterruption, withDatabase } from './command.js';

export const reconcileUsage = `npm run key-agent -- reconcile (--log L | --socket S --token F) [--ledger F] [--follow]

  Matches all that the agent gave out against the ledger, for somebody who does not trust the API's host, and prints what
  no record explains. Looks again after 45 s, within which a record must be there.
  --log     the folder of the agent's log, or a copy of it
  --ledger  a file with the auditor's login, postgresql://user:password@host:port/database; else the own one is used
  --follow  goes on until it is stopped`;

export const reconcileOptions = {
  log: { type: 'string' },
  socket: { type: 'string' },
  token: { type: 'string' },
  ledger: { type: 'string' },
  follow: { type: 'boolean' },
} as const;

const EVERY_MILLISECONDS = 5_000;
const AUDITOR_POOL = 2;

/** False where keys were given out that no record explains. */
export async function reconcile({ values }: CommandInput): Promise<boolean> {
  const { ledger } = values;
  if (typeof ledger !== 'string') {
    return withDatabase(readConfiguration(), ({ auditorUrl }) => reconcileWith(values, auditorUrl));
  }
  const url = await readFile(path.resolve(ledger), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`The file of --ledger cannot be read (${error.code}).`);
  });
  return reconcileWith(values, url.trim());
}

async function reconcileWith(values: CommandInput['values'], auditorUrl: string): Promise<boolean> {
  const auditor = await Database.connect(auditorUrl, { maximum: AUDITOR_POOL, name: 'custodia auditor' });
  const ending = new AbortController();
  const ignore = onInterruption(() => ending.abort());
  const clock = new SystemClock();
  const run = new KeyUseReconciliation(sourceOf(values), new LedgerReader(auditor), clock);
  let unexplained = 0;
  try {
    const end = values['follow'] === true ? Infinity : clock.milliseconds() + GRACE_MILLISECONDS + EVERY_MILLISECONDS;
    for (let now = 0; now < end && !ending.signal.aborted;) {
      now = clock.milliseconds();
      await run.turn((found) => {
        for (const { n, time, tenant, use, references } of found) {
          process.stdout.write(`${JSON.stringify({ n, time, tenant, use, references })}\n`);
          unexplained += references.length;
        }
        return Promise.resolve();
      });
      // Nothing waits any more: what was given out until now is explained.
      if (run.idle && values['follow'] !== true) break;
      await pause(EVERY_MILLISECONDS, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new Refusal(`${error.message} Ask whoever runs the agent for the whole log.`);
    throw error;
  } finally {
    ignore();
    await auditor.close();
  }
  process.stderr.write(`${unexplained} keys that no record explains, up to line ${run.position.agent.n}\n`);
  return unexplained === 0;
}

function sourceOf({ log, socket, token }: CommandInput['values']): UnwrapSource {
  if (typeof log === 'string' && socket === undefined) return new UnwrapLogReader(path.resolve(log));
  if (typeof socket === 'string' && log === undefined) {
    const tokenFile = typeof token === 'string' ? token : `${socket}.token`;
    return AgentClient.of({ socket: path.resolve(socket), tokenFile: path.resolve(tokenFile) });
  }
  throw new Refusal(`Usage: ${reconcileUsage}`, 2);
}
