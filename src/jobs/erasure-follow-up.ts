import type { Log } from '../telemetry/log.js';
import type { SubjectErasures } from '../operation/subject-erasure.js';
import type { JobQueue } from './job-queue.js';

const QUEUE = 'erasure-follow-up';
const EVERY_MINUTE = '* * * * *';

/** Finishes erasures that a crash or a full disk left: tombstone, details, blobs, receipt. The rows say what is owed. */
export class ErasureFollowUp {
  constructor(
    private readonly erasures: Pick<SubjectErasures, 'finish' | 'store'>,
    private readonly tenants: readonly string[],
  ) {}

  async start(queue: JobQueue, log: Log): Promise<void> {
    await queue.work(QUEUE, async (_payload, stopping) => {
      const count = await this.run(stopping);
      if (count > 0) log.info('job done', { operation: QUEUE, count });
    });
    await queue.every(QUEUE, EVERY_MINUTE);
    await queue.send(QUEUE, {}, { singletonKey: 'clock' });
  }

  /** How many were finished. One that cannot be does not keep the others from it; the first failure is thrown at the end. */
  async run(stopping?: AbortSignal): Promise<number> {
    const failures: unknown[] = [];
    let count = 0;
    for (const tenant of this.tenants) {
      for (const id of await this.erasures.store.unfinished(tenant)) {
        if (stopping?.aborted === true) return count;
        try {
          await this.erasures.finish(tenant, id);
          count += 1;
        } catch (error) {
          failures.push(error);
        }
      }
    }
    if (failures.length > 0) throw failures[0];
    return count;
  }
}
