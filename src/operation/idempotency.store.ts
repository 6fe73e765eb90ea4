import type { Actor } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';

const KEPT = 24 * 3_600_000;

/** What makes two requests the same one: who asks, the key he sent, and what was asked under it. Digests are keyed. */
export interface IdempotentRequest {
  readonly key: Buffer;
  readonly request: Buffer;
}

/**
 * Results of creations by `Idempotency-Key`, for 24 hours. The row is inserted in the statement of the creation itself;
 * a repetition finds it here, a concurrent repetition fails on its primary key. Owns the table `idempotency_key`.
 */
export class IdempotencyStore {
  static readonly constraint = 'idempotency_key_pkey';

  constructor(private readonly database: Database) {}

  /** The id that an earlier request with this key created, or null. Another request under the key is a conflict. */
  async find(actor: Actor, asked: IdempotentRequest, now: Date): Promise<string | null> {
    const [row] = await this.database.query<{ request: Buffer; result_id: string; living: boolean }>(actor.tenant, {
      name: 'idempotency-find',
      text:
        `SELECT request, result_id, expires_at > $4 AS living FROM idempotency_key ` +
        `WHERE tenant_id = $1 AND account_id = $2::uuid AND key = $3`,
      values: [actor.tenant, actor.id, asked.key, now],
    });
    if (row === undefined) return null;
    if (!row.living) {
      await this.database.query(actor.tenant, {
        text: `DELETE FROM idempotency_key WHERE tenant_id = $1 AND account_id = $2::uuid AND key = $3 AND expires_at <= $4`,
        values: [actor.tenant, actor.id, asked.key, now],
      });
      return null;
    }
    if (row.request.equals(asked.request)) return row.result_id;
    throw new Failure(
      'IDEMPOTENCY_CONFLICT',
      'This Idempotency-Key was used for another request.',
      'Use a new key for a new request.',
    );
  }

  /** The columns of the row that the creation inserts. */
  row(actor: Actor, asked: IdempotentRequest, resultId: string, now: Date): Record<string, unknown> {
    return {
      tenant_id: actor.tenant,
      account_id: actor.id,
      key: asked.key,
      request: asked.request,
      result_id: resultId,
      expires_at: new Date(now.getTime() + KEPT),
    };
  }
}
