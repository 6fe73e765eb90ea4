import { PgBoss, type Job } from 'pg-boss';
import { newId } from '../kernel/identifier.js';
import { JOB_SCHEMA } from '../persistence/job-schema.js';
import type { Log } from '../telemetry/log.js';

/** What a message holds: ids and tenant codes, nothing else. The worker looks everything up when it runs. */
export type JobPayload = Readonly<Record<string, string>>;

/**
 * Does the work of one message. `stopping` is aborted when the process is about to end or the message was given to
 * somebody else: leave at the next safe point by throwing, and the message comes again. A message may come twice.
 */
export type JobHandler = (payload: JobPayload, stopping: AbortSignal) => Promise<void>;

export interface WorkOptions {
  /** Messages of this queue that this process works on at once; 1 unless told. */
  readonly concurrency?: number;
}

const CONNECTIONS = 3;
/** New messages are announced; this is how late one that was put off, or whose announcement was lost, is found. */
const POLL_SECONDS = 2;
/** A message whose process says nothing for so long is given to another. */
const HEARTBEAT_SECONDS = 30;
const LONGEST_RUN_SECONDS = 23 * 3_600;
const KEEP_SECONDS = 24 * 3_600;
const CLOSE_MILLISECONDS = 15_000;
/** No spaces and no seven digits in a row: no name, address, telephone or national number passes. */
const IDENTIFIER = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?!.*\d{7})[A-Za-z0-9._-]{1,64})$/;

/**
 * The queue of work that goes on after its request, on pg-boss: messages are rows, taken with SKIP LOCKED in short
 * statements of a pool of its own, so a lost process loses no message. At least once: handlers make it exactly once.
 * Owns its connections; errors of handlers stay in the process, because pg-boss would keep their text in its tables.
 */
export class JobQueue {
  private readonly known = new Map<string, Promise<void>>();
  private readonly stopping = new AbortController();

  private constructor(
    private readonly boss: PgBoss,
    private readonly log: Log,
  ) {}

  /** Starts on a database whose job schema was prepared. `url` is the application's role. */
  static async start(url: string, log: Log): Promise<JobQueue> {
    const boss = new PgBoss({
      connectionString: url,
      application_name: 'custodia jobs',
      options:
        '-c statement_timeout=15000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000 -c transaction_timeout=12000',
      max: CONNECTIONS,
      schema: JOB_SCHEMA,
      migrate: false,
      createSchema: false,
      reindex: false,
      useListenNotify: true,
    });
    boss.on('error', (error) => log.warn('job failed', { room: 'jobs', error }));
    await boss.start();
    return new JobQueue(boss, log);
  }

  /** Gives the messages of a queue to a handler of this process. */
  async work(name: string, handler: JobHandler, options: WorkOptions = {}): Promise<void> {
    await this.queue(name);
    const settings = { pollingIntervalSeconds: POLL_SECONDS, notifyPollingIntervalSeconds: POLL_SECONDS };
    for (let count = options.concurrency ?? 1; count > 0; count--) {
      const worker = await this.boss.work<JobPayload>(name, settings, async ([job]) => {
        // Else the next message, though it waits already, would wait for the next poll.
        this.boss.notifyWorker(worker);
        if (job !== undefined) await this.handle(name, handler, job);
      });
    }
  }

  /**
   * Queues a message. Of those with the same `singletonKey` at most one waits; one that is being worked on does not count.
   * Throws on a payload that could hold more than ids.
   */
  async send(name: string, payload: JobPayload, options: { singletonKey?: string } = {}): Promise<void> {
    for (const value of Object.values(payload)) {
      if (!IDENTIFIER.test(value)) throw new Error(`A message of ${name} holds more than ids.`);
    }
    await this.queue(name);
    await this.boss.send(name, payload, { singletonKey: options.singletonKey ?? newId() });
  }

  /** Queues an empty message by the clock of the database: five cron fields in UTC, once among all processes. */
  async every(name: string, cron: string): Promise<void> {
    await this.queue(name);
    await this.boss.schedule(name, cron, null, { tz: 'UTC', singletonKey: 'clock' });
  }

  /** Takes no new messages, tells the running handlers, waits for them a while, then lets go. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.boss.stop({ graceful: true, timeout: CLOSE_MILLISECONDS });
  }

  private async handle(name: string, handler: JobHandler, job: Job<JobPayload>): Promise<void> {
    const stopping = AbortSignal.any([job.signal, this.stopping.signal]);
    const done = await handler(job.data ?? {}, stopping).then(
      () => true,
      (error: unknown) => {
        if (!this.stopping.signal.aborted) this.log.error('job failed', { operation: name, error });
        return false;
      },
    );
    // pg-boss keeps what is thrown here: nothing of the handler's error is in it.
    if (!done) throw new Error('The handler failed.');
    this.log.debug('job done', { operation: name });
  }

  private queue(name: string): Promise<void> {
    let made = this.known.get(name);
    if (made === undefined) {
      made = this.boss.createQueue(name, {
        policy: 'short',
        notify: true,
        retryLimit: 10,
        retryDelay: 1,
        retryBackoff: true,
        retryDelayMax: 60,
        heartbeatSeconds: HEARTBEAT_SECONDS,
        expireInSeconds: LONGEST_RUN_SECONDS,
        deleteAfterSeconds: KEEP_SECONDS,
      });
      this.known.set(name, made);
    }
    return made;
  }
}
