import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Composition } from '../composition.js';
import { assignCareTeam } from '../domain/care-team/assign-care-team.js';
import { bookAppointment } from '../domain/appointment/book-appointment.js';
import { grantCompartment } from '../domain/compartment-grant/grant-compartment.js';
import { createCareTeam } from '../domain/care-team/create-care-team.js';
import { recordConsent } from '../domain/consent/record-consent.js';
import { DisclosureCategory, DisclosureChannel } from '../domain/disclosure/disclosure-category.js';
import { recordDisclosure } from '../domain/disclosure/record-disclosure.js';
import { recordDiagnosis } from '../domain/diagnosis/record-diagnosis.js';
import { createPatient } from '../domain/patient/create-patient.js';
import { updatePatient } from '../domain/patient/update-patient.js';
import { registerRelatedPerson } from '../domain/related-person/register-related-person.js';
import { createVisit } from '../domain/visit/create-visit.js';
import { totpCode } from '../identity/totp.js';
import type { Actor, RequestFacts, Role } from '../kernel/actor.js';
import { dayIn, instantText } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { Document } from '../operation/document.js';
import type { OperationDefinition } from '../operation/operation.js';
import { selectFields } from '../operation/selection.js';
import type { View } from '../operation/view.js';
import type { Tenant } from '../persistence/tenant.store.js';
import {
  CANARY,
  DEMO_FACTOR_ROLES,
  DEMO_GRANT,
  DEMO_ROLES,
  DEMO_TENANTS,
  demoPatients,
  type DemoPatient,
} from './people.js';
import { keep } from './demo-file.js';
import { withFactor } from './with-factor.js';

export interface DemoUser {
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
  readonly email: string;
  readonly password: string;
  /** Base32 secret of the second factor; null for accounts without one. */
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
  // At once, because they mostly wait for the disk; all to their end, because whoever stops here closes the database.
  const loading = await Promise.allSettled(DEMO_TENANTS.map((tenant) => loadTenant(composition, tenant)));
  const loaded = loading.map((one) => (one.status === 'fulfilled' ? one.value : reject(one.reason)));
  const users = loaded.flatMap((one) => one.users);
  const patients = Object.fromEntries(loaded.map((one) => [one.tenant, one.patients]));
  return keep(file, { endpoint, users, patients });
}

