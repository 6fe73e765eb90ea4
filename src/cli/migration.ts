import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { migrations } from '../../migrations/list.js';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { schemaDifference } from '../mikro-orm.config.js';
import { startEmbedded } from '../persistence/embedded.js';
import { passwordsIn } from '../persistence/login.js';
import { prepareDatabase, prepareEmbedded } from '../persistence/preparation.js';
import { runCommand, withDatabase } from './command.js';

const usage = `Usage: npm run migration -- up | check

  up      brings the database to the newest state (npm start does that too)
  check   migrates a new, temporary database and compares it with the model files: exit 1 when a table differs`;

await runCommand({
  usage,
  words: [1, 1],
  async run({ positionals }) {
    if (positionals[0] === 'up') return up();
    if (positionals[0] === 'check') return check();
    throw new Refusal(usage, 2);
  },
});

async function up(): Promise<void> {
  await withDatabase(readConfiguration(), async ({ migrated }) => {
    process.stdout.write(`${migrated.length} migrations\n`);
  });
}

/** Compares the model files with a freshly migrated database, in a server of its own. */
async function check(): Promise<boolean> {
  const directory = mkdtempSync(path.join(tmpdir(), 'custodia-drift-'));
  chmodSync(directory, 0o711);
  try {
    const passwords = passwordsIn(directory);
    const server = await startEmbedded({
      dataDirectory: path.join(directory, 'server'),
      password: passwords.superuser,
      settings: { fsync: 'off' },
    });
    try {
      const { urls } = await prepareDatabase(await prepareEmbedded(server.port, passwords), passwords, migrations);
      const difference = await schemaDifference(urls.owner);
      process.stdout.write(difference === '' ? 'no drift\n' : `${difference}\ndrift: write a migration\n`);
      return difference === '';
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
