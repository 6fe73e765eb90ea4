import { createHash } from 'node:crypto';
import { Failure } from '../kernel/failure.js';
import type { Vault } from '../vault/vault.js';

/**
 * Sealed cursors. A cursor holds the sort values of the last row, so it is encrypted, and it is bound to who asked, why,
 * under which policy and for which list: anybody else's, any other list's or a stale one is CURSOR_INVALID.
 */
export class Cursors {
  private known: string | null = null;

  constructor(
    private readonly vault: Vault,
    private readonly binding: { account: string; purpose: string; policy: string; list: unknown },
  ) {}

  seal(values: readonly unknown[]): string {
    return this.vault.sealToken('cursor', this.context(), JSON.stringify(values));
  }

  open(cursor: string, length: number): unknown[] {
    const payload = this.vault.openToken('cursor', this.context(), cursor);
    const values: unknown = payload === null ? null : JSON.parse(payload);
    if (Array.isArray(values) && values.length === length) return values;
    throw new Failure('CURSOR_INVALID', 'The cursor does not belong to this list.', 'Start again from the first page.');
  }

  /** Worked out when the first cursor is asked for: most documents ask for none. */
  private context(): string {
    if (this.known === null) {
      const { account, purpose, policy } = this.binding;
      const list = createHash('sha256').update(JSON.stringify(this.binding.list)).digest('base64url');
      this.known = JSON.stringify([account, purpose, policy, list]);
    }
    return this.known;
  }
}
