import { Refusal } from '../config/refusal.js';
import { connectTo, type Session } from './session.js';

/** Reading a month may take long, and so may the export and the verification in between, while the session is idle. */
const UNLIMITED = ['statement_timeout', 'transaction_timeout', 'idle_session_timeout'];

/**
 * A session of the database owner for work on the archive: without a limit of time, and alone, because two that archive at
 * once would write the same files. That ends with the session.
 */
export async function ownerSession(ownerUrl: string): Promise<Session> {
  const session = await connectTo(ownerUrl, 'custodia archive')();
  try {
    await session.query({
      text: "SELECT set_config(name, '0', false) FROM unnest($1::text[]) AS name",
      values: [UNLIMITED],
    });
    const [row] = await session.query<{ taken: boolean }>({
      text: "SELECT pg_try_advisory_lock(hashtextextended('ledger archive', 0)) AS taken",
      values: [],
    });
    if (row?.taken === true) return session;
    throw new Refusal('Another command works on the archive of this database: wait for it.');
  } catch (error) {
    await session.close();
    throw error;
  }
}
