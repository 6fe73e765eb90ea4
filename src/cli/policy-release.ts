import { Refusal } from '../config/refusal.js';
import { proposePolicy, type PolicyFile } from '../operation/policy-proposal.js';
import {
  activatePolicy,
  approvePolicy,
  policyRelease,
  policyReleases,
  rollbackPolicy,
  shadowPolicy,
  type PolicyReleaseConnection,
} from '../operation/policy-release.js';
import type { PolicyReleaseView } from '../operation/policy-view.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import type { CommandInput } from './command.js';
import { redecide } from './policy-redecide.js';
import { sessionOptions, sessionUsage, withSession, type PolicySession } from './policy-session.js';
import { directoryOption, print, sourceOf, type Verb } from './policy-verb.js';

const SHORTEST_HASH = 8;
const MOST_RELEASES = 1_000;

const propose: Verb = {
  usage: `npm run policy -- propose --tenant T --email E --note TEXT [--directory D]

  proposes the policies of the directory, for everybody: what is wrong with them is printed by file and line, exit 1
  --note             what the change is for
  ${sessionUsage}`,
  options: { ...sessionOptions, ...directoryOption, note: { type: 'string' } },
  async run(input) {
    const { note } = input.values;
    if (typeof note !== 'string') throw new Refusal('--note is missing.', 2);
    const source = sourceOf(input);
    return withSession(input, async ({ composition, run }) => {
      const files = changedFiles(await loaderOf(composition).baseline(), source.texts);
      const proposed = await run(proposePolicy, { files, note });
      for (const { file, line, message } of proposed.problems) print(`${file}:${line}: ${message}`);
      if (proposed.problems.length > 0) print(`${proposed.problems.length} problems, nothing is stored`);
      else print(described('proposed', proposed));
      for (const notice of proposed.notices) print(`notice: ${notice}`);
      return proposed.problems.length === 0;
    });
  },
};

const approve: Verb = {
  usage: `npm run policy -- approve <hash or version> --tenant T --email E

  approves what another person proposed; what it removes of cases and invariants is printed before the code is asked for`,
  options: sessionOptions,
  words: 1,
  run: (input) =>
    step(input, 'approved', async ({ run }, hash) => {
      const { notices } = await run(policyRelease, { hash });
      for (const notice of notices) print(`notice: ${notice}`);
      return run(approvePolicy, { hash });
    }),
};

const activate: Verb = {
  usage: `npm run policy -- activate <hash or version> --tenant T --email E

  puts an approved release in force: running servers have it within five seconds`,
  options: sessionOptions,
  words: 1,
  run: (input) => step(input, 'in force', ({ run }, hash) => run(activatePolicy, { hash })),
};

const rollback: Verb = {
  usage: `npm run policy -- rollback <hash or version> --tenant T --email E

  puts a release in force again that was in force before`,
  options: sessionOptions,
  words: 1,
  run: (input) => step(input, 'in force', ({ run }, toHash) => run(rollbackPolicy, { toHash })),
};

const shadow: Verb = {
  usage: `npm run policy -- shadow <hash, version or none> --tenant T --email E

  asks a release beside the one in force and logs where it would decide otherwise; none: ends that`,
  options: sessionOptions,
  words: 1,
  async run(input) {
    if (input.positionals[0] !== 'none') {
      return step(input, 'in shadow', ({ run }, hash) => run(shadowPolicy, { hash }) as Promise<PolicyReleaseView>);
    }
    await withSession(input, ({ run }) => run(shadowPolicy, { hash: null }));
    print('no shadow');
  },
};

const releases: Verb = {
  usage: `npm run policy -- releases --tenant T --email E

  lists the releases, the highest version first`,
  options: sessionOptions,
  async run(input) {
    await withSession(input, async ({ run }) => {
      let after: string | null = null;
      do {
        const page: PolicyReleaseConnection = await run(policyReleases, { first: 50, after });
        for (const { node } of page.edges) print(described(node.state.toLowerCase(), node));
        after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
      } while (after !== null);
    });
  },
};

/** The verbs of `npm run policy` that change what is in force, and the replay of what was decided. */
export const releaseVerbs: Readonly<Record<string, Verb>> = {
  propose,
  approve,
  activate,
  rollback,
  shadow,
  releases,
  redecide,
};

async function step(
  input: CommandInput,
  done: string,
  take: (session: PolicySession, hash: string) => Promise<PolicyReleaseView>,
): Promise<void> {
  const [named = ''] = input.positionals;
  await withSession(input, async (session) => {
    const hash = await hashOf(loaderOf(session.composition), named);
    print(described(done, await take(session, hash)));
  });
}

/** The release that somebody means by its version or the beginning of its hash. */
async function hashOf({ store }: ReleaseLoader, named: string): Promise<string> {
  const all = await store.releases(null, MOST_RELEASES);
  const meant = all.filter(({ hash, version }) =>
    /^\d{1,7}$/.test(named) ? version === Number(named) : named.length >= SHORTEST_HASH && hash.startsWith(named),
  );
  const [release, ...others] = meant;
  if (release !== undefined && others.length === 0) return release.hash;
  throw new Refusal(
    others.length > 0 ? 'More than one release is meant: name its hash.' : 'There is no such release.',
    2,
  );
}

function loaderOf({ policy }: PolicySession['composition']): ReleaseLoader {
  if (policy.releases !== null) return policy.releases;
  throw new Refusal('The policies of this installation are those of a directory.');
}

/** What differs from the release in force; what is no file of the directory any more, without text. */
function changedFiles(base: Readonly<Record<string, string>>, texts: ReadonlyMap<string, string>): PolicyFile[] {
  const names = new Set([...Object.keys(base), ...texts.keys()]);
  return [...names]
    .filter((name) => base[name] !== texts.get(name))
    .map((name) => ({ name, text: texts.get(name) ?? null }));
}

function described(state: string, { version, hash, author, approver, note }: PolicyReleaseView): string {
  return `${state} version ${version} hash ${hash} author ${author} approver ${approver ?? 'none'} (${note})`;
}
