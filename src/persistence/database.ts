import { MikroORM } from '@mikro-orm/postgresql';
import type { PoolClient } from 'pg';
import pg from 'pg';
import { DatabaseFault, databaseFault } from './sqlstate.js';
import type { Queryable, Statement } from './statement.js';

/**
 * What PostgreSQL keeps to for every connection of the running system; times in milliseconds. Statements are prepared and
 * written for an index, so one plan serves all parameters: planning each execution anew costs more than running it.
 */
export const CONNECTION_LIMITS = {
  statement_timeout: 15_000,
  idle_in_transaction_session_timeout: 10_000,
  lock_timeout: 5_000,
  connectionTimeoutMillis: 5_000,
  keepAlive: true,
  /** A writing transaction holds up the ledger for everybody; its limit is below the lag at which nothing is recorded. */
  options: '-c plan_cache_mode=force_generic_plan -c transaction_timeout=12000',
} as const;

const WAIT_MILLISECONDS = 5_000;
const DATE = 1082;
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === DATE ? (text: string) => text : pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

/** One connection of the pool, held by {@link Database}. `tenant` undefined: not known, never to be used as it is. */
interface Connection {
  readonly client: PoolClient;
  tenant: string | null | undefined;
  broken: boolean;
}

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: DatabaseFault) => void;
  readonly timer: NodeJS.Timeout;
}

/** Figures of the pool for the metrics. */
export interface DatabaseLoad {
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
}

/**
 * The connections of one database role, on MikroORM's own pool. Each connection remembers the tenant it is set to
 * (`custodia.tenant`, which row-level security reads); a statement prefers an idle connection of its tenant and
 * otherwise sets the tenant first, in a statement of its own. A connection whose state is in doubt is thrown away.
 * Everything that fails rejects with a {@link DatabaseFault}.
 */
export class Database {
  private readonly idle: Connection[] = [];
  private readonly waiting: Waiter[] = [];
  private open = 0;
  private closing = false;

  private constructor(
    private readonly pool: pg.Pool,
    private readonly maximum: number,
    private readonly end: () => Promise<void>,
  ) {}

  /** A pool of its own for one role. `maximum` connections at most; none is opened before it is needed. */
  static async connect(url: string, options: { maximum?: number; name?: string } = {}): Promise<Database> {
    const maximum = options.maximum ?? 16;
    const orm = new MikroORM({
      clientUrl: url,
      entities: [],
      discovery: { warnWhenNoEntities: false },
      pool: { min: 0, max: maximum },
      driverOptions: { ...CONNECTION_LIMITS, connectionString: url, application_name: options.name ?? 'custodia' },
    });
    return Database.of(orm, maximum);
  }

  /** Works on the pool of an existing ORM; `close()` closes that ORM. */
  static async of(orm: MikroORM, maximum: number): Promise<Database> {
    const pool = await orm.em.getConnection().getNativeClient();
    return new Database(pool, maximum, () => orm.close(true));
  }

  /** Runs one statement by itself. Without a tenant, row-level security shows nothing of any tenant. */
  async query<Row>(tenant: string | null, statement: Statement): Promise<Row[]> {
    const connection = await this.acquire(tenant);
    try {
      return await send<Row>(connection, statement);
    } finally {
      this.release(connection);
    }
  }

  /**
   * Runs `work` between BEGIN and COMMIT; whatever it throws rolls back and is thrown on. A COMMIT that PostgreSQL
   * answers with ROLLBACK (because an error inside was swallowed) is an error too. Retrying is the caller's decision.
   */
  async transaction<T>(
    tenant: string | null,
    work: (transaction: Queryable) => Promise<T>,
    options: { isolation?: 'repeatable read' } = {},
  ): Promise<T> {
    const connection = await this.acquire(tenant);
    let running = true;
    try {
      await send(connection, {
        text: options.isolation ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN',
        values: [],
      });
      const result = await work({
        query: async <Row>(statement: Statement): Promise<Row[]> => {
          if (!running) throw new DatabaseFault('other', null, null, 'The transaction is over.');
          return send<Row>(connection, statement);
        },
      });
      running = false;
      await commit(connection);
      return result;
    } catch (error) {
      running = false;
      await rollback(connection);
      throw error;
    } finally {
      this.release(connection);
    }
  }

