import {
  CLAIM_MILLISECONDS,
  claimReminder,
  closeReminder,
  dueReminders,
  reminderContact,
} from '../domain/appointment/remind-appointment.js';
import type { Identity } from '../identity/identity.js';
import type { Actor } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { Failure, type FailureCode } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import type { Answering } from '../operation/answering.js';
import type { Connection } from '../operation/connection.js';
import { Document } from '../operation/document.js';
import type { OperationDefinition } from '../operation/operation.js';
import type { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import type { View } from '../operation/view.js';
import { versionConflict } from '../operation/writing.js';
import type { Log } from '../telemetry/log.js';
import type { Vault } from '../vault/vault.js';
import type { ReminderSink } from './appointment-reminder-sink.js';
import { reminderText } from './appointment-reminder-text.js';

export interface ReminderServices {
  readonly operations: Pick<Operations, 'run'>;
  readonly answering: Pick<Answering, 'settle'>;
  readonly identity: Pick<Identity, 'machine'>;
  readonly vault: Pick<Vault, 'keyedDigest'>;
  readonly clock: Clock;
  readonly tenants: readonly string[];
}

export interface ReminderCounts {
  sent: number;
  withheld: number;
  /** Taken by another process, or changed while it was looked at. */
  lost: number;
  failed: number;
}

/** What the policy says of a patient who is not to be reached now. */
const UNREACHABLE: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'CONSENT_WITHDRAWN',
  'CONSENT_REQUIRED',
  'NOT_FOUND',
]);
const NOTHING: Selection = selectFields();
const DUE = selectFields('version', 'start');
const CONTACT = selectFields('phone', 'status');

/**
 * Reminds patients a day before their appointments. Every step is an operation of a machine with a policy of its own, and
 * the order makes it exactly once, whenever this process dies and however many run at once:
 * claim (one of several succeeds) → the read of the phone, recorded durably → the message → "sent".
 * A crash leaves the claim, which counts as abandoned after a while. Whoever takes it up looks for the message first: its
 * key says which appointment and which time, so that it is never written twice.
 */
export class AppointmentReminders {
  constructor(
    private readonly services: ReminderServices,
    private readonly sink: ReminderSink,
    private readonly log: Log | null,
  ) {}

  /** Sends what is due in every tenant. A reminder or a tenant that fails is left for the next run and stops no other. */
  async run(stopping?: AbortSignal): Promise<ReminderCounts> {
    const counts: ReminderCounts = { sent: 0, withheld: 0, lost: 0, failed: 0 };
    for (const tenant of this.services.tenants) {
      try {
        const actor = await this.services.identity.machine(tenant, 'reminder_service');
        await this.remindTenant(actor, counts, stopping);
      } catch (error) {
        this.fail(tenant, error);
        counts.failed += 1;
      }
    }
    return counts;
  }

  private async remindTenant(actor: Actor, counts: ReminderCounts, stopping?: AbortSignal): Promise<void> {
    const until = this.services.clock.now().toISOString();
    let after: string | null = null;
    do {
      const { edges, pageInfo }: Connection = await this.perform(actor, dueReminders, { until, after }, DUE);
      for (const { node } of edges) {
        if (stopping?.aborted === true) return;
        counts[await this.remind(actor, node)] += 1;
      }
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after !== null);
  }

  private async remind(actor: Actor, appointment: View): Promise<keyof ReminderCounts> {
    try {
      return await this.attempt(actor, appointment.id, Number(appointment['version']), String(appointment['start']));
    } catch (error) {
      if (error instanceof Failure && error.code === 'VERSION_CONFLICT') return 'lost';
      this.fail(actor.tenant, error);
      return 'failed';
    }
  }

  private fail(tenant: string, error: unknown): void {
    const code = error instanceof Failure ? error.code : undefined;
    this.log?.error('job failed', { operation: 'reminder', tenant, code, error });
  }

  private async attempt(actor: Actor, id: string, found: number, start: string): Promise<'sent' | 'withheld'> {
    const abandonedAt = this.services.clock.milliseconds() + CLAIM_MILLISECONDS;
    await this.perform(actor, claimReminder, { id, version: found }, NOTHING);
    const version = found + 1;
    const key = this.services.vault.keyedDigest(actor.tenant, 'appointment-reminder', `${id} ${start}`).toString('hex');
    let outcome: 'sent' | 'withheld' = 'sent';
    if (!(await this.sink.has(key))) {
      const to = await this.contact(actor, id, version, start);
      // Whoever was silent for so long has lost the claim: another may have found that nothing is to be sent.
      if (this.services.clock.milliseconds() >= abandonedAt) throw versionConflict('Appointment');
      if (to === null) outcome = 'withheld';
      else await this.sink.write(key, { to, text: reminderText(start, actor) });
    }
    await this.perform(actor, closeReminder, { id, version, start, outcome }, NOTHING);
    return outcome;
  }

  /** Where to, or null where nothing is to be sent: the patient is not to be reached, or the appointment has begun. */
  private async contact(actor: Actor, id: string, version: number, start: string): Promise<string | null> {
    if (Date.parse(start) <= this.services.clock.milliseconds()) return null;
    try {
      return await this.perform(actor, reminderContact, { id, version }, CONTACT);
    } catch (error) {
      if (error instanceof Failure && UNREACHABLE.has(error.code)) return null;
      throw error;
    }
  }

  /** Runs one operation in a document of its own. What it read is recorded durably before it is used. */
  private async perform<Arguments, Result>(
    actor: Actor,
    operation: OperationDefinition<Arguments, Result>,
    input: Arguments,
    selection: Selection,
  ): Promise<Result> {
    const facts = {
      requestId: newId(),
      purpose: 'PATADMIN',
      reason: null,
      idempotencyKey: null,
      clientAddress: null,
    };
    const document = new Document(actor, facts, null);
    const { operations, answering } = this.services;
    try {
      const result = await operations.run(operation, document, input, selection);
      await answering.settle(document, null);
      return result;
    } catch (error) {
      await answering.settle(document, null);
      throw error;
    }
  }
}
