import { Refusal } from '../src/config/refusal.js';
import { listBody, pageOf, type Answer } from './work.js';

/** Sends one GraphQL request outside the measured time. */
export async function post(port: number, headers: Readonly<Record<string, string>>, body: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return (await response.json()) as Answer;
}

/** Signs in and gives the headers of a caller who states this purpose. */
export async function signIn(
  port: number,
  account: { readonly tenant: string; readonly email: string; readonly password: string },
  purpose: string,
): Promise<Record<string, string>> {
  const query = 'mutation SignIn($input: SignInInput!) { signIn(input: $input) { accessToken } }';
  const { tenant, email, password } = account;
  const answer = await post(port, {}, JSON.stringify({ query, variables: { input: { tenant, email, password } } }));
  const session = answer.data?.['signIn'] as { accessToken: string } | null | undefined;
  if (!session) throw new Refusal(`The sign-in failed: ${answer.errors?.[0]?.message}`);
  return { authorization: `Bearer ${session.accessToken}`, 'x-purpose-of-use': purpose };
}

/** Walks a list to its end once and gives the cursor of every page but the last two, which may be short or hold others. */
export async function walk(
  port: number,
  headers: Readonly<Record<string, string>>,
  patients: number,
): Promise<(string | null)[]> {
  const cursors: (string | null)[] = [];
  for (let after: string | null = null, more = true; more && cursors.length * 20 < patients;) {
    cursors.push(after);
    const { pageInfo } = pageOf(await post(port, headers, listBody(['id'], after)));
    after = pageInfo.endCursor;
    more = pageInfo.hasNextPage;
  }
  return cursors.slice(0, -2);
}
