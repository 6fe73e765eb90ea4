import pg from 'pg';
import type { Bind } from '../policy/decision.js';

/** That a row changed: what it is, whose it is, nothing of what is in it. */
export interface Notice {
  readonly tenant: string;
  /** Noun, such as `Appointment`. */
  readonly type: string;
  readonly id: string;
  /** The patient whose row it is. */
  readonly subjectId: string;
}

/** Changes may have been missed: whoever watches them subscribes again, and reads anew. */
export class ChangesMissed extends Error {
  override readonly name = 'ChangesMissed';
}

const CHANNEL = 'custodia_change';
const CONNECT_MILLISECONDS = 5_000;
const HEARTBEAT_MILLISECONDS = 10_000;
const SHORTEST_PAUSE = 200;
const LONGEST_PAUSE = 10_000;
/** Distinct rows that may wait for one reader. Whoever lags further behind starts over with a fresh look. */
const LONGEST_BACKLOG = 256;

/**
 * SQL that announces a change when the transaction around it commits. The tenant is the one that row-level security
 * reads, so that a notice can be of no other tenant than its row. Payload: `<tenant> <type> <id> <subject>`.
 */
export function announcement(bind: Bind, type: string, id: string, subjectId: string): string {
  return `pg_notify('${CHANNEL}', current_setting('custodia.tenant') || ' ' || ${bind(`${type} ${id} ${subjectId}`)}::text)`;
}

/**
 * The changes that any process of this installation commits, by one connection of this process. It is opened when the
 * first reader comes. PostgreSQL keeps no notice for a connection that is gone: when it is lost, every reader's iteration
 * ends with {@link ChangesMissed}, and who asks again gets a new connection, not sooner than the back-off allows. So a reader
 * whose iteration goes on has missed nothing, and one whose iteration ended reads anew.
 */
export class Notices {
  private readonly readers = new Map<string, Set<Backlog>>();
  private listening: Promise<pg.Client> | null = null;
  private current: pg.Client | null = null;
  private failures = 0;
  private retryAt = 0;
  private closed = false;

  constructor(private readonly url: string) {}

  /**
   * Ids of the rows of this type and subject that change from now on; in order, but a row that changes while its id still
   * waits to be read is named once. Resolves when the changes are being heard. Throws {@link ChangesMissed}, here or in the
   * iteration, when they cannot be. `return()` ends it.
   */
  async subscribe(tenant: string, type: string, subjectId: string): Promise<AsyncGenerator<string, void>> {
    const topic = topicOf({ tenant, type, subjectId });
    const backlog = new Backlog(() => this.leave(topic, backlog));
    const readers = this.readers.get(topic) ?? new Set();
    // Before the connection is there, so that nothing is lost between the two.
    this.readers.set(topic, readers.add(backlog));
    try {
      await this.listen();
    } catch {
      backlog.end(new ChangesMissed());
      throw new ChangesMissed();
    }
    return backlog.ids();
  }

  /** Readers at this moment. */
  get size(): number {
    return [...this.readers.values()].reduce((sum, readers) => sum + readers.size, 0);
  }

  /** Ends every iteration and lets go of the connection. */
  async close(): Promise<void> {
    this.closed = true;
    const listening = this.listening;
    this.lose();
    const client = await listening?.catch(() => null);
    await client?.end().catch(() => undefined);
  }

  /** One attempt for all who ask meanwhile; after failed ones, none before the pause is over. */
  private listen(): Promise<pg.Client> {
    if (this.closed || performance.now() < this.retryAt) return Promise.reject(new ChangesMissed());
    this.listening ??= this.connect().then(
      (client) => {
        this.failures = 0;
        return client;
      },
      (error: unknown) => {
        const pause = Math.min(SHORTEST_PAUSE * 2 ** this.failures, LONGEST_PAUSE);
        this.failures += 1;
        this.retryAt = performance.now() + pause;
        this.lose();
        throw error;
      },
    );
    return this.listening;
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'custodia notices',
      connectionTimeoutMillis: CONNECT_MILLISECONDS,
      query_timeout: CONNECT_MILLISECONDS,
      keepAlive: true,
    });
    // A connection whose peer vanished without a word is found out by the next heartbeat.
    const heartbeat = setInterval(() => void client.query('SELECT 1').catch(() => lost()), HEARTBEAT_MILLISECONDS);
    heartbeat.unref();
    const lost = () => {
      clearInterval(heartbeat);
      void client.end().catch(() => undefined);
      if (this.current === client) this.lose();
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', ({ payload }) => this.tell(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      this.current = client;
      return client;
    } catch (error) {
      lost();
      throw error;
    }
  }

  private tell(payload: string): void {
    const [tenant = '', type = '', id = '', subjectId = ''] = payload.split(' ');
    for (const backlog of this.readers.get(topicOf({ tenant, type, subjectId })) ?? []) backlog.add(id);
  }

  /** Nobody is told of what was missed by silence. */
  private lose(): void {
    this.listening = null;
    this.current = null;
    for (const readers of [...this.readers.values()])
      for (const backlog of [...readers]) backlog.end(new ChangesMissed());
  }

  private leave(topic: string, backlog: Backlog): void {
    const readers = this.readers.get(topic);
    readers?.delete(backlog);
    if (readers?.size === 0) this.readers.delete(topic);
  }
}

/** What waits for one reader. */
class Backlog {
  private readonly waiting = new Set<string>();
  private wake: (() => void) | null = null;
  private over = false;
  private failure: ChangesMissed | null = null;

  constructor(private readonly left: () => void) {}

  add(id: string): void {
    this.waiting.add(id);
    if (this.waiting.size > LONGEST_BACKLOG) this.end(new ChangesMissed());
    this.wake?.();
  }

  end(failure: ChangesMissed | null): void {
    if (this.over) return;
    this.over = true;
    this.failure = failure;
    this.waiting.clear();
    this.left();
    this.wake?.();
  }

  /** An iterator of its own, not a generator function: `return()` must end it while `next()` waits. */
  ids(): AsyncGenerator<string, void> {
    const next = async (): Promise<IteratorResult<string, void>> => {
      for (;;) {
        const [id] = this.waiting;
        if (id !== undefined) {
          this.waiting.delete(id);
          return { value: id, done: false };
        }
        if (this.failure !== null) throw this.takeFailure();
        if (this.over) return { value: undefined, done: true };
        await new Promise<void>((resolve) => (this.wake = resolve));
        this.wake = null;
      }
    };
    const stop = async (): Promise<IteratorResult<string, void>> => {
      this.end(null);
      return { value: undefined, done: true };
    };
    return {
      next,
      return: stop,
      throw: async (error: unknown) => {
        this.end(null);
        throw error;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
      [Symbol.asyncDispose]: async () => void (await stop()),
    };
  }

  private takeFailure(): ChangesMissed | null {
    const { failure } = this;
    this.failure = null;
    return failure;
  }
}

function topicOf({ tenant, type, subjectId }: Omit<Notice, 'id'>): string {
  return `${tenant} ${type} ${subjectId}`;
}
