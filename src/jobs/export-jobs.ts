import type { Exports } from '../operation/exports.js';
import type { Clock } from '../kernel/clock.js';
import { ExportWork, type ExportWorkServices } from './export-job.js';
import type { JobQueue } from './job-queue.js';

const QUEUE = 'export';
const SWEEP = 'export-sweep';
const EVERY_MINUTE = '* * * * *';

export interface ExportJobsServices extends ExportWorkServices {
  readonly tenants: readonly string[];
}

/**
 * Exports in the queue. The table is the truth and the message only a hint: whatever is left without one (a process was
 * killed between the two, a worker went silent) is found at every start and every minute. Files that nobody can fetch any
 * more are deleted on the same way.
 */
export class ExportJobs {
  private readonly work: ExportWork;
  private readonly exports: Exports;
  private readonly clock: Clock;

  constructor(private readonly services: ExportJobsServices) {
    this.work = new ExportWork(services);
    this.exports = services.exports;
    this.clock = services.clock;
  }

  async start(queue: JobQueue): Promise<void> {
    const announce = (tenant: string, id: string) => queue.send(QUEUE, { tenant, id }, { singletonKey: id });
    this.exports.announce = announce;
    await queue.work(QUEUE, ({ tenant, id }, stopping) => this.work.run(tenant ?? '', id ?? '', stopping));
    await queue.work(SWEEP, () => this.sweep(announce, false));
    await queue.every(SWEEP, EVERY_MINUTE);
    await this.sweep(announce, true);
  }

  /** `all`: also announces exports that somebody seems to work on, because that may have been this process before. */
  async sweep(announce: Exports['announce'], all: boolean): Promise<void> {
    const { store, files } = this.exports;
    const now = this.clock.now();
    for (const tenant of this.services.tenants) {
      for (const id of await store.waiting(tenant, now, all)) await announce(tenant, id);
      for (const job of await store.overdue(tenant, now)) await store.end(job, 'EXPIRED');
      const ids = await files.ids(tenant);
      const alive = ids.length === 0 ? new Set<string>() : await store.alive(tenant, ids);
      for (const id of ids) if (!alive.has(id)) await files.remove({ tenant, id });
    }
  }
}
