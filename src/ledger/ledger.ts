import { setTimeout as pause } from 'node:timers/promises';
import { vkey } from '../../audit/note.mjs';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import { Chain } from './chain.js';
import { Checkpointer } from './checkpoint.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { requireIncarnation } from './incarnation.js';
import type { LedgerKeys } from './keys.js';
import { type Lag, LAG_LIMIT, LagWatch } from './lag.js';
import { LogFiles } from './log-files.js';
import { createLog, listLogs } from './logs.js';
import { consistencyProof } from './proof.js';
import { OwnRecords } from './own-records.js';
import { Publication } from './publication.js';
import { Sequencer, type SequencerHealth } from './sequencer.js';
import { connectTo, NEVER_SILENT } from './session.js';
import type { WitnessHealth } from './witness-client.js';
import type { WitnessSettings } from './witness-policy.js';
import { writerSession } from './writer-ending.js';
import { LedgerWriter } from './writer.js';

export interface LedgerOptions {
  readonly app: Database;
  readonly sequencer: Database;
  /** URL of the sequencer's role: the leader's lock needs a connection of its own. */
  readonly sequencerUrl: string;
  readonly keys: LedgerKeys;
  readonly store: CheckpointStore;
  readonly clock: Clock;
  /** Milliseconds for which committed entries may wait for their index before nothing new is recorded; 15 s if absent. */
  readonly lagLimit?: number;
  /** Who cosigns the checkpoints; absent: nobody. */
  readonly witnesses?: WitnessSettings;
}

export interface LedgerHealth extends SequencerHealth {
  /** For how long the oldest committed entry has been waiting for its index, to within a second; 0 without any. */
  readonly lagMilliseconds: number;
  /** While the lag is above 5 s: the connection whose writing transaction has been open longest, if there is one. */
  readonly blockedByPid: number | null;
  /** Whether new records are refused, because the lag is above its limit. */
  readonly refusing: boolean;
  /** What this process knows of the witnesses: nothing, unless it leads. */
  readonly witnesses: readonly WitnessHealth[];
}

const CHECKPOINT_MILLISECONDS = 1_000;
const DAY = 86_400_000;
const POLL_MILLISECONDS = 50;

/**
 * The ledger of one process: writer, sequencer and checkpoints, wired together. Every process has one; which of them
 * sequences and signs is decided by the leader's lock.
 */
export class Ledger {
  private timer: NodeJS.Timeout | null = null;
  private publishing: Promise<void> = Promise.resolve();
  private problem: string | null = null;
  private writes = false;
  private monthsUntil = 0;

  private constructor(
    readonly options: LedgerOptions,
    readonly writer: LedgerWriter,
    readonly sequencer: Sequencer,
    private readonly checkpointer: Checkpointer,
    private readonly publication: Publication,
    private readonly incarnation: number,
    private readonly lag: LagWatch,
  ) {}

  /**
   * Refuses (LedgerFault, "ledger rollback detected …") a database that does not extend the stored checkpoints, then
   * starts. `createLogs` comes next, before the first record; without it the ledger is open for reading and leaves none.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { app, sequencer: database, keys, store, clock } = options;
    const incarnation = await requireIncarnation(database, store, keys);
    const files = new LogFiles(database, store, keys, null);
    const publication = new Publication({
      store,
      clock,
      policy: options.witnesses?.policy ?? null,
      vkey: (log) => vkey(keys.signer(log).name, keys.signer(log).privateKey),
      proof: (log, from, to) => consistencyProof(files, log, from, to),
    });
    const checkpointer = new Checkpointer({ database, store, keys, publication });
    await checkpointer.verify();
    const lag = new LagWatch({ database, limit: options.lagLimit ?? LAG_LIMIT });
    const writer = new LedgerWriter({
      database: app,
      clock,
      macKey: keys.macKey,
      incarnation,
      refusing: () => lag.now.refusing,
      made: (record) => sequencer.leader && own.keep(record),
      committed: () => sequencer.wake(),
    });
    const own = new OwnRecords(writer.writer);
    const sequencer = new Sequencer({
      connect: () => connectTo(options.sequencerUrl, writerSession(writer.writer), NEVER_SILENT)(),
      database,
      clock,
      chain: new Chain(keys.macKey, own),
      elected: () => checkpointer.verify(),
    });
    const ledger = new Ledger(options, writer, sequencer, checkpointer, publication, incarnation, lag);
    await ledger.keepMonths();
    sequencer.start();
    lag.start();
    ledger.schedule();
    return ledger;
  }

  /** Starts the logs that are not started yet, one per tenant and `system`, and registers this process in all of them. */
  async createLogs(logs: readonly string[]): Promise<void> {
    this.writes = true;
    for (const log of logs) {
      await createLog(this.options.sequencer, this.writer, this.options.keys, this.incarnation, log);
    }
  }

