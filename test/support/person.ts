import type { Role } from '../../src/kernel/actor.js';
import { codeOf, nodesOf } from './outcome.js';
import type { Answer, Loose, TestSystem } from './system.js';

/** Somebody outside the staff, with an account of a tenant. */
export interface Person {
  /** The account's id. */
  readonly id: string;
  /** A new session: after the clock was moved, the one before may have ended. */
  signIn(): Promise<void>;
  ask(document: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
}

const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';
const REGISTER =
  'mutation($input: RegisterRelatedPersonInput!) { registerRelatedPerson(input: $input) { id version endAt status } }';

export async function person(
  system: TestSystem,
  role: Role & ('patient' | 'guardian'),
  name: string,
  tenant = 'T-CN',
): Promise<Person> {
  const [email, password] = [`${name}@person.example`, 'correct horse battery staple'];
  const { id } = await system.composition.identity.createAccount({ tenant, email, role, password });
  let token: string | null = null;
  const signIn = async () => {
    const answer = await system.send(SIGN_IN, { variables: { input: { tenant, email, password } } });
    token = String(answer.data['signIn'].accessToken);
  };
  return {
    id,
    signIn,
    ask: async (document, variables, headers) => {
      if (token === null) await signIn();
      return system.send(document, { purpose: 'PATRQT', token, variables, headers });
    },
  };
}

/** The front desk lets an account speak for a patient; the answer as it came. */
export function register(
  system: TestSystem,
  input: { patientId?: string; accountId: string; relationship: string; evidence?: string },
  tenant = 'T-CN',
): Promise<Answer> {
  return system.ask('front_desk', REGISTER, { tenant, variables: { input } });
}

/** A person who speaks for a patient from the first request on. */
export async function represented(
  system: TestSystem,
  role: 'patient' | 'guardian',
  patientId: string,
  tenant = 'T-CN',
): Promise<Person & { readonly relation: Loose }> {
  const one = await person(system, role, `${role}-${patientId.slice(-6)}`, tenant);
  const relationship = role === 'patient' ? 'SELF' : 'GUARDIAN';
  const answer = await register(
    system,
    { patientId, accountId: one.id, relationship, evidence: 'household register' },
    tenant,
  );
  if (codeOf(answer) !== 'none') throw new Error(`The ${role} was not registered: ${answer.text}`);
  return { ...one, relation: answer.data['registerRelatedPerson'] as Loose };
}

const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
const TEAMS = '{ careTeams(first: 50) { edges { node { id name } } } }';
const ASSIGN = 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id } }';

/** A new patient of a tenant, in the care of these teams of the demo organisation; the id. */
export async function admit(
  system: TestSystem,
  values: { readonly name: string; readonly birthDate?: string; readonly phone?: string; readonly nationalId?: string },
  teams: readonly string[] = [],
  tenant = 'T-CN',
): Promise<string> {
  const created = await system.ask('front_desk', CREATE, { tenant, variables: { input: values } });
  const patientId = String(created.data['createPatient'].id);
  const known =
    teams.length === 0 ? [] : nodesOf((await system.ask('front_desk', TEAMS, { tenant })).data['careTeams']);
  for (const name of teams) {
    const careTeamId = known.find((one) => one['name'] === name)?.['id'];
    await system.ask('front_desk', ASSIGN, { tenant, variables: { input: { patientId, careTeamId } } });
  }
  return patientId;
}
