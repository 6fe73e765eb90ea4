import type { Statement } from '../persistence/statement.js';

export interface LagOptions {
  /** The sequencer's role: it may read entries and position. */
  readonly database: { query<Row>(tenant: null, statement: Statement): Promise<Row[]> };
  /** Above this many milliseconds nothing new is recorded. */
  readonly limit: number;
  /** Milliseconds that only go forward; this process's own. */
  readonly monotonic?: () => number;
}

/** What the lag is now. `blockedByPid`: while it is worrying, the connection whose writing transaction is the oldest. */
export interface Lag {
  readonly milliseconds: number;
  readonly blockedByPid: number | null;
  readonly refusing: boolean;
  /** False while the tables cannot be read; the lag then is that of the failure. */
  readonly measured: boolean;
}

/** Where an entry stands in the sequencer's order. */
interface Place {
  readonly xid: bigint;
  readonly id: bigint;
}

/** An entry that was committed, and when this process first saw that the sequencer had not reached it. */
interface Mark extends Place {
  readonly at: number;
}

interface PositionRow {
  readonly last_xid: string;
  readonly last_id: string;
  readonly xid: string | null;
  readonly id: string | null;
}

export const LAG_LIMIT = 15_000;
const WORRYING_LAG = 5_000;
const LOOK_MILLISECONDS = 1_000;
const LOOK_TIMEOUT = 5_000;

/**
 * How long committed entries have waited for their index, measured once a second in every process. Whatever time a row
 * carries is some process's clock, and a VOID record even carries another record's; so the age is counted from when
 * this process first saw the newest entry of a look beyond the sequencer's position, on its own clock that never steps
 * back. A lag that cannot be measured grows like one that is.
 */
export class LagWatch {
  private marks: Mark[] = [];
  private failingSince: number | null = null;
  private lag: Lag = { milliseconds: 0, blockedByPid: null, refusing: false, measured: true };
  private looking: Promise<Lag> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private alarm: (lag: Lag, over: boolean) => void = () => undefined;
  private alarmed = false;

  constructor(private readonly options: LagOptions) {}

  /** As of the last look. */
  get now(): Lag {
    return this.lag;
  }

  /** Is told once when the lag becomes worrying, and once when that is over. One listener. */
  onAlarm(listener: (lag: Lag, over: boolean) => void): void {
    this.alarm = listener;
  }

  start(): void {
    this.timer = setTimeout(() => {
      void this.look().finally(() => {
        if (this.timer !== null) this.start();
      });
    }, LOOK_MILLISECONDS);
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** Measures now; never rejects. */
  look(): Promise<Lag> {
    this.looking ??= this.measure().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async measure(): Promise<Lag> {
    const started = this.monotonic();
    let milliseconds: number;
    try {
      milliseconds = this.age(await this.read(), started);
      this.failingSince = null;
    } catch {
      this.failingSince ??= started;
      const since = Math.min(this.failingSince, this.marks[0]?.at ?? this.failingSince);
      milliseconds = this.monotonic() - since;
    }
    const blockedByPid = milliseconds > WORRYING_LAG ? await this.blockingPid().catch(() => null) : null;
    this.lag = {
      milliseconds,
      blockedByPid,
      refusing: milliseconds > this.options.limit,
      measured: this.failingSince === null,
    };
    const worrying = milliseconds > WORRYING_LAG;
    if (worrying !== this.alarmed) {
      this.alarmed = worrying;
      this.alarm(this.lag, !worrying);
    }
    return this.lag;
  }

  private age(row: PositionRow, at: number): number {
    const newest = row.xid === null || row.id === null ? null : { xid: BigInt(row.xid), id: BigInt(row.id) };
    if (newest === null) {
      this.marks = [];
      return 0;
    }
    const position = { xid: BigInt(row.last_xid), id: BigInt(row.last_id) };
    // A marked entry that is there no more was deleted before it was sequenced; those before it still wait.
    this.marks = this.marks
      .filter((mark) => isAfter(mark, position))
      .map((mark) => (isAfter(mark, newest) ? { ...newest, at: mark.at } : mark));
    const last = this.marks.at(-1);
    // What stands before the newest entry was seen by an earlier look, or is as young as this one.
    if (last === undefined || isAfter(newest, last)) this.marks.push({ ...newest, at });
    return at - (this.marks[0]?.at ?? at);
  }

  private async read(): Promise<PositionRow> {
    const [row] = await this.send<PositionRow>({
      name: 'ledger_newest_unsequenced',
      text:
        'SELECT last_xid, last_id, newest.xid, newest.id FROM ledger_sequence LEFT JOIN LATERAL (SELECT xid, id ' +
        'FROM ledger_entry WHERE (xid, id) > (last_xid, last_id) AND id > restored_id ' +
        'ORDER BY xid DESC, id DESC LIMIT 1) AS newest ON true',
      values: [],
    });
    if (row === undefined) throw new Error('The table ledger_sequence has lost its row.');
    return row;
  }

  /** Every writing transaction holds a lock on its own id, which every role may see; the oldest id is the watermark. */
  private async blockingPid(): Promise<number | null> {
    const [row] = await this.send<{ pid: number }>({
      text:
        "SELECT pid FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted " +
        'AND pid IS NOT NULL ORDER BY age(transactionid) DESC LIMIT 1',
      values: [],
    });
    return row?.pid ?? null;
  }

  /** A connection that is only half there answers nothing at all. */
  private async send<Row>(statement: Statement): Promise<Row[]> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('PostgreSQL took too long.')), LOOK_TIMEOUT);
    });
    try {
      return await Promise.race([this.options.database.query<Row>(null, statement), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  private monotonic(): number {
    return this.options.monotonic?.() ?? performance.now();
  }
}

function isAfter(one: Place, other: Place): boolean {
  return one.xid > other.xid || (one.xid === other.xid && one.id > other.id);
}
