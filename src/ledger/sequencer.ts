import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import type { Statement } from '../persistence/statement.js';
import { Chain, LARGEST_PASS } from './chain.js';
import { assertSessionDurability } from './durability.js';
import { LedgerFault } from './fault.js';
import { type Connect, LEADER_LOCK, type Session } from './session.js';

/** What the sequencer needs of its role's Database, beside the session that holds the lock. */
export interface SequencerDatabase {
  query<Row>(tenant: null, statement: Statement): Promise<Row[]>;
}

export interface SequencerOptions {
  readonly connect: Connect;
  readonly database: SequencerDatabase;
  readonly clock: Clock;
  readonly chain: Chain;
  /** Runs after every election, before the first pass; what it throws keeps this process from leading. */
  readonly elected?: () => Promise<void>;
}

export interface SequencerHealth {
  readonly leader: boolean;
  readonly sizeByLog: Readonly<Record<string, number>>;
  /** One sentence: why nothing is sequenced here. Null while all is well, also where another process leads. */
  readonly problem: string | null;
}

const SHORTEST_PAUSE = 100;
/** Under load the pass itself takes long enough for the next to be a batch. */
const BUSY_PAUSE = 20;
const BUSY = 1_000;
const LONGEST_PAUSE = 400;
const ELECTION_PAUSE = 500;
const RETRY_PAUSE = 1_000;
const HEARTBEAT = 1_000;

/**
 * The one place where entries get their index. Every process may run one; the leader is who holds a session-level
 * advisory lock, on the same connection that carries its transactions: with the connection goes the lock, and what
 * was not committed. Compare-and-swap on the heads is the second fence.
 */
export class Sequencer {
  private running: Promise<void> | null = null;
  private readonly ending = new AbortController();
  private session: Session | null = null;
  private problem: string | null = null;
  private fault: LedgerFault | null = null;
  private rouse: (() => void) | null = null;
  private roused = false;
  private leads = false;

  constructor(private readonly options: SequencerOptions) {}

  get leader(): boolean {
    return this.leads;
  }

  /** The fault that stopped this leader; null while the ledger is as it should be. */
  get stoppedBy(): LedgerFault | null {
    return this.fault;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Something was committed: ends a long pause. Passes still keep their shortest distance, so that they stay batches. */
  wake(): void {
    this.roused = true;
    this.rouse?.();
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.wake();
    await this.running;
  }

  /**
   * Resolves when every entry that was committed before the call is sequenced, here or by another process. Rejects with
   * AUDIT_UNAVAILABLE after `timeout` milliseconds, and with the fault when this leader has stopped over one.
   */
  async drain(timeout: number): Promise<void> {
    const [now] = await this.options.database.query<{ xmax: string }>(null, {
      text: 'SELECT pg_snapshot_xmax(pg_current_snapshot()) AS xmax',
      values: [],
    });
    const deadline = this.options.clock.milliseconds() + timeout;
    for (;;) {
      this.wake();
      const open = await this.options.database.query(null, {
        name: 'ledger_unsequenced_before',
        text:
          'SELECT 1 FROM ledger_sequence, LATERAL (SELECT 1 FROM ledger_entry ' +
          'WHERE (xid, id) > (last_xid, last_id) AND xid < $1::xid8 AND id > restored_id ORDER BY xid, id LIMIT 1) AS entry',
        values: [now?.xmax],
      });
      if (open.length === 0) return;
      if (this.fault !== null) throw this.fault;
      if (this.options.clock.milliseconds() >= deadline) {
        throw new Failure(
          'AUDIT_UNAVAILABLE',
          'Committed entries wait to be sequenced.',
          'Look at /readyz for what blocks.',
        );
      }
      await pause(SHORTEST_PAUSE);
    }
  }

  async health(): Promise<SequencerHealth> {
    return { leader: this.leads, sizeByLog: await this.sizes(), problem: this.problem };
  }

  private async run(): Promise<void> {
    while (!this.ending.signal.aborted) {
      try {
        this.session = await this.options.connect();
        void this.session.ended.then(() => {
          this.leads = false;
        });
        await this.lead(this.session);
      } catch (error) {
        this.problem = error instanceof Error ? error.message : 'The sequencer failed.';
        if (error instanceof LedgerFault) this.fault = error;
        this.options.chain.forget();
      } finally {
        this.leads = false;
        await this.session?.close().catch(() => undefined);
        this.session = null;
      }
      await this.sleep(RETRY_PAUSE);
    }
  }

  /** Waits for the lock, then passes until it is told to stop. Any error ends the session, and with it the lock. */
  private async lead(session: Session): Promise<void> {
    while (!(await this.takeLock(session))) {
      this.problem = null;
      await this.sleep(ELECTION_PAUSE);
      if (this.ending.signal.aborted) return;
    }
    // Whoever led before may have gone further than this process remembers.
    this.options.chain.forget();
    await this.begin(session);
    this.leads = true;
    let idle = SHORTEST_PAUSE;
    while (!this.ending.signal.aborted) {
      const count = await this.options.chain.pass(session);
      this.problem = null;
      this.fault = null;
      if (count === LARGEST_PASS) continue;
      if (count >= BUSY) {
        await this.sleep(BUSY_PAUSE);
        continue;
      }
      idle = count > 0 ? SHORTEST_PAUSE : Math.min(idle * 2, LONGEST_PAUSE);
      await this.sleep(SHORTEST_PAUSE);
      if (idle > SHORTEST_PAUSE) await this.rest(idle - SHORTEST_PAUSE);
    }
  }

  /** Between the election and the first pass. */
  private async begin(session: Session): Promise<void> {
    await assertSessionDurability(session);
    await flushAll(session);
    // An idle session would be taken for that of a process that hangs.
    const beat = () => void session.query({ text: 'SELECT 1', values: [] }).catch(() => undefined);
    const beating = setInterval(beat, HEARTBEAT);
    try {
      await this.options.elected?.();
    } finally {
      clearInterval(beating);
    }
  }

  private async takeLock(session: Session): Promise<boolean> {
    const [row] = await session.query<{ taken: boolean }>({
      text: 'SELECT pg_try_advisory_lock($1::bigint) AS taken',
      values: [LEADER_LOCK],
    });
    return row?.taken === true;
  }

  /** A pause that only `stop` ends. */
  private async sleep(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.ending.signal }).catch(() => undefined);
  }

  /** A pause that `wake` ends, also when the call came just before it. */
  private async rest(milliseconds: number): Promise<void> {
    if (!this.roused) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.rouse = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.rouse = null;
    this.roused = false;
  }

  private async sizes(): Promise<Record<string, number>> {
    const rows = await this.options.database.query<{ log: string; size: string }>(null, {
      name: 'ledger_sizes',
      text: 'SELECT log, size FROM ledger_head ORDER BY log',
      values: [],
    });
    return Object.fromEntries(rows.map((row) => [row.log, Number(row.size)]));
  }
}

/**
 * A leader that died in its COMMIT may have left behind what is visible here and not yet on the standby. A commit of this
 * session waits for the standby, and so for all that is before it.
 */
async function flushAll(session: Session): Promise<void> {
  await session.query({ name: 'ledger_flush', text: 'UPDATE ledger_sequence SET last_id = last_id', values: [] });
}
