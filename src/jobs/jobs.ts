import type { Log } from '../telemetry/log.js';
import { JobQueue } from './job-queue.js';

/** One kind of work: makes its queues known and takes what is in them. */
export interface JobPart {
  start(queue: JobQueue, log: Log): Promise<void>;
}

/**
 * The work that goes on after requests. Composed everywhere, started by the processes that serve the API and by no other:
 * a command must not take work that it does not live long enough to finish.
 */
export class Jobs {
  private queue: JobQueue | null = null;

  constructor(
    /** URL of the application's role: the queue has connections of its own. */
    private readonly url: string,
    private readonly parts: readonly JobPart[],
  ) {}

  async start(log: Log): Promise<void> {
    this.queue = await JobQueue.start(this.url, log);
    for (const part of this.parts) await part.start(this.queue, log);
  }

  /** Running work leaves at its next safe point and goes on in another process, or after the next start. */
  async close(): Promise<void> {
    await this.queue?.close();
    this.queue = null;
  }
}
