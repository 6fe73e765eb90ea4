import { Refusal } from '../config/refusal.js';
import { connectTo, type Session } from './session.js';

/**
 * A session of the database owner for work on the archive: without a limit on statements, and alone, because two that
 * archive at once would write the same files. It ends with the session.
 */
export async function ownerSession(ownerUrl: string): Promise<Session> {
  const session = await connectTo(ownerUrl, 'custodia archive')();
  try {
    await session.query({ text: 'SET statement_timeout = 0', values: [] });
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
