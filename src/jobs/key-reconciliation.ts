import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import type { LedgerReader } from '../ledger/reader.js';
import { bareDraft } from '../ledger/record.js';
import type { LedgerWriter } from '../ledger/writer.js';
import { UNWRAPPED } from '../operation/key-use.js';
import {
  KeyUseReconciliation,
  RECONCILED_NOTHING,
  type ReconciledPosition,
  type UnexplainedUse,
  type UnwrapSource,
} from '../operation/key-use-reconciliation.js';
import type { Log } from '../telemetry/log.js';
import type { AgentClient } from '../vault/agent-client.js';
import type { JobPart } from './jobs.js';

/** With the grace of an unwrap and one turn in hand, an alarm is out within a minute. */
const EVERY_MILLISECONDS = 5_000;
/** References of one record: an entry of the ledger holds them. */
const MOST_NAMED = 1_000;

export interface ReconciliationServices {
  readonly agent: UnwrapSource & Pick<AgentClient, 'health'>;
  readonly reader: Pick<LedgerReader, 'end' | 'records' | 'indexFrom'>;
  readonly ledger: Pick<LedgerWriter, 'append'>;
  readonly clock: Clock;
  /** Logs that exist: what names another tenant is recorded in the system's. */
  readonly tenants: readonly string[];
}

/**
 * Reconciles this process's key agent with the ledger, always. In every process that has an agent, not in one of them: two
 * hosts have two agents. How far it is stands in a file that is replaced in one step; without it everything is matched
 * again, and nothing that was in order turns into an alarm.
 */
export class KeyReconciliation implements JobPart {
  private readonly ending = new AbortController();
  private running: Promise<void> | null = null;
  private found = 0;
  private reconciliation: KeyUseReconciliation | null = null;
  private kept = '';
  private failed = false;

  constructor(
    private readonly services: ReconciliationServices,
    /** File that remembers the position. */
    private readonly file: string,
  ) {}

  /** Keys that were given out and that no record explains, since this process runs. */
  get unexplained(): number {
    return this.found;
  }

  /** For whoever asks whether this process is ready: without the agent no patient's data opens. */
  get problem(): string | null {
    return this.services.agent.health ?? (this.failed ? 'key uses not reconciled' : null);
  }

  start(_queue: unknown, log: Log): Promise<void> {
    this.running ??= this.run(log);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.ending.abort();
    await this.running;
  }

  /** One turn; what is wrong with it is in the log, and it begins again from what was settled. */
  async turn(log: Log): Promise<void> {
    try {
      this.reconciliation ??= await this.begin();
      await this.reconciliation.turn((unexplained) => this.report(unexplained, log));
      await this.keep(this.reconciliation.position);
      this.failed = false;
    } catch (error) {
      // Of a chain that is broken this says so every five seconds, until somebody has looked at it.
      log.error('key uses not reconciled', { room: 'jobs', error });
      this.failed = error instanceof RangeError;
      if (this.failed) this.reconciliation = null;
    }
  }

  private async run(log: Log): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      await this.turn(log);
      await pause(EVERY_MILLISECONDS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async begin(): Promise<KeyUseReconciliation> {
    const text = await readFile(this.file, 'utf8').catch(() => null);
    const from = text === null ? RECONCILED_NOTHING : (JSON.parse(text) as ReconciledPosition);
    const { agent, reader, clock } = this.services;
    return new KeyUseReconciliation(agent, reader, clock, from);
  }

  /** The alarm is in the log first: the ledger may be what somebody has stopped. */
  private async report(unexplained: readonly UnexplainedUse[], log: Log): Promise<void> {
    for (const { tenant, use, references } of unexplained) {
      const [reference] = references;
      log.error('keys unwrapped without a record', { tenant, decisionId: use, count: references.length, reference });
    }
    for (const [tenant, ofTenant] of Map.groupBy(unexplained, (one) => one.tenant)) {
      const references = [...new Set(ofTenant.flatMap((one) => one.references))];
      for (let at = 0; at < references.length; at += MOST_NAMED) {
        await this.record(tenant, references.slice(at, at + MOST_NAMED));
      }
    }
    this.found += unexplained.reduce((sum, { references }) => sum + references.length, 0);
  }

  /** It has no decision: it must not explain what it tells of. */
  private async record(tenant: string, subjects: readonly string[]): Promise<void> {
    const log = this.services.tenants.includes(tenant) ? tenant : 'system';
    await this.services.ledger.append({
      ...bareDraft(log, 'keys.unexplained', 'KEY', newId()),
      outcome: 'failed',
      code: 'UNEXPLAINED_UNWRAP',
      accesses: [{ type: UNWRAPPED, rows: subjects.length, fields: {}, subjects }],
    });
  }

  private async keep(position: ReconciledPosition): Promise<void> {
    const text = JSON.stringify(position);
    if (text === this.kept) return;
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 });
    const draft = `${this.file}.${process.pid}`;
    const file = await open(draft, 'w', 0o600);
    await file.writeFile(text).finally(() => file.close());
    await rename(draft, this.file);
    this.kept = text;
  }
}