async function loadTenant(composition: Composition, { id, timeZone }: Tenant) {
  const accounts = await Promise.all(DEMO_ROLES.map((role) => account(composition, id, role)));
  const loading = new DemoTenant(composition, accounts, timeZone);
  const patients = await loading.load(demoPatients(id));
  const users = await loading.enrolFactors(id === DEMO_GRANT.tenant ? patients[DEMO_GRANT.patient] : undefined);
  return { tenant: id, patients, users };
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
    await this.represent(String(ids['PT1']), String(ids['PT2']));
    await this.disclose(String(ids['PT1']));
    return ids;
  }

  /**
   * Gives the accounts that need one a second factor and signs everybody out. The code is that of the window before, so
   * that the one an authenticator shows now is still unused. An account whose factor an interrupted loading made keeps a
   * secret that nobody knows: `npm start -- --fresh` makes a new one.
   */
  async enrolFactors(granted?: string): Promise<DemoUser[]> {
    const { clock, sessions, answering, identity } = this.composition;
    const secrets = new Map<Role, string>();
    for (const role of DEMO_FACTOR_ROLES) {
      const document = new Document(await this.actor(role), demoFacts(null, null), null);
      try {
        const { secret } = await sessions.enrolTotp(document);
        const confirm = () => sessions.confirmTotp(document, totpCode(secret, clock.milliseconds() - 30_000));
        // Between making the code and checking it a window may have ended, and with it the code.
        await confirm().catch((error: unknown) => (isFailure(error, 'UNAUTHENTICATED') ? confirm() : reject(error)));
        secrets.set(role, secret);
      } catch (error) {
        if (!isFailure(error, 'STEP_UP_REQUIRED')) throw error;
      } finally {
        await answering.settle(document, null);
      }
    }
    if (granted !== undefined) await this.grant(granted, secrets.get('privacy_officer'));
    for (const actor of this.actors.values()) await identity.signOut(actor);
    return this.users.map((user) => ({ ...user, totpSecret: secrets.get(user.role) ?? null }));
  }

  /** Who speaks for whom, one consent on file, and an appointment to come. */
  private async represent(adult: string, child: string): Promise<void> {
    const accountOf = (role: Role) => String(this.users.find((user) => user.role === role)?.id);
    await this.run('self', 'front_desk', 'PATADMIN', registerRelatedPerson, {
      patientId: adult,
      accountId: accountOf('patient'),
      relationship: 'SELF',
    });
    await this.run('guardian', 'front_desk', 'PATADMIN', registerRelatedPerson, {
      patientId: child,
      accountId: accountOf('guardian'),
      relationship: 'GUARDIAN',
      evidence: 'Birth certificate and identity card, seen at registration',
    });
    await this.run('consent', 'front_desk', 'PATADMIN', recordConsent, {
      patientId: adult,
      purpose: 'CAREMGT',
      decision: 'PERMIT',
    });
    const start = this.instant(3);
    await this.run('appointment', 'front_desk', 'PATADMIN', bookAppointment, {
      patientId: adult,
      start,
      end: instantText(Date.parse(start) + 1_800_000),
    });
  }

  /** What left about a patient: one report that the accounting shows, and one referral that it does not. */
  private async disclose(patientId: string): Promise<void> {
    await this.run('report', 'privacy_officer', 'HCOMPL', recordDisclosure, {
      patientId,
      disclosedAt: this.instant(-9),
      recipientName: 'Department of Public Health',
      recipientAddress: '250 Health Avenue',
      description: 'Name, date of birth, laboratory result',
      purpose: 'Report of a notifiable disease, as the law demands',
      category: DisclosureCategory.PUBLIC_HEALTH,
    });
    await this.run('referral', 'privacy_officer', 'HCOMPL', recordDisclosure, {
      patientId,
      disclosedAt: this.instant(-8),
      recipientName: 'Diabetes Centre',
      description: 'Referral letter',
      purpose: 'Further treatment',
      category: DisclosureCategory.TREATMENT,
      channel: DisclosureChannel.EHR,
    });
  }

  /** Lets the physician see the compartment of one patient. The factor of the privacy office is shown with the code of now. */
  private async grant(patientId: string, secret?: string): Promise<void> {
    if (secret === undefined) return;
    const { clock, sessions } = this.composition;
    const accountId = String(this.users.find((user) => user.role === 'physician')?.id);
    const input = { ...DEMO_GRANT.input, accountId, patientId };
    const ask = (challengeId: string | null) =>
      this.run('grant', 'privacy_officer', 'HCOMPL', grantCompartment, { ...input, challengeId }, DEMO_GRANT.reason);
    await withFactor(ask, async (challengeId) => {
      const document = new Document(await this.actor('privacy_officer'), demoFacts('HCOMPL', null), null);
      await sessions.satisfyChallenge(document, challengeId, totpCode(secret, clock.milliseconds()));
      await this.composition.answering.settle(document, null);
    });
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
    reason: string | null = null,
  ): Promise<View> {
    const actor = await this.actor(role);
    const document = new Document(actor, { ...demoFacts(purpose, `demo ${step}`), reason }, null);
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
    const document = new Document(null, demoFacts(null, null), null);
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

function isFailure(error: unknown, code: Failure['code']): boolean {
  return error instanceof Failure && error.code === code;
}

function reject(error: unknown): never {
  throw error;
}

function demoFacts(purpose: string | null, idempotencyKey: string | null): RequestFacts {
  return { requestId: newId(), purpose, reason: null, idempotencyKey, clientAddress: null };
}
