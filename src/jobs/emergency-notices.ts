import { setTimeout as pause } from 'node:timers/promises';
import type { EmergencyAccessStore, UntoldAccess } from '../domain/emergency-access/emergency-access.store.js';
import type { Clock } from '../kernel/clock.js';
import type { Log } from '../telemetry/log.js';
import type { ReminderMessage, ReminderSink } from './appointment-reminder-sink.js';
import type { JobQueue } from './job-queue.js';

const QUEUE = 'emergency-notice';
const EVERY_MINUTE = '* * * * *';
/** The clock of the queue knows whole minutes: one message looks several times, until the next one is there. */
const LOOKS = 4;
const LOOK_MILLISECONDS = 15_000;

/** What a notice is for: whoever hands notices over knows by it how. */
export type EmergencyNoticeKind = 'EMERGENCY_REVIEW' | 'EMERGENCY_HEAD' | 'EMERGENCY_PATIENT' | 'PATIENT_BY_POST';

/** `to` is `<role>@<tenant>` or `<account id>@<tenant>`. */
export interface EmergencyNotice extends ReminderMessage {
  readonly kind: EmergencyNoticeKind;
}

/**
 * Tells of every emergency access, within a minute: the privacy office, the head of the department, and the patient or who
 * speaks for him; where nobody does, the privacy office is asked to write to him. The rows are the truth, the message of the
 * queue only a hint. Neither the patient nor the clinician nor the reason is in a notice: who may know them asks the API.
 * All notices of an access are written before its row is marked, each under a key of its own: after a crash they come again,
 * and one directory holds each once.
 */
export class EmergencyNotices {
  constructor(
    private readonly store: Pick<EmergencyAccessStore, 'untold' | 'told'>,
    private readonly sink: ReminderSink,
    private readonly clock: Clock,
    private readonly tenants: readonly string[],
  ) {}

  async start(queue: JobQueue, log: Log): Promise<void> {
    await queue.work(QUEUE, async (_payload, stopping) => {
      for (let look = 0; look < LOOKS; look += 1) {
        const count = await this.run(stopping);
        if (count > 0) log.info('job done', { operation: QUEUE, count });
        await pause(LOOK_MILLISECONDS, undefined, { signal: stopping });
      }
    });
    await queue.every(QUEUE, EVERY_MINUTE);
    // What began while no process was there is not left until the next minute.
    await queue.send(QUEUE, {}, { singletonKey: 'clock' });
  }

  /** Writes the notices that are owed; of how many accesses they were. */
  async run(stopping?: AbortSignal): Promise<number> {
    let count = 0;
    for (const tenant of this.tenants) {
      for (const access of await this.store.untold(tenant, this.clock.now())) {
        if (stopping?.aborted === true) return count;
        for (const [key, notice] of noticesOf(tenant, access)) await this.sink.write(key, notice);
        await this.store.told(tenant, access.id, this.clock.now());
        count += 1;
      }
    }
    return count;
  }
}

/** The notices of one access under their keys, which no two notices have in common. */
function noticesOf(tenant: string, access: UntoldAccess): Map<string, EmergencyNotice> {
  const { id, heads, represented } = access;
  const at = access.startedAt.toISOString();
  const notices = new Map<string, EmergencyNotice>();
  const add = (key: string, kind: EmergencyNoticeKind, to: string, text: string) =>
    notices.set(key, { kind, to: `${to}@${tenant}`, text });

  const due = access.reviewDueAt.toISOString();
  const review = `The glass was broken at ${at}. Review the emergency access ${id} by ${due}.`;
  add(id, 'EMERGENCY_REVIEW', 'privacy_officer', review);

  const told = `The glass was broken at ${at}. The privacy office reviews the emergency access ${id}.`;
  for (const head of heads) add(`${id}-head-${head}`, 'EMERGENCY_HEAD', head, told);
  if (heads.length === 0) add(`${id}-head`, 'EMERGENCY_HEAD', 'department_head', told);

  const opened = `A record that you may see was opened in an emergency at ${at}. Its access report tells more.`;
  for (const account of represented) add(`${id}-patient-${account}`, 'EMERGENCY_PATIENT', account, opened);
  const byPost = `Nobody has an account for the patient of the emergency access ${id}: tell the patient by post.`;
  if (represented.length === 0) add(`${id}-post`, 'PATIENT_BY_POST', 'privacy_officer', byPost);
  return notices;
}