  /** Is told once when the lag passes 5 s, and once when that is over. One listener. */
  onLagAlarm(listener: (lag: Lag, over: boolean) => void): void {
    this.lag.onAlarm(listener);
  }

  /** Is told once when a witness (by its name in the policy) fails, and once with null when it cosigns again. One listener. */
  onWitnessAlarm(listener: (name: string, problem: string | null) => void): void {
    this.publication.onAlarm(listener);
  }

  /** Rejects when the ledger cannot be read. */
  async health(): Promise<LedgerHealth> {
    const health = await this.sequencer.health();
    const { milliseconds, blockedByPid, refusing, measured } = await this.lag.look();
    if (!measured) throw new Failure('AUDIT_UNAVAILABLE', 'The ledger cannot be read.', 'Look at the database.');
    return {
      ...health,
      lagMilliseconds: Math.round(milliseconds),
      blockedByPid,
      refusing,
      witnesses: this.sequencer.leader ? this.publication.health() : [],
      problem: health.problem ?? this.problem ?? (await this.lackOfWitnesses()),
    };
  }

  private async lackOfWitnesses(): Promise<string | null> {
    if (this.options.witnesses?.demanded !== true) return null;
    const logs = await this.publication.unwitnessed();
    return logs.length === 0
      ? null
      : `The checkpoints of ${logs.join(', ')} lack the cosignatures that the policy demands.`;
  }

  /**
   * Resolves when everything that was committed before the call is sequenced and under a stored checkpoint, whichever
   * process leads. Rejects with AUDIT_UNAVAILABLE after `timeout` milliseconds, or with what stopped this leader.
   */
  async settle(timeout: number): Promise<void> {
    const deadline = this.options.clock.milliseconds() + timeout;
    await this.sequencer.drain(timeout);
    const { sizeByLog } = await this.sequencer.health();
    for (;;) {
      if (this.sequencer.leader) await this.publish();
      if (await this.covered(sizeByLog)) return;
      if (this.sequencer.stoppedBy !== null) throw this.sequencer.stoppedBy;
      if (this.options.clock.milliseconds() >= deadline) {
        throw new Failure(
          'AUDIT_UNAVAILABLE',
          'The newest entries of the ledger are not under a signed checkpoint yet.',
          'Look at /readyz, then try again.',
        );
      }
      await pause(POLL_MILLISECONDS);
    }
  }

  /** Flushes and stops; the leader signs once more what it sequenced. */
  async close(): Promise<void> {
    await this.writer.close();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.lag.stop();
    if (this.sequencer.leader) {
      await this.sequencer.drain(CHECKPOINT_MILLISECONDS).catch(() => undefined);
      await this.publish().catch(() => undefined);
    }
    await this.publishing;
    await this.sequencer.stop();
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      void this.round()
        .catch(() => undefined)
        .then(() => {
          if (this.timer !== null) this.schedule();
        });
    }, CHECKPOINT_MILLISECONDS);
  }

  /** Whatever fails here is tried again by the next round. */
  private async round(): Promise<void> {
    if (this.sequencer.leader) await this.publish().catch(() => undefined);
    await this.keepMonths();
    if (!this.writes) return;
    // Another process may have started a tenant's log, and a registration may have failed.
    for (const log of await listLogs(this.options.sequencer)) await this.writer.register(log);
  }

  /** Partitions for this month and the next two, looked after daily: without its own a month cannot be dropped later. */
  private async keepMonths(): Promise<void> {
    if (performance.now() < this.monthsUntil) return;
    const { sequencer, clock } = this.options;
    const text = 'SELECT ensure_ledger_months($1, 3)';
    await sequencer.query(null, { text, values: [clock.now()] }).then(
      () => (this.monthsUntil = performance.now() + DAY),
      () => undefined,
    );
  }

  /** One at a time: two rounds at once would take each other's checkpoint for a stranger's. */
  private async publish(): Promise<void> {
    const round = this.publishing.then(async () => {
      try {
        await this.checkpointer.publish();
        this.problem = null;
      } catch (error) {
        this.problem = error instanceof Error ? error.message : 'The checkpoint could not be stored.';
        throw error;
      }
    });
    this.publishing = round.catch(() => undefined);
    return round;
  }

  private async covered(sizes: Readonly<Record<string, number>>): Promise<boolean> {
    const { store, witnesses } = this.options;
    for (const [log, size] of Object.entries(sizes)) {
      // What is shown comes a moment after what is signed; nobody waits here for witnesses.
      const note = await (witnesses === undefined ? store.readPublished(log) : store.read(log));
      if (Number(note?.split('\n')[1] ?? 0) < size) return false;
    }
    return true;
  }
}
