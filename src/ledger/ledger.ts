import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import { Chain } from './chain.js';
import { Checkpointer } from './checkpoint.js';
import type { CheckpointStore } from './checkpoint-store.js';
import type { LedgerKeys } from './keys.js';
import { createLog, listLogs, readIncarnation } from './logs.js';
import { Sequencer, type SequencerHealth } from './sequencer.js';
import { connectTo } from './session.js';
import { LedgerWriter } from './writer.js';

export interface LedgerOptions {
  readonly app: Database;
  readonly sequencer: Database;
  /** URL of the sequencer's role: the leader's lock needs a connection of its own. */
  readonly sequencerUrl: string;
  readonly keys: LedgerKeys;
  readonly store: CheckpointStore;
  readonly clock: Clock;
}

const CHECKPOINT_MILLISECONDS = 1_000;
const POLL_MILLISECONDS = 50;

/**
 * The ledger of one process: writer, sequencer and checkpoints, wired together. Every process has one; which of them
 * sequences and signs is decided by the leader's lock.
 */
export class Ledger {
  private timer: NodeJS.Timeout | null = null;
  private publishing: Promise<void> = Promise.resolve();
  private problem: string | null = null;

  private constructor(
    readonly options: LedgerOptions,
    readonly writer: LedgerWriter,
    readonly sequencer: Sequencer,
    private readonly checkpointer: Checkpointer,
    private readonly incarnation: number,
    private readonly started: Set<string>,
  ) {}

  /**
   * Refuses (LedgerFault, "ledger rollback detected …") a database that does not extend the stored checkpoints, then
   * starts. `createLogs` comes next, before the first record.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { app, sequencer: database, keys, store, clock } = options;
    const checkpointer = new Checkpointer({ database, store, keys });
    await checkpointer.verify();
    const incarnation = await readIncarnation(database);
    const sequencer = new Sequencer({
      connect: connectTo(options.sequencerUrl, 'custodia sequencer'),
      database,
      clock,
      chain: new Chain(keys.macKey),
      elected: () => checkpointer.verify(),
    });
    const started = new Set(await listLogs(database));
    const writer = new LedgerWriter({
      database: app,
      clock,
      macKey: keys.macKey,
      incarnation,
      started: (log) => started.has(log),
      committed: () => sequencer.wake(),
    });
    const ledger = new Ledger(options, writer, sequencer, checkpointer, incarnation, started);
    sequencer.start();
    ledger.schedule();
    return ledger;
  }

  /** Starts the logs that are not started yet: one per tenant, and `system`. */
  async createLogs(logs: readonly string[]): Promise<void> {
    for (const log of logs) {
      await createLog(this.options.sequencer, this.writer, this.options.keys, this.incarnation, log);
      this.started.add(log);
    }
  }

  async health(): Promise<SequencerHealth> {
    const health = await this.sequencer.health();
    return { ...health, problem: health.problem ?? this.problem };
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

  private async round(): Promise<void> {
    if (this.sequencer.leader) await this.publish();
    // Another process may have started a tenant's log.
    for (const log of await listLogs(this.options.sequencer)) this.started.add(log);
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
    for (const [log, size] of Object.entries(sizes)) {
      const note = await this.options.store.read(log);
      if (Number(note?.split('\n')[1] ?? 0) < size) return false;
    }
    return true;
  }
}
