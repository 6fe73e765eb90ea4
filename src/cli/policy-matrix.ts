import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { askRoleMatrix, type AskAs, type CellResult } from '../demo/role-matrix.js';
import type { DemoOrganisation } from '../demo/organisation.js';
import { registry } from '../kernel/attribute.js';
import { PolicyEngine } from '../policy/engine.js';
import { PolicySource } from '../policy/source.js';
import { readRoleMatrix } from '../policy/role-matrix.js';
import { print, type Verb } from './policy-verb.js';

const TENANT = 'T-CN';
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';

export const matrix: Verb = {
  usage: `npm run policy -- matrix

  asks a running trial server for every cell of policies/matrix/roles.yaml, as the accounts of its demo organisation, and
  says which cells are not what they are meant to be, and which wait for something that does not exist yet`,
  options: {},
  async run() {
    const demo = readDemo();
    const engine = PolicyEngine.load(PolicySource.directory('policies'), registry, { lazy: true });
    const cells = readRoleMatrix(path.resolve('policies'), registry);
    const classOf = engine.classOf.bind(engine);
    const results = await askRoleMatrix(cells, askerOf(demo), TENANT, demo.patients[TENANT] ?? {}, classOf);
    for (const result of results) print(lineOf(result));
    const counts = Object.groupBy(results, ({ cell, differences }) =>
      cell.waits !== null ? 'waiting' : differences.length === 0 ? 'equal' : 'different',
    );
    const count = (name: keyof typeof counts) => counts[name]?.length ?? 0;
    print(`${count('equal')} cells equal, ${count('different')} different, ${count('waiting')} waiting`);
    return count('different') === 0;
  },
};

function lineOf({ cell, compared, differences }: CellResult): string {
  const place = [cell.role.padEnd(17), cell.purpose.padEnd(9), cell.group.padEnd(5), cell.display.padEnd(36)].join(' ');
  if (cell.waits !== null) return `${place} waits: ${cell.waits}`;
  return `${place} ${differences.length === 0 ? `equal (${compared})` : `different: ${differences.join('; ')}`}`;
}

function readDemo(): DemoOrganisation {
  const file = path.join(readConfiguration().dataDirectory, 'demo.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as DemoOrganisation;
  } catch {
    throw new Refusal('There is no demo organisation: run "npm start" once, and let it run.');
  }
}

/** Signs each role in once, and asks. */
function askerOf({ endpoint, users }: DemoOrganisation): AskAs {
  const tokens = new Map<string, string>();
  const send = async (headers: Record<string, string>, query: string, variables: object) => {
    const body = JSON.stringify({ query, variables });
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body };
    const response = await fetch(endpoint, init).catch(() => {
      throw new Refusal('No server answers: run "npm start" in another shell.');
    });
    return ((await response.json()) as { data?: Record<string, unknown> | null }).data ?? null;
  };
  return async (role, purpose, document, variables) => {
    let token = tokens.get(role);
    if (token === undefined) {
      const user = users.find((one) => one.role === role && one.tenant === TENANT);
      const input = { tenant: TENANT, email: user?.email, password: user?.password };
      const session = (await send({}, SIGN_IN, { input }))?.['signIn'] as { accessToken: string } | null;
      token = session?.accessToken ?? '';
      tokens.set(role, token);
    }
    return send({ authorization: `Bearer ${token}`, 'x-purpose-of-use': purpose }, document, variables);
  };
}
