import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  ReminderDirectory,
  type ReminderMessage,
  type ReminderSink,
} from '../../src/jobs/appointment-reminder-sink.js';
import { AppointmentReminders, type ReminderServices } from '../../src/jobs/appointment-reminders.js';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

export const HOUR = 3_600_000;
/** 12:00 of Saturday, 21 November 2026, in Shanghai. */
export const NOON = Date.parse('2026-11-21T04:00:00Z');

const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';
const BOOK = `mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id version start } }`;

/** The system with a clock that a test moves, an outbox that it looks into, and as many senders as it wants. */
export class ReminderStage {
  private constructor(
    readonly clock: ManualClock,
    readonly system: TestSystem,
  ) {}

  static async open(): Promise<ReminderStage> {
    const clock = new ManualClock(NOON);
    const system = await testSystem({ clock });
    // The system's own sender would be one more than a test has asked for.
    await system.composition.jobs.close();
    // The appointments of the demo organisation are not what these tests are about.
    await system.database.owner.query('UPDATE appointment SET reminder_at = NULL, reminder_status = NULL');
    return new ReminderStage(clock, system);
  }

  get outbox(): string {
    return path.join(this.system.database.directory, 'outbox');
  }

  patient(key: string): string {
    return this.system.demo.patients['T-CN']?.[key] ?? '';
  }

  /** As the role's account. Access tokens end by the clock of the test: everybody signs in for every request. */
  async ask(role: Role, document: string, variables: Loose = {}): Promise<Answer> {
    const { composition, demo } = this.system;
    const user = demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
    const input = { tenant: 'T-CN', email: user?.email, password: user?.password };
    const token = String((await this.system.send(SIGN_IN, { variables: { input } })).data['signIn'].accessToken);
    const answer = await this.system.send(document, {
      token,
      purpose: composition.policy.purposesOf(role)[0] ?? null,
      variables,
    });
    if (answer.errors.length > 0) throw new Error(answer.text);
    return answer;
  }

  /** An appointment so many hours from now. */
  async book(hours: number, patient = 'PT1'): Promise<{ id: string; version: number; start: string }> {
    const [start, end] = [hours, hours + 1].map((one) => this.in(one));
    const input = { patientId: this.patient(patient), start, end, department: 'Cardiology' };
    return (await this.ask('front_desk', BOOK, { input })).data['bookAppointment'];
  }

  in(hours: number): string {
    return new Date(this.clock.milliseconds() + hours * HOUR).toISOString();
  }

  sink(): ReminderSink {
    return new ReminderDirectory(this.outbox);
  }

  /** A sender as another process would be: it shares the database and the outbox, and nothing else. */
  sender(services: Partial<ReminderServices> = {}, sink: ReminderSink = this.sink()): AppointmentReminders {
    const { composition } = this.system;
    return new AppointmentReminders({ ...composition, tenants: ['T-CN'], ...services }, sink, null);
  }

  messages(): ReminderMessage[] {
    return this.files().map(
      (name) => JSON.parse(readFileSync(path.join(this.outbox, name), 'utf8')) as ReminderMessage,
    );
  }

  files(): string[] {
    return existsSync(this.outbox) ? readdirSync(this.outbox) : [];
  }

  /** What the table says of the reminder of an appointment. */
  async reminder(id: string): Promise<{ status: string | null; at: string | null }> {
    const { rows } = await this.system.database.owner.query<{ status: string | null; at: Date | null }>(
      'SELECT reminder_status AS status, reminder_at AS at FROM appointment WHERE id = $1',
      [id],
    );
    return { status: rows[0]?.status ?? null, at: rows[0]?.at?.toISOString() ?? null };
  }
}
