import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/clock.js';
import { instantText } from '../kernel/clock.js';
import type { LedgerReader } from '../ledger/reader.js';
import { chained, LOG_BEGIN, type LogPosition, type UnwrapLine } from '../vault/agent-log-reader.js';

/** How long an unwrap may stand without a record that explains it. */
export const GRACE_MILLISECONDS = 45_000;
/** Entries of the ledger that one statement reads. */
const PAGE = 500;
/** Readings of the agent's log in one turn, about a mebibyte each. */
const MOST_READINGS = 64;
/** What was explained of late: work that goes on after its record may open the same key again. */
const EXPLAINED_HELD = 100_000;
const EXPLAINED_MILLISECONDS = 600_000;

/** How far both logs are read, with everything before settled: where another process may go on. */
export interface ReconciledPosition {
  readonly agent: LogPosition;
  /** By log of the ledger, the index up to which its entries were looked at. */
  readonly ledger: Readonly<Record<string, number>>;
}

export const RECONCILED_NOTHING: ReconciledPosition = { agent: LOG_BEGIN, ledger: {} };

/** A batch of the agent's log, and those of its keys that no record explains. */
export interface UnexplainedUse {
  readonly n: number;
  readonly time: string;
  readonly tenant: string;
  readonly use: string;
  readonly references: readonly string[];
}

/** Where lines of the agent's log come from: those after a number, about a mebibyte at most. */
export interface UnwrapSource {
  after(n: number): Promise<readonly string[]>;
}

type Ledger = Pick<LedgerReader, 'end' | 'records' | 'indexFrom'>;
type Pending = Pick<UnwrapLine, 'n' | 'time' | 'use'> & { readonly reference: string };

/**
 * Matches the keys that an agent gave out against the ledger. An unwrap is explained by a record of its tenant's log whose
 * `decision` is the use and whose accesses name the reference; it is written after the unwrap, and before anything of the
 * use leaves. Each turn asks first where the ledger ends, then reads the agent's log, then the ledger up to that end: so
 * whatever a record explains is known by then, and entries are read once, in pages, and only while something waits.
 * What waits is held in memory: what an agent's rate lets through in less than a minute.
 */
export class KeyUseReconciliation {
  private readonly waiting = new Map<string, Map<string, Pending>>();
  private readonly explained = new LRUCache<string, true>({ max: EXPLAINED_HELD, ttl: EXPLAINED_MILLISECONDS });
  private readonly read: Record<string, number>;
  private agentAt: LogPosition;
  /** Places that were reached, the oldest first; the first one has nothing unsettled before it. */
  private steps: ReconciledPosition[];

  constructor(
    private readonly agent: UnwrapSource,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
    from: ReconciledPosition = RECONCILED_NOTHING,
  ) {
    this.agentAt = from.agent;
    this.read = { ...from.ledger };
    this.steps = [from];
  }

  /** Where another process may go on. */
  get position(): ReconciledPosition {
    return this.steps[0] ?? RECONCILED_NOTHING;
  }

  /** Whether everything that was read is settled, and all logs were read to an end. */
  get idle(): boolean {
    return this.position === this.steps.at(-1) && this.position.agent.n === this.agentAt.n;
  }

  /**
   * Reads on in both logs. `report` is told what stayed unexplained for too long; what it could not take is told again in the
   * next turn. Throws a RangeError where the agent's log is not the one that was read before, and what a log throws that
   * cannot be read: of a ledger that lags nothing is said until it has caught up.
   */
  async turn(report: (unexplained: readonly UnexplainedUse[]) => Promise<void>): Promise<void> {
    const now = this.clock.milliseconds();
    const ends = new Map<string, number>();
    for (const log of Object.keys(this.read)) ends.set(log, await this.ledger.end(log));
    await this.readAgent();
    for (const [log, end] of ends) await this.readLedger(log, end);
    const overdue = this.overdue(now, ends);
    if (overdue.length > 0) await report(overdue.map(({ use }) => use));
    for (const { tenant, keys } of overdue) for (const key of keys) this.waiting.get(tenant)?.delete(key);
    this.settle();
  }

  private async readAgent(): Promise<void> {
    for (let readings = 0; readings < MOST_READINGS; readings += 1) {
      const [lines, reached] = chained(this.agentAt, await this.agent.after(this.agentAt.n));
      if (lines.length === 0) return;
      for (const line of lines) await this.await(line);
      this.agentAt = reached;
    }
  }

  private async await({ n, time, tenant, use, references, refused }: UnwrapLine): Promise<void> {
    if (refused !== undefined || references.length === 0) return;
    // A record that explains this line is not older than the line.
    this.read[tenant] ??= await this.ledger.indexFrom(tenant, time);
    const waiting = this.waiting.get(tenant) ?? new Map<string, Pending>();
    this.waiting.set(tenant, waiting);
    for (const reference of references) {
      const key = `${use} ${reference}`;
      if (!waiting.has(key) && !this.explained.has(`${tenant} ${key}`)) waiting.set(key, { n, time, use, reference });
    }
  }

  /** Nothing is read where nothing waits: what is unwrapped from now on is recorded behind the end. */
  private async readLedger(log: string, end: number): Promise<void> {
    const waiting = this.waiting.get(log);
    if (waiting === undefined) return this.reach(log, end);
    for (let low = this.read[log] ?? 0; low < end; low += PAGE) {
      if (waiting.size === 0) break;
      for (const { accesses, ...record } of await this.ledger.records(log, low, Math.min(end, low + PAGE))) {
        const use = record['decision'];
        if (typeof use !== 'string') continue;
        for (const { subjects } of accesses) for (const subject of subjects) this.explain(log, waiting, use, subject);
      }
    }
    this.reach(log, end);
  }

  private reach(log: string, end: number): void {
    this.read[log] = Math.max(end, this.read[log] ?? 0);
  }

  private explain(log: string, waiting: Map<string, Pending>, use: string, reference: string): void {
    const key = `${use} ${reference}`;
    if (waiting.delete(key)) this.explained.set(`${log} ${key}`, true);
  }

  /** Of logs that were read to an end that is younger than the grace allows. */
  private overdue(now: number, ends: ReadonlyMap<string, number>) {
    const found: { readonly tenant: string; readonly keys: readonly string[]; readonly use: UnexplainedUse }[] = [];
    const latest = instantText(now - GRACE_MILLISECONDS);
    for (const [tenant, waiting] of this.waiting) {
      if (!ends.has(tenant)) continue;
      const late = [...waiting].filter(([, { time }]) => time < latest);
      for (const [n, batch] of Map.groupBy(late, ([, pending]) => pending.n)) {
        const { time, use } = (batch[0] as [string, Pending])[1];
        const references = batch.map(([, pending]) => pending.reference);
        found.push({ tenant, keys: batch.map(([key]) => key), use: { n, time, tenant, use, references } });
      }
    }
    return found;
  }

  private settle(): void {
    this.steps.push({ agent: this.agentAt, ledger: { ...this.read } });
    let first = Infinity;
    for (const waiting of this.waiting.values()) for (const { n } of waiting.values()) first = Math.min(first, n);
    const settled = this.steps.findLastIndex(({ agent }) => agent.n < first);
    if (settled > 0) this.steps = this.steps.slice(settled);
  }
}
