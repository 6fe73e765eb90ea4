import { LRUCache } from 'lru-cache';
import { setTimeout as pause } from 'node:timers/promises';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { proveApart } from './proof-thread.js';
import type { ProofOutcome, ProofProgress, ProofTask } from './proof-task.js';

/** WAITING for another proof to end, RUNNING, DONE with an outcome, or FAILED: it came to no end, and is begun anew when asked for. */
export type ProofStanding =
  | { readonly state: 'WAITING' | 'FAILED' }
  | { readonly state: 'RUNNING'; readonly progress: ProofProgress | null }
  | { readonly state: 'DONE'; readonly outcome: ProofOutcome };

interface Entry {
  readonly task: ProofTask;
  standing: ProofStanding;
  /** Settles, and never rejects, when the proof ended. */
  readonly ended: Promise<void>;
}

/** How long whoever asks waits for a proof that may be short, in milliseconds: well within the time of an answer. */
const PATIENCE = 5_000;
/** Proofs that may wait for the one that runs. */
const MOST_WAITING = 8;
/** Outcomes that are kept: of one release and proof they are always the same. */
const MOST_KEPT = 64;

/**
 * Who proves what, one proof at a time in this process, first come first served. Owns the outcomes, which are in memory alone:
 * after a restart a proof is run again.
 */
export class ProofDesk {
  private readonly kept = new LRUCache<string, ProofOutcome>({ max: MOST_KEPT });
  private readonly open = new Map<string, Entry>();
  private last: Promise<void> = Promise.resolve();
  private readonly stopping = new AbortController();

  constructor(
    private readonly registry: AttributeRegistry,
    private readonly run = proveApart,
    private readonly patience = PATIENCE,
  ) {}

  /**
   * How a proof stands: begun where it was not, and waited for a while. Throws RATE_LIMITED where too many wait.
   * @param hash of the release whose texts these are
   */
  async ask(hash: string, task: ProofTask): Promise<ProofStanding> {
    const key = JSON.stringify([hash, task.proof, task.rule]);
    const outcome = this.kept.get(key);
    if (outcome !== undefined) return { state: 'DONE', outcome };
    const entry = this.open.get(key) ?? this.begin(key, task);
    const waiting = new AbortController();
    await Promise.race([
      entry.ended,
      pause(this.patience, undefined, { ref: false, signal: waiting.signal }).catch(() => undefined),
    ]);
    waiting.abort();
    return entry.standing;
  }

  /** Ends what runs; what waits is not begun. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.last;
  }

  private begin(key: string, task: ProofTask): Entry {
    if (this.open.size > MOST_WAITING) {
      throw new Failure(
        'RATE_LIMITED',
        'Too many proofs wait for one another.',
        'Ask again when one of them has ended.',
      );
    }
    const entry: Entry = { task, standing: { state: 'WAITING' }, ended: this.last.then(() => this.work(key, entry)) };
    this.open.set(key, entry);
    this.last = entry.ended;
    return entry;
  }

  private async work(key: string, entry: Entry): Promise<void> {
    const { signal } = this.stopping;
    try {
      signal.throwIfAborted();
      entry.standing = { state: 'RUNNING', progress: null };
      const tell = (progress: ProofProgress) => void (entry.standing = { state: 'RUNNING', progress });
      const outcome = await this.run(entry.task, this.registry, tell, signal);
      entry.standing = { state: 'DONE', outcome };
      this.kept.set(key, outcome);
    } catch {
      entry.standing = { state: 'FAILED' };
    } finally {
      this.open.delete(key);
    }
  }
}
