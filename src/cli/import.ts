import { existsSync } from 'node:fs';
import path from 'node:path';
import { compose, type Composition } from '../composition.js';
import { readConfiguration, type Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { Feed } from '../interop/fhir/feed.js';
import { importFiles, type ImportObserver, type Totals } from '../interop/fhir/import-files.js';
import { sourceFiles, type SourceFile } from '../interop/fhir/source-files.js';
import type { Actor } from '../kernel/actor.js';
import { newId } from '../kernel/identifier.js';
import { Document } from '../operation/document.js';
import { tenantCodes } from '../persistence/tenant.store.js';
import { execute, withDatabase, type CommandInput } from './command.js';

const usage = `Usage: npm run import -- fhir <directory or file> --tenant T [--care-team NAME] [--names]

  Takes the FHIR R4 bundles (*.json, transaction or collection) of a directory: each as a whole or not at all. What was
  imported before is left alone, so that an import can be repeated.
  --care-team  the care team that becomes responsible for the patients
  --names      names rejected files in full; without it by number and digest, because file names may be patients' names`;

const PROGRESS_MILLISECONDS = 2_000;

/** Runs the command: 0 all taken, 1 something was rejected or failed, 2 wrong use. */
export async function main(argv: string[]): Promise<number> {
  return execute(
    {
      usage,
      words: [2, 2],
      options: { tenant: { type: 'string' }, 'care-team': { type: 'string' }, names: { type: 'boolean' } },
      run: (input) => run(input, readConfiguration()),
    },
    argv,
  );
}

async function run({ values, positionals }: CommandInput, configuration: Configuration): Promise<boolean> {
  const [format, place = ''] = positionals;
  const { tenant, 'care-team': careTeam } = values;
  if (format !== 'fhir' || typeof tenant !== 'string') throw new Refusal(usage, 2);
  if (!existsSync(place)) throw new Refusal('There is no such directory or file.', 2);
  const files = await sourceFiles(place);
  if (files.length === 0) throw new Refusal('There is no *.json file in the directory.', 2);
  const totals = await withDatabase(configuration, async (database) => {
    const composition = await compose(configuration, database);
    try {
      return await withIntegrator(composition, tenant, async (actor) => {
        const feed = new Feed(composition.operations, composition.answering, actor);
        const careTeamId = typeof careTeam === 'string' ? await careTeamOf(feed, careTeam) : null;
        const progress = new Progress(values['names'] === true);
        return progress.during(importFiles(files, (text) => feed.take(text, careTeamId), progress));
      });
    } finally {
      await composition.close();
    }
  });
  process.stdout.write(report(totals));
  return totals.rejected === 0;
}

/**
 * Acts as the tenant's integrator: an account that exists for this command alone. Its password follows from the keys of the
 * installation, which whoever runs this command holds anyway. Its sign-in and sign-out are recorded like anybody's.
 */
async function withIntegrator<T>(
  { identity, sessions, answering, vault, sequencer }: Composition,
  tenant: string,
  work: (actor: Actor) => Promise<T>,
): Promise<T> {
  const tenants = await tenantCodes(sequencer);
  if (!tenants.includes(tenant)) {
    const others = tenants.length === 0 ? 'there is none yet: run npm start' : `there are ${tenants.join(', ')}`;
    throw new Refusal(`There is no such tenant; ${others}.`, 2);
  }
  const email = `import@${tenant.toLowerCase()}.invalid`;
  const password = vault.keyedDigest('system', 'machine-password', `${tenant} ${email}`).toString('base64url');
  await identity.createAccount({ tenant, email, role: 'integrator', password });
  const facts = { requestId: newId(), purpose: null, reason: null, idempotencyKey: null, clientAddress: null };
  const arrival = new Document(null, facts, null);
  const { actor } = await sessions
    .signIn(arrival, { tenant, email, password })
    .finally(() => answering.settle(arrival, null));
  try {
    return await work(actor);
  } finally {
    const departure = new Document(actor, { ...facts, requestId: newId() }, null);
    await sessions.signOut(departure);
    await answering.settle(departure, null);
  }
}

async function careTeamOf(feed: Feed, name: string): Promise<string> {
  const { id, names } = await feed.careTeam(name);
  if (id !== null) return id;
  throw new Refusal(`There is no such care team; there are: ${names.join(', ') || 'none'}.`, 2);
}

/** What the operator sees meanwhile: at a terminal a line every two seconds, elsewhere one for every tenth. */
class Progress implements ImportObserver {
  private line = '';
  private tenths = 0;

  constructor(private readonly withNames: boolean) {}

  async during(work: Promise<Totals>): Promise<Totals> {
    const timer = process.stderr.isTTY ? setInterval(() => this.show(), PROGRESS_MILLISECONDS) : undefined;
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  progress(done: number, all: number): void {
    this.line = `${done} of ${all} bundles`;
    const tenths = Math.floor((done * 10) / all);
    if (process.stderr.isTTY || tenths === this.tenths) return;
    this.tenths = tenths;
    this.show();
  }

  rejected(file: SourceFile, reason: string): void {
    const name = this.withNames ? ` ${path.basename(file.path)}` : '';
    process.stdout.write(`rejected ${file.label}${name}: ${reason}\n`);
  }

  private show(): void {
    if (this.line !== '') process.stderr.write(`${this.line}\n`);
  }
}

function report({ bundles, rejected, created, unchanged, skipped }: Totals): string {
  const types = [...new Set([created, unchanged, skipped].flatMap(Object.keys))].sort();
  const lines = types.map(
    (type) =>
      `${type}: ${created[type] ?? 0} created, ${unchanged[type] ?? 0} unchanged, ${skipped[type] ?? 0} skipped`,
  );
  const [c, u, s] = [created, unchanged, skipped].map((counts) => Object.values(counts).reduce((a, b) => a + b, 0));
  return [...lines, `${bundles} bundles: ${c} created, ${u} unchanged, ${s} skipped, ${rejected} rejected`, ''].join(
    '\n',
  );
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
