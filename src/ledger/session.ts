import pg from 'pg';
import { databaseFault } from '../persistence/sqlstate.js';
import type { Queryable, Statement } from '../persistence/statement.js';

/**
 * One connection of its own, outside every pool: it carries session-level advisory locks, which end with it. Whoever
 * holds the session holds the locks, and a session that has ended is never used again.
 */
export interface Session extends Queryable {
  /** Settles when the connection has ended, for whatever reason. Never rejects. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** Opens a session; makes a new one on every call. */
export type Connect = () => Promise<Session>;

/**
 * How soon PostgreSQL gives up a session, and with it the lock, whose machine does not answer any more, while a statement
 * runs too. A process that is killed is noticed at once.
 */
const NOTICING_LOSS = {
  tcp_keepalives_idle: '1',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '2',
  tcp_user_timeout: '3s',
  client_connection_check_interval: '1s',
};

/** For a session that is never silent for long: one whose process hangs is given up, too. */
export const NEVER_SILENT = { idle_session_timeout: '10s', transaction_timeout: '12s' };

/** A {@link Connect} to a database with one role's URL. Failures are DatabaseFaults. */
export function connectTo(
  url: string,
  applicationName: string,
  settings: Readonly<Record<string, string>> = {},
): Connect {
  return async () => {
    const client = new pg.Client({
      connectionString: url,
      application_name: applicationName,
      statement_timeout: 15_000,
      connectionTimeoutMillis: 5_000,
      idle_in_transaction_session_timeout: 10_000,
      keepAlive: true,
      options: Object.entries({ ...NOTICING_LOSS, ...settings })
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
    });
    const ended = new Promise<void>((resolve) => {
      client.once('end', () => resolve());
    });
    // A lost connection is told by `ended` and by the next statement; without a listener it would end the process.
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      throw databaseFault(error);
    }
    return {
      ended,
      async query<Row>(statement: Statement): Promise<Row[]> {
        try {
          return (await client.query({ ...statement, values: [...statement.values] })).rows as Row[];
        } catch (error) {
          throw databaseFault(error);
        }
      },
      close: () => client.end(),
    };
  };
}

/** Key of the advisory lock of the leading sequencer ("CUSTLEDG" in ASCII). */
export const LEADER_LOCK = '4851875795083543623';