  load(): DatabaseLoad {
    return { open: this.open, idle: this.idle.length, waiting: this.waiting.length };
  }

  /** Refuses new statements, lets running ones finish, closes the connections. */
  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    for (const waiter of this.waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(closed());
    }
    for (const connection of this.idle.splice(0)) this.discard(connection);
    await this.end();
  }

  private async acquire(tenant: string | null): Promise<Connection> {
    if (this.closing) throw closed();
    const connection = this.takeIdle(tenant) ?? (await this.obtain());
    if (connection.tenant !== tenant) {
      connection.tenant = undefined;
      try {
        await send(connection, {
          name: 'custodia_set_tenant',
          text: `SELECT set_config('custodia.tenant', $1, false)`,
          values: [tenant ?? ''],
        });
      } catch (error) {
        connection.broken = true;
        this.release(connection);
        throw error;
      }
      connection.tenant = tenant;
    }
    return connection;
  }

  /** The most recently used idle connection of the tenant; the least recently used of another once all are open. */
  private takeIdle(tenant: string | null): Connection | undefined {
    for (let index = this.idle.length - 1; index >= 0; index--) {
      if (this.idle[index]?.tenant === tenant) return this.idle.splice(index, 1)[0];
    }
    return this.open < this.maximum ? undefined : this.idle.shift();
  }

  private obtain(): Promise<Connection> {
    if (this.open < this.maximum) return this.connectOne();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(new DatabaseFault('exhausted', null, null, 'All connections to PostgreSQL are busy.'));
      }, WAIT_MILLISECONDS);
      const waiter: Waiter = { resolve, reject, timer };
      this.waiting.push(waiter);
    });
  }

  private async connectOne(): Promise<Connection> {
    this.open += 1;
    try {
      const client = await this.pool.connect();
      const connection: Connection = { client, tenant: null, broken: false };
      const lost = () => {
        connection.broken = true;
        const index = this.idle.indexOf(connection);
        if (index < 0) return;
        this.idle.splice(index, 1);
        this.discard(connection);
      };
      client.once('error', lost);
      client.once('end', lost);
      return connection;
    } catch (error) {
      this.open -= 1;
      this.serveNext();
      throw databaseFault(error);
    }
  }

  private release(connection: Connection): void {
    if (connection.broken || this.closing) {
      this.discard(connection);
      return;
    }
    const waiter = this.waiting.shift();
    if (waiter === undefined) {
      this.idle.push(connection);
      return;
    }
    clearTimeout(waiter.timer);
    waiter.resolve(connection);
  }

  private discard(connection: Connection): void {
    this.open -= 1;
    connection.client.release(true);
    this.serveNext();
  }

  /** A place became free without a connection: whoever waits longest gets a new one. */
  private serveNext(): void {
    if (this.open >= this.maximum) return;
    const waiter = this.waiting.shift();
    if (waiter === undefined) return;
    clearTimeout(waiter.timer);
    this.connectOne().then(waiter.resolve, waiter.reject);
  }
}

async function send<Row>(connection: Connection, statement: Statement): Promise<Row[]> {
  try {
    const config = { name: statement.name, text: statement.text, values: statement.values as unknown[], types };
    return (await connection.client.query(config)).rows as Row[];
  } catch (error) {
    throw inspect(connection, error);
  }
}

async function commit(connection: Connection): Promise<void> {
  let command: string;
  try {
    command = (await connection.client.query('COMMIT')).command;
  } catch (error) {
    throw inspect(connection, error);
  }
  if (command !== 'COMMIT') {
    throw new DatabaseFault('other', null, null, 'The transaction had failed before its COMMIT and was rolled back.');
  }
}

async function rollback(connection: Connection): Promise<void> {
  if (connection.broken) return;
  try {
    await connection.client.query('ROLLBACK');
  } catch {
    connection.broken = true;
  }
}

/** A lost connection is not used again, nor is one whose prepared statements no longer fit the tables (0A000). */
function inspect(connection: Connection, error: unknown): DatabaseFault {
  const fault = databaseFault(error);
  if (fault.kind === 'connection' || fault.sqlstate === '0A000') connection.broken = true;
  return fault;
}

function closed(): DatabaseFault {
  return new DatabaseFault('connection', null, null, 'The connections to PostgreSQL are closed.');
}
