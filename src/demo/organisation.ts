import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Composition } from '../composition.js';
import { assignCareTeam } from '../domain/care-team/assign-care-team.js';
import { createCareTeam } from '../domain/care-team/create-care-team.js';
import { recordDiagnosis } from '../domain/diagnosis/record-diagnosis.js';
import { createPatient } from '../domain/patient/create-patient.js';
import { updatePatient } from '../domain/patient/update-patient.js';
import { createVisit } from '../domain/visit/create-visit.js';
import type { Actor, Role } from '../kernel/actor.js';
import { dayIn, instantText } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { Document } from '../operation/document.js';
import type { OperationDefinition } from '../operation/operation.js';
import { selectFields } from '../operation/selection.js';
import type { View } from '../operation/view.js';
import { CANARY, DEMO_ROLES, DEMO_TENANTS, demoPatients, type DemoPatient } from './people.js';

export interface DemoUser {
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
  readonly email: string;
  readonly password: string;
  /** No account has a second factor yet. */
  readonly totpSecret: string | null;
}

/** `demo.json`: where the API is, who can sign in, and which patients there are. Passwords in clear: mode 0600. */
export interface DemoOrganisation {
  readonly endpoint: string;
  readonly users: readonly DemoUser[];
  readonly patients: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * Loads the demo organisation through the same door as everybody: accounts by identity, then patients, teams, visits and
 * diagnoses by the roles that may write them. The file is written last; without it the next start takes up the loading
 * where it stopped, by idempotency keys.
 */
export async function loadDemo(
  composition: Composition,
  directory: string,
  endpoint: string,
): Promise<DemoOrganisation> {
  const file = path.join(directory, 'demo.json');
  if (existsSync(file)) {
    const known = JSON.parse(await readFile(file, 'utf8')) as DemoOrganisation;
    return keep(file, { ...known, endpoint });
  }
  const users: DemoUser[] = [];
  const patients: Record<string, Record<string, string>> = {};
  for (const tenant of DEMO_TENANTS) {
    const accounts = await Promise.all(DEMO_ROLES.map((role) => account(composition, tenant.id, role)));
    users.push(...accounts);
    patients[tenant.id] = await new DemoTenant(composition, accounts, tenant.timeZone).load(demoPatients(tenant.id));
  }
  return keep(file, { endpoint, users, patients });
}

/** The password follows from the keys of this installation: loading that was interrupted can be taken up again. */
async function account({ identity, vault }: Composition, tenant: string, role: Role): Promise<DemoUser> {
  const email = `${role.replaceAll('_', '-')}@${tenant.toLowerCase()}.example`;
  const password = vault.keyedDigest('system', 'demo-password', email).toString('base64url').slice(0, 16);
  const { id } = await identity.createAccount({ tenant, email, role, password });
  return { id, tenant, role, email, password, totpSecret: null };
}

/** Loads one tenant's patients, acting as its own people. */
class DemoTenant {
  private readonly actors = new Map<Role, Actor>();

  constructor(
    private readonly composition: Composition,
    private readonly users: readonly DemoUser[],
    private readonly timeZone: string,
  ) {}

  async load(patients: readonly DemoPatient[]): Promise<Record<string, string>> {
    const members = (roles: readonly Role[]) =>
      this.users.filter((user) => roles.includes(user.role)).map((user) => user.id);
    const ward = await this.run('ward', 'integrator', 'PATADMIN', createCareTeam, {
      name: 'Ward 1',
      memberIds: members(['physician', 'nurse']),
    });
    const calls = await this.run('calls', 'integrator', 'PATADMIN', createCareTeam, {
      name: 'Follow-up calls',
      memberIds: members(['call_center_agent']),
    });
    const ids: Record<string, string> = {};
    for (const patient of patients) ids[patient.key] = await this.admit(patient, ward.id, calls.id);
    for (const actor of this.actors.values()) await this.composition.identity.signOut(actor);
    return ids;
  }

  private async admit(patient: DemoPatient, ward: string, calls: string): Promise<string> {
    const { key, onWard, visitsToday, diagnosis, notes, born, ...values } = patient;
    const birthDate = typeof born === 'string' ? born : this.birthDateOf(born);
    const { id, version } = await this.run(key, 'front_desk', 'PATADMIN', createPatient, { ...values, birthDate });
    if (onWard)
      await this.run(`${key} ward`, 'front_desk', 'PATADMIN', assignCareTeam, { patientId: id, careTeamId: ward });
    if (key === 'PT1')
      await this.run(`${key} calls`, 'front_desk', 'PATADMIN', assignCareTeam, { patientId: id, careTeamId: calls });
    await this.run(`${key} visit`, 'front_desk', 'PATADMIN', createVisit, {
      patientId: id,
      status: visitsToday ? 'planned' : 'finished',
      class: 'AMB',
      start: this.instant(visitsToday ? 0 : -30),
      department: 'Internal medicine',
    });
    if (notes !== undefined) {
      await this.run(`${key} notes`, 'physician', 'TREAT', updatePatient, {
        id,
        version: Number(version),
        input: { notes },
      });
      await this.run(`${key} second visit`, 'physician', 'TREAT', createVisit, {
        patientId: id,
        status: 'finished',
        start: this.instant(-10),
        reasonCode: 'E11.9',
        reason: `Check of blood glucose ${CANARY}`,
      });
    }
    if (diagnosis !== undefined)
      await this.run(`${key} diagnosis`, 'physician', 'TREAT', recordDiagnosis, { patientId: id, ...diagnosis });
    return id;
  }

  private async run<Arguments>(
    step: string,
    role: Role,
    purpose: string,
    operation: OperationDefinition<Arguments, View>,
    input: Arguments,
  ): Promise<View> {
    const actor = await this.actor(role);
    const facts = {
      requestId: newId(),
      purpose,
      reason: null,
      idempotencyKey: `demo ${step}`,
      clientAddress: '127.0.0.1',
    };
    const document = new Document(actor, facts, null);
    const { operations, answering } = this.composition;
    try {
      return await operations.run(operation, document, input, selectFields('id', 'version'));
    } finally {
      await answering.settle(document, null);
    }
  }

  private async actor(role: Role): Promise<Actor> {
    const known = this.actors.get(role);
    if (known !== undefined) return known;
    const user = this.users.find((one) => one.role === role);
    if (user === undefined) throw new Error(`The demo organisation has no ${role}.`);
    const facts = { requestId: newId(), purpose: null, reason: null, idempotencyKey: null, clientAddress: '127.0.0.1' };
    const document = new Document(null, facts, null);
    const { actor } = await this.composition.sessions.signIn(document, user);
    await this.composition.answering.settle(document, null);
    this.actors.set(role, actor);
    return actor;
  }

  private birthDateOf(age: number): string {
    const now = this.composition.clock.now();
    return instantText(Date.UTC(now.getUTCFullYear() - age, now.getUTCMonth() - 3, 15)).slice(0, 10);
  }

  /** Noon of the tenant's day, so that an interrupted loading asks for the same again. */
  private instant(days: number): string {
    const today = dayIn(this.timeZone, this.composition.clock.now());
    return instantText(today.start.getTime() + days * 86_400_000 + 43_200_000);
  }
}

/** Written whole or not at all. */
async function keep(file: string, demo: DemoOrganisation): Promise<DemoOrganisation> {
  await writeFile(`${file}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return demo;
}
