import path from 'node:path';
import type { Configuration } from '../config/configuration.js';
import type { DemoOrganisation, DemoUser } from '../demo/organisation.js';

/** What a person sees when the system is up: a sign-in and a first query to paste, and where everybody's door is. */
export function welcome(configuration: Configuration, endpoint: string, demo: DemoOrganisation | null): string {
  const data = path.relative(process.cwd(), configuration.dataDirectory) || '.';
  const agent = demo?.users.find((user) => user.tenant === 'T-CN' && user.role === 'call_center_agent');
  const lines = [
    '',
    ...(agent === undefined ? [] : firstQuery(endpoint, agent, data)),
    'Auditors:       npm run audit:verify            the verifier alone: audit/verify.mjs, its format: audit/FORMAT.md',
    'Security team:  npm run policy -- validate      the policies: policies/*.yaml, their cases: npm run policy -- test',
    `Health:         ${endpoint.replace('/graphql', '/readyz')}   figures: ${endpoint.replace('/graphql', '/metrics')}`,
    ...(configuration.profile === 'trial' ? ['', TRIAL] : []),
    '',
    `ready ${endpoint}`,
  ];
  return `${lines.join('\n')}\n`;
}

const TRIAL =
  'This is the trial profile: database, keys and checkpoints are in one folder, so whoever has the folder has everything.';

function firstQuery(endpoint: string, agent: DemoUser, data: string): string[] {
  const signIn = JSON.stringify({
    query: 'mutation($i: SignInInput!){ signIn(input: $i){ accessToken } }',
    variables: { i: { tenant: agent.tenant, email: agent.email, password: agent.password } },
  });
  const query = JSON.stringify({ query: '{ patients(first: 3){ edges { node { id name phone birthDate } } } }' });
  return [
    `Demo accounts, one per role and tenant: ${data}/demo.json. A call-centre agent signs in and lists patients:`,
    '',
    `TOKEN=$(curl -s ${endpoint} -H 'content-type: application/json' -d '${signIn}' | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')`,
    `curl -s ${endpoint} -H 'content-type: application/json' -H "authorization: Bearer $TOKEN" -H 'x-purpose-of-use: HOPERAT' -d '${query}'`,
    '',
  ];
}
