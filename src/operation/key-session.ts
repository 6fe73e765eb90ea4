import { Failure } from '../kernel/failure.js';
import { connectTo } from '../ledger/session.js';
import type { Statement } from '../persistence/statement.js';
import type { Counting } from './key-rotation.js';

/** Counting may read every row, and the session is silent while something else works. */
const UNLIMITED = ['statement_timeout', 'transaction_timeout', 'idle_session_timeout'];

/** A session of the database owner without a limit of time. */
export interface KeySession extends Counting {
  /** Nobody else changes keys of this database while this session lives. Throws a Failure where somebody does. */
  takeLock(): Promise<void>;
  /** Throws where the session has ended, and its lock with it. */
  assertAlone(): void;
  close(): Promise<void>;
}

export async function keySession(ownerUrl: string): Promise<KeySession> {
  const session = await connectTo(ownerUrl, 'custodia keys')();
  let ended = false;
  void session.ended.then(() => (ended = true));
  await session.query({
    text: "SELECT set_config(name, '0', false) FROM unnest($1::text[]) AS name",
    values: [UNLIMITED],
  });
  return {
    query: <Row>(statement: Statement) => session.query<Row>(statement),
    async enter(tenant) {
      await session.query({ text: "SELECT set_config('custodia.tenant', $1, false)", values: [tenant] });
    },
    async takeLock() {
      const [row] = await session.query<{ taken: boolean }>({
        text: "SELECT pg_try_advisory_lock(hashtextextended('key rotation', 0)) AS taken",
        values: [],
      });
      if (row?.taken !== true)
        throw new Failure('BAD_USER_INPUT', 'Another command works on the keys of this database.', 'Wait for it.');
    },
    assertAlone() {
      if (ended)
        throw new Failure(
          'INTERNAL_SERVER_ERROR',
          'The connection to the database was lost.',
          'Run the command again: it goes on there.',
        );
    },
    close: () => session.close(),
  };
}
