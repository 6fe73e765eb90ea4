import type { EmergencyAccessStore } from '../domain/emergency-access/emergency-access.store.js';
import type { Clock } from '../kernel/clock.js';
import type { Log } from '../telemetry/log.js';
import type { ReminderSink } from './appointment-reminder-sink.js';
import type { JobQueue } from './job-queue.js';

const QUEUE = 'emergency-notice';
const EVERY_MINUTE = '* * * * *';

/**
 * Tells the privacy office of every emergency access, within a minute: when it began, and by when to review it. The rows are
 * the truth, the message of the queue only a hint. Neither the patient nor the clinician is in a notice: who may know them
 * asks the API. A notice is written before its row is marked, under the id of the access: it comes at least once, and one
 * directory holds it once.
 */
export class EmergencyNotices {
  constructor(
    private readonly store: EmergencyAccessStore,
    private readonly sink: ReminderSink,
    private readonly clock: Clock,
    private readonly tenants: readonly string[],
  ) {}

  async start(queue: JobQueue, log: Log): Promise<void> {
    await queue.work(QUEUE, async (_payload, stopping) => {
      const count = await this.run(stopping);
      if (count > 0) log.info('job done', { operation: QUEUE, count });
    });
    await queue.every(QUEUE, EVERY_MINUTE);
  }

  /** Writes the notices that are owed; how many there were. */
  async run(stopping?: AbortSignal): Promise<number> {
    let count = 0;
    for (const tenant of this.tenants) {
      for (const { id, startedAt, reviewDueAt } of await this.store.untold(tenant)) {
        if (stopping?.aborted === true) return count;
        const due = reviewDueAt.toISOString();
        await this.sink.write(id, {
          to: `privacy_officer@${tenant}`,
          text: `The glass was broken at ${startedAt.toISOString()}. Review the emergency access ${id} by ${due}.`,
        });
        await this.store.told(tenant, id, this.clock.now());
        count += 1;
      }
    }
    return count;
  }
}
