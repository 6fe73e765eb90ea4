import { LRUCache } from 'lru-cache';
import { setTimeout as pause } from 'node:timers/promises';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { checkApart, proveApart } from './proof-thread.js';
import type { ProofOutcome, ProofProgress, ProofTask } from './proof-task.js';
import type { ProposalOutcome, ProposalTask } from './proposal-check.js';

/** WAITING for another proof to end, RUNNING, DONE with an outcome, or FAILED: it came to no end, and is begun anew when asked for. */
export type ProofStanding =
  | { readonly state: 'WAITING' | 'FAILED' }
  | { readonly state: 'RUNNING'; readonly progress: ProofProgress | null }
  | { readonly state: 'DONE'; readonly outcome: ProofOutcome };

interface Entry {
  readonly key: string;
  readonly tenant: string;
  readonly task: ProofTask;
  standing: ProofStanding;
  /** Settles, and never rejects, when the proof ended. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/** Outcomes that are kept: of one release and proof they are always the same. */
const MOST_KEPT = 64;

/** In milliseconds. */
interface DeskTimes {
  /** How long whoever asks waits for a proof that may be short: well within the time of an answer. */
  readonly patience: number;
  /** How long a proof may run: some times what the shipped policies need. */
  readonly proof: number;
  /** How long a proposal may wait for others, and how long it may be checked: an answer takes both. */
  readonly wait: number;
  readonly check: number;
}
const TIMES: DeskTimes = { patience: 5_000, proof: 600_000, wait: 8_000, check: 20_000 };

/**
 * Who proves what: one proof at a time in this process, and beside it one check of a proposal. A tenant has one place of each
 * to wait in, and those of others go before its next one. Owns the outcomes, which are in memory alone: after a restart a proof
 * is run again.
 */
export class ProofDesk {
  private readonly kept = new LRUCache<string, ProofOutcome>({ max: MOST_KEPT });
  private readonly open = new Map<string, Entry>();
  private readonly checking = new Set<string>();
  private running: Promise<void> | null = null;
  /** Whose proof ran last. */
  private served: string | null = null;
  private lastCheck: Promise<unknown> = Promise.resolve();
  private readonly stopping = new AbortController();
  private readonly times: DeskTimes;

  constructor(
    private readonly registry: AttributeRegistry,
    times: Partial<DeskTimes> = {},
    private readonly run = proveApart,
    private readonly checks = checkApart,
  ) {
    this.times = { ...TIMES, ...times };
  }

  /**
   * How a proof stands: begun where it was not, and waited for a while. Throws RATE_LIMITED where another one of the tenant
   * waits.
   * @param hash of the release whose texts these are
   */
  async ask(tenant: string, hash: string, task: ProofTask): Promise<ProofStanding> {
    const key = JSON.stringify([hash, task.proof, task.rule]);
    const outcome = this.kept.get(key);
    if (outcome !== undefined) return { state: 'DONE', outcome };
    const entry = this.open.get(key) ?? this.begin(tenant, key, task);
    const waiting = new AbortController();
    await Promise.race([
      entry.ended,
      pause(this.times.patience, undefined, { ref: false, signal: waiting.signal }).catch(() => undefined),
    ]);
    waiting.abort();
    return entry.standing;
  }

  /**
   * What is wrong with a proposal. One that takes too long, or more memory than its thread may have, has that problem. Throws
   * RATE_LIMITED where another one of the tenant is being checked, or those of others take all the time.
   */
  async check(tenant: string, task: ProposalTask): Promise<ProposalOutcome> {
    if (this.checking.has(tenant)) throw crowded('Another proposal of this organisation is being checked.');
    this.checking.add(tenant);
    let standing: 'waits' | 'runs' | 'left' = 'waits';
    const turn = this.lastCheck.then(() => {
      if (standing === 'left') return null;
      standing = 'runs';
      return this.checked(task);
    });
    this.lastCheck = turn.catch(() => undefined);
    const waiting = new AbortController();
    const waited = pause(this.times.wait, undefined, { ref: false, signal: waiting.signal }).catch(() => undefined);
    const leave = waited.then(() => {
      if (standing === 'runs') return turn;
      standing = 'left';
      return null;
    });
    try {
      const outcome = await Promise.race([turn, leave]);
      if (outcome === null) throw crowded('Proposals of others are being checked.');
      return outcome;
    } finally {
      waiting.abort();
      this.checking.delete(tenant);
    }
  }

  /** Ends what runs; what waits is not begun. */
  async close(): Promise<void> {
    this.stopping.abort();
    this.next();
    await Promise.all([this.running, this.lastCheck]);
  }

  private async checked(task: ProposalTask): Promise<ProposalOutcome> {
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(this.times.check)]);
    try {
      return await this.checks(task, this.registry, signal);
    } catch (error) {
      if (this.stopping.signal.aborted) throw error;
      const seconds = Math.round(this.times.check / 1000);
      const message = `To check these policies takes longer than ${seconds} seconds, or too much memory: change less at once.`;
      return { hash: null, version: null, problems: [{ file: 'policies', line: 1, message }] };
    }
  }

  private begin(tenant: string, key: string, task: ProofTask): Entry {
    for (const one of this.open.values()) {
      if (one.tenant === tenant && one.standing.state === 'WAITING')
        throw crowded('Another proof that this organisation asked for waits.');
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const entry: Entry = { key, tenant, task, standing: { state: 'WAITING' }, ended, end };
    this.open.set(key, entry);
    this.next();
    return entry;
  }

  /** Begins the proof that waits longest, of a tenant that was not the last one where there is one. */
  private next(): void {
    const waiting = [...this.open.values()].filter((one) => one.standing.state === 'WAITING');
    if (this.stopping.signal.aborted) {
      for (const entry of waiting) this.settle(entry, { state: 'FAILED' });
      return;
    }
    const entry = waiting.find((one) => one.tenant !== this.served) ?? waiting[0];
    if (this.running !== null || entry === undefined) return;
    this.served = entry.tenant;
    entry.standing = { state: 'RUNNING', progress: null };
    this.running = this.work(entry).finally(() => {
      this.running = null;
      this.next();
    });
  }

  private async work(entry: Entry): Promise<void> {
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(this.times.proof)]);
    try {
      const tell = (progress: ProofProgress) => void (entry.standing = { state: 'RUNNING', progress });
      const outcome = await this.run(entry.task, this.registry, tell, signal);
      this.kept.set(entry.key, outcome);
      this.settle(entry, { state: 'DONE', outcome });
    } catch {
      this.settle(entry, { state: 'FAILED' });
    }
  }

  private settle(entry: Entry, standing: ProofStanding): void {
    entry.standing = standing;
    this.open.delete(entry.key);
    entry.end();
  }
}

function crowded(message: string): Failure {
  return new Failure('RATE_LIMITED', message, 'Ask again when it has ended.');
}
