import { existsSync } from 'node:fs';
import path from 'node:path';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { registry } from '../kernel/attribute.js';
import { SystemClock } from '../kernel/clock.js';
import { grantSentenceOf, policyDifference, sentenceOf } from '../operation/policy-difference.js';
import { Database } from '../persistence/database.js';
import { tenantCodes } from '../persistence/tenant.store.js';
import { PolicyEngine } from '../policy/engine.js';
import { indexChanges } from '../policy/indexes.js';
import { ReleaseStore } from '../policy/release.store.js';
import { PolicySource } from '../policy/source.js';
import { withDatabase, type CommandInput } from './command.js';
import { directoryOption, print, sourceOf, type Verb } from './policy-verb.js';

const SHORTEST_HASH = 8;
const MOST_RELEASES = 1_000;

export const diff: Verb = {
  usage: `npm run policy -- diff --against A [--directory D] [--tenant T]

  who gains and who loses what, on the rows that are there now, where the policies of --directory take the place of those
  of --against; counts rows and reads no value; a statement for each question that the two answer differently
  --against    a directory of policies, or the version or the first eight or more characters of the hash of a release
  --tenant     one tenant only; else all, one after the other`,
  options: { ...directoryOption, against: { type: 'string' }, tenant: { type: 'string' } },
  async run(input: CommandInput): Promise<boolean> {
    const against = input.values['against'];
    if (typeof against !== 'string') throw new Refusal('--against is missing: the policies that were before.', 2);
    const after = PolicyEngine.load(sourceOf(input), registry, { lazy: true });
    await withDatabase(readConfiguration(), async ({ appUrl, sequencerUrl }) => {
      const known = await allTenants(sequencerUrl);
      const database = await Database.connect(appUrl, { maximum: 1, name: 'custodia policy diff' });
      try {
        const wanted = input.values['tenant'];
        const tenants = typeof wanted === 'string' ? known.filter((one) => one === wanted) : known;
        if (tenants.length === 0) throw new Refusal('There is no such tenant.', 2);
        const engines = { before: await engineOf(database, against), after };
        for (const change of indexChanges(engines.before.indexes, after.indexes)) print(change);
        for (const tenant of tenants) await ofTenant(database, tenant, engines);
      } finally {
        await database.close();
      }
    });
    return true;
  },
};

/** The application's role sees only the tenant that its connection is set to. */
async function allTenants(sequencerUrl: string): Promise<string[]> {
  const sequencer = await Database.connect(sequencerUrl, { maximum: 1, name: 'custodia policy diff' });
  return tenantCodes(sequencer).finally(() => sequencer.close());
}

/** Policies of a directory, or of a release that still has the content of its hash. */
async function engineOf(database: Database, against: string): Promise<PolicyEngine> {
  const lazily = (source: PolicySource) => PolicyEngine.load(source, registry, { lazy: true });
  const directory = path.resolve(against);
  if (existsSync(directory)) return lazily(PolicySource.directory(directory));
  const releases = await new ReleaseStore(database).releases(null, MOST_RELEASES);
  const found = releases.filter(({ hash, version }) => {
    return against === String(version) || (against.length >= SHORTEST_HASH && hash.startsWith(against));
  });
  const [release, ...others] = found;
  if (release === undefined) throw new Refusal('--against: there is no such directory and no such release.', 2);
  if (others.length > 0) throw new Refusal('--against: more than one release has this version: give its hash.', 2);
  const engine = lazily(PolicySource.of(`release ${release.version}`, new Map(Object.entries(release.files))));
  if (engine.hash !== release.hash) throw new Refusal('The content of this release is not that of its hash.');
  return engine;
}

async function ofTenant(
  database: Database,
  tenant: string,
  engines: { readonly before: PolicyEngine; readonly after: PolicyEngine },
): Promise<void> {
  const now = new SystemClock().now();
  const { changes, grants } = await policyDifference(database, tenant, engines, now);
  for (const change of changes) print(`${tenant}: ${sentenceOf(change)}`);
  for (const one of grants) print(`${tenant}: ${grantSentenceOf(one)}`);
  print(`${tenant}: ${changes.length + grants.length} changes`);
}
