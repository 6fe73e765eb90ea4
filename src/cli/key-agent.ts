import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { Log } from '../telemetry/log.js';
import { AgentKeys } from '../vault/agent-keys.js';
import { UnwrapLog } from '../vault/agent-log.js';
import { UnwrapRate } from '../vault/agent-rate.js';
import { AgentServer } from '../vault/agent-server.js';
import { FileRootKeyProvider } from '../vault/root-key.js';
import { type CommandInput, onInterruption, runCommand } from './command.js';
import { reconcile, reconcileOptions, reconcileUsage } from './key-agent-reconcile.js';

const usage = `Usage: npm run key-agent -- --directory D --socket S [--token F] [--rate N] [--burst N]

  Keeps the root key and gives single keys of patients to the API over a socket. Runs as a user of its own; the API's user
  shares a group with it that may enter the socket's directory. Each batch of keys is in the log before it is given out.
  --directory  holds root.key, made at the first start (0700), and the log, in the folder "log"
  --socket     the socket, mode 0660
  --token      the file with the token that clients show (S.token): made when it is missing, mode 0640
  --rate       keys of patients a second for each tenant (1000)
  --burst      how many at once after a quiet time (20 times the rate)

       ${reconcileUsage}

  Exit code 0: done; 1: not done, and why, or keys that no record explains; 2: wrong use.`;

const serveOptions = {
  directory: { type: 'string' },
  socket: { type: 'string' },
  token: { type: 'string' },
  rate: { type: 'string' },
  burst: { type: 'string' },
} as const;
const RATE = 1_000;
const BURST_SECONDS = 20;

await runCommand({
  usage,
  words: [0, 1],
  options: { ...serveOptions, ...reconcileOptions },
  async run({ values, positionals: [verb] }) {
    if (verb === 'reconcile') return reconcile({ values, positionals: [] });
    if (verb !== undefined) throw new Refusal(usage, 2);
    return serve(values);
  },
});

async function serve(values: CommandInput['values']): Promise<void> {
  const { directory, socket } = values;
  if (typeof directory !== 'string' || typeof socket !== 'string') throw new Refusal(usage, 2);
  // What is made here is for this user and his group: the socket must not be open to others for a moment.
  process.umask(0o007);
  const logDirectory = path.join(path.resolve(directory), 'log');
  await mkdir(path.resolve(directory), { recursive: true, mode: 0o700 });
  const unwraps = await UnwrapLog.open(logDirectory);
  // The agent has no database: where it has given out keys before, the root key is not a new one.
  const root = await FileRootKeyProvider.open(path.resolve(directory), unwraps.end.n > 0);
  const rate = numberOf(values['rate'], RATE);
  const clock = new SystemClock();
  const log = new Log('info');
  const server = await AgentServer.listen(path.resolve(socket), {
    keys: new AgentKeys({
      root,
      log: unwraps,
      rate: new UnwrapRate(clock, rate, numberOf(values['burst'], rate * BURST_SECONDS)),
      clock,
    }),
    log: unwraps,
    logDirectory,
    token: await tokenIn(typeof values['token'] === 'string' ? values['token'] : `${socket}.token`),
    rootId: root.id,
    refused: () => log.warn('key agent refused'),
  });
  log.info('key agent ready');
  log.flush();
  await new Promise((resolve) => onInterruption(resolve));
  await server.close();
  await unwraps.close();
  log.flush();
}

/** Linked into its place when it is whole, so that a client never reads half a token. */
async function tokenIn(file: string): Promise<string> {
  const place = path.resolve(file);
  const draft = `${place}.${process.pid}`;
  await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o640 });
  await link(draft, place)
    .catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw new Refusal(`The token ${place} cannot be made (${error.code}).`);
    })
    .finally(() => rm(draft, { force: true }));
  if (((await stat(place)).mode & 0o027) !== 0) {
    throw new Refusal(
      `The token ${place} can be read or changed by others than its owner and group: set its mode to 0640.`,
    );
  }
  return (await readFile(place, 'utf8')).trim();
}

function numberOf(text: unknown, absent: number): number {
  if (text === undefined) return absent;
  if (typeof text === 'string' && /^[1-9]\d{0,7}$/.test(text)) return Number(text);
  throw new Refusal('A rate is a whole number from 1.', 2);
}
