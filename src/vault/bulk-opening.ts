import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { Failure } from '../kernel/failure.js';
import { openTask, packTask, valuesIn, type OpeningTask, type RowWithKeys, type SealedRow } from './opening-task.js';
import type { OpeningAnswer } from './opening-worker.js';
import type { SubjectWraps } from './subject-key-provider.js';
import type { SubjectKeyRow } from './vault.store.js';

export type { SealedRow };

const IDLE_MILLISECONDS = 10_000;
const MOST_THREADS = 2;
/** Fewer rows than this are not worth another thread. */
const SMALLEST_SHARE = 25;
/** Small, because little is held at once: a thread keeps nothing between two tasks. */
const MEMORY = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

interface Thread {
  readonly worker: Worker;
  ended: boolean;
  readonly waiting: Map<number, { resolve(opened: string): void; reject(error: unknown): void }>;
}

/**
 * Opens rows by the hundred in other threads, so that the keys of a large export cost the requests beside it nothing.
 */
export class BulkOpening {
  private readonly lanes = Array.from({ length: Math.min(MOST_THREADS, availableParallelism()) }, () => new Lane());

  /** The values of each row, in order; none where its subject has no key among the keys. */
  async open(
    wraps: SubjectWraps,
    keys: readonly SubjectKeyRow[],
    rows: readonly SealedRow[],
  ): Promise<Record<string, unknown>[]> {
    const bySubject = Map.groupBy(keys, (key) => key.subjectId);
    const openable = rows.flatMap((row, index) => {
      const own = bySubject.get(row.address.subjectId);
      return own === undefined || row.parts.length === 0 ? [] : [{ row, keys: own, index }];
    });
    const share = Math.max(SMALLEST_SHARE, Math.ceil(openable.length / this.lanes.length));
    const shares = this.lanes.map((lane, at) => lane.run(wraps, openable.slice(at * share, (at + 1) * share)));
    const opened = (await Promise.all(shares)).flat();
    const values = rows.map((): Record<string, unknown> => ({}));
    for (const [at, { index }] of openable.entries()) values[index] = opened[at] ?? {};
    return values;
  }

  /** True while another thread runs. */
  async threaded(): Promise<boolean> {
    return (await Promise.all(this.lanes.map((lane) => lane.threaded()))).includes(true);
  }
}

/**
 * One thread: started with its first task, ended when there was none for a while. Where none can be started, the work is
 * done here: slower for the others, the same for the caller.
 */
class Lane {
  private thread: Promise<Thread | null> | null = null;
  private idle: NodeJS.Timeout | null = null;
  private number = 0;

  async threaded(): Promise<boolean> {
    return (await this.thread) !== null;
  }

  async run(wraps: SubjectWraps, rows: readonly RowWithKeys[]): Promise<Record<string, unknown>[]> {
    if (rows.length === 0) return [];
    const task = packTask(wraps, rows);
    if (this.idle !== null) clearTimeout(this.idle);
    this.thread ??= start();
    let thread = await this.thread;
    if (thread?.ended === true) thread = await (this.thread = start());
    return valuesIn(thread === null ? openTask(task) : await this.send(thread, task));
  }

  private async send(thread: Thread, task: OpeningTask): Promise<string> {
    const number = ++this.number;
    // It keeps the process while it works, and not while it waits.
    thread.worker.ref();
    try {
      return await new Promise((resolve, reject) => {
        thread.waiting.set(number, { resolve, reject });
        thread.worker.postMessage({ number, task }, [task.bytes.buffer, task.lengths.buffer]);
      });
    } finally {
      thread.waiting.delete(number);
      if (thread.waiting.size === 0) {
        thread.worker.unref();
        this.endLater(thread);
      }
    }
  }

  private endLater({ worker }: Thread): void {
    if (this.idle !== null) clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      this.thread = null;
      void worker.terminate();
    }, IDLE_MILLISECONDS);
    this.idle.unref();
  }
}

/** Runs the file beside this one: compiled where this is compiled, a source where this is a source. Null: it cannot. */
function start(): Promise<Thread | null> {
  const file = new URL(`./opening-worker${path.extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(file, { name: 'opening', env: {}, resourceLimits: MEMORY });
  const thread: Thread = { worker, ended: false, waiting: new Map() };
  return new Promise((resolve) => {
    worker.on('message', (message: 'running' | OpeningAnswer) => {
      if (message === 'running') {
        worker.unref();
        resolve(thread);
      } else if ('opened' in message) thread.waiting.get(message.number)?.resolve(message.opened);
      else thread.waiting.get(message.number)?.reject(failureOf(message.failure));
    });
    worker.once('error', (error) => lose(thread, error));
    worker.once('exit', () => {
      thread.ended = true;
      lose(thread, null);
      // Has no effect on one that ran; one that never did is not tried again.
      resolve(null);
    });
  });
}

function failureOf({ code, message, nextStep }: Extract<OpeningAnswer, { failure: unknown }>['failure']): Failure {
  return new Failure(code, message, nextStep);
}

function lose({ waiting }: Thread, cause: unknown): void {
  const failure = new Failure('INTERNAL_SERVER_ERROR', 'The thread that opens rows ended.', 'Try again.', { cause });
  for (const { reject } of waiting.values()) reject(failure);
}
