import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Configuration, readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { isRunning, startEmbedded } from '../persistence/embedded.js';
import { passwordsIn } from '../persistence/login.js';
import { EMBEDDED_DATABASE, embeddedUrl } from '../persistence/preparation.js';
import { Pace } from './backup-file.js';
import { makeBackup } from './backup-make.js';
import { pruneBackups, STANDARD_BACKUP_RETENTION } from './backup-prune.js';
import { verifyBackup } from './backup-verify.js';
import { type CommandInput, onInterruption, runCommand } from './command.js';

const { days, keyDays } = STANDARD_BACKUP_RETENTION;
const usage = `Usage: npm run backup -- <directory> [--verify] [--no-files] [--megabytes-per-second N]
       npm run backup -- verify <backup> [--keys <later backup>]
       npm run backup -- prune <directory> [--keep-days ${days}] [--keep-keys-days ${keyDays}]

  Makes one encrypted backup of one state of the database, while the system runs: every table, the positions of sequences, and
  the sealed files of attachments and of the ledger's archive. It opens with the root key and with nothing else. Not in it, and
  to be kept in other places: root key, keys of the ledger and of the policies, and the checkpoints, which guard against older
  databases. Of the job queue nothing is kept: it is made again from the tables.
  An external server needs a login in DATABASE_URL that sees every row; it needs no right to write.

  --verify        restores the backup into a server of its own, compares every table, verifies the ledger, removes it again
  --no-files      leaves out attachments and archive, which are written once, where something else copies their directories
  --megabytes-per-second   writes no faster than that
  verify          the same check for a backup that exists; --keys where its own keys were pruned
  prune           deletes backups after --keep-days and their wrapped keys after --keep-keys-days. The newest one stays;
                  when it is older than the keys may be, the exit code is 1

  Exit code 0: done; 1: not done, or a log of the ledger is not in order; 2: wrong use.`;

const text = { type: 'string' } as const;
await runCommand({
  usage,
  options: {
    verify: { type: 'boolean' },
    'no-files': { type: 'boolean' },
    'megabytes-per-second': text,
    keys: text,
    'keep-days': text,
    'keep-keys-days': text,
  },
  words: [1, 2],
  async run(input) {
    const [first = '', second] = input.positionals;
    if (second === undefined) return make(first, input);
    if (first === 'prune') return prune(second, input);
    if (first === 'verify') return verify(second, input);
    throw new Refusal(usage, 2);
  },
});

async function make(directory: string, { values }: CommandInput): Promise<boolean> {
  const configuration = readConfiguration();
  const megabytes = whole(values, 'megabytes-per-second');
  const made = await withReader(configuration, (url) =>
    makeBackup({
      directory: path.resolve(directory),
      configuration,
      url,
      clock: new SystemClock(),
      pace: new Pace(megabytes === null ? null : megabytes * 1_000_000),
      files: values['no-files'] !== true,
    }),
  );
  const { name, manifest, rows, bytes } = made;
  try {
    return values['verify'] !== true || (await verifyBackup(made.directory, made.directory, configuration));
  } finally {
    process.stdout.write(`backup ${name} ${manifest.tables.length} tables ${rows} rows ${bytes} bytes\n`);
  }
}

async function verify(directory: string, { values }: CommandInput): Promise<boolean> {
  const place = path.resolve(directory);
  const keys = typeof values['keys'] === 'string' ? path.resolve(values['keys']) : place;
  const verified = await verifyBackup(place, keys, readConfiguration());
  if (verified) process.stdout.write(`verified ${path.basename(place)}\n`);
  return verified;
}

async function prune(directory: string, { values }: CommandInput): Promise<boolean> {
  const retention = {
    days: whole(values, 'keep-days') ?? days,
    keyDays: whole(values, 'keep-keys-days') ?? keyDays,
  };
  const { backups, keys, overdue } = await pruneBackups(path.resolve(directory), retention, new SystemClock());
  for (const name of keys) process.stdout.write(`keys of ${name} deleted\n`);
  for (const name of backups) process.stdout.write(`${name} deleted\n`);
  if (overdue !== null) {
    process.stderr.write(
      `${overdue} stays although it is too old, because it is the newest: make a backup and prune again.\n`,
    );
  }
  process.stdout.write(`pruned ${backups.length} backups and the keys of ${keys.length}\n`);
  return overdue === null;
}

/** The URL of a login that sees every row: of DATABASE_URL, else the superuser of the embedded server. Nothing is migrated. */
async function withReader<T>(configuration: Configuration, work: (url: string) => Promise<T>): Promise<T> {
  const { databaseUrl, dataDirectory, databasePort } = configuration;
  if (databaseUrl !== null) return work(databaseUrl);
  if (!existsSync(path.join(dataDirectory, 'database.json'))) {
    throw new Refusal('There is no system in this data directory.');
  }
  const { superuser } = passwordsIn(dataDirectory);
  const running = await isRunning(dataDirectory);
  const started =
    running === null ? await startEmbedded({ dataDirectory, password: superuser, port: databasePort }) : null;
  const ignore = onInterruption((code) => {
    void Promise.resolve(started?.stop()).finally(() => process.exit(code));
  });
  try {
    const port = running?.port ?? started?.port ?? 0;
    return await work(embeddedUrl(port, 'postgres', superuser, EMBEDDED_DATABASE));
  } finally {
    ignore();
    await started?.stop();
  }
}

function whole(values: CommandInput['values'], name: string): number | null {
  const value = values[name];
  if (value === undefined) return null;
  if (typeof value === 'string' && /^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw new Refusal(`--${name} is a whole number from 1.\n${usage}`, 2);
}
