import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../kernel/failure.js';
import type { AgentClient } from './agent-client.js';
import { MOST_KEYS, type WrappedTenantKey } from './agent-protocol.js';
import type { RootKeyProvider } from './root-key.js';
import type { SubjectKeyPlace } from './subject-key.js';
import type { KeyUse, SubjectKeyProvider, SubjectWraps, WrappedSubjectKey } from './subject-key-provider.js';
import type { TenantKeyRow } from './vault.store.js';

/** How long a batch waits for the agent's rate before the caller is told to come back. */
const LONGEST_WAIT_MILLISECONDS = 5_000;

/** The root key of a key agent: it opens the keys of tenants that are not for wrapping subject keys, and makes all of them. */
export class AgentRootKey implements RootKeyProvider {
  constructor(
    private readonly agent: AgentClient,
    readonly id: string,
  ) {}

  async wrap(plain: Buffer, context: string): Promise<Buffer> {
    return bytesOf((await this.agent.ask({ op: 'root.wrap', context, plain: plain.toString('base64') }))['wrapped']);
  }

  async wrapNew(context: string): Promise<Buffer> {
    return bytesOf((await this.agent.ask({ op: 'root.wrapNew', context }))['wrapped']);
  }

  async unwrap(wrapped: Buffer, context: string): Promise<Buffer | null> {
    const { plain } = await this.agent.ask({ op: 'root.unwrap', context, wrapped: wrapped.toString('base64') });
    return plain === null ? null : bytesOf(plain);
  }
}

/** Subject keys that a key agent wraps and unwraps: the keys that they are wrapped under pass through here wrapped. */
export class AgentSubjectKeys implements SubjectKeyProvider {
  constructor(
    private readonly agent: AgentClient,
    /** The stored versions of the tenant's key that wraps subject keys. */
    private readonly rowsOf: (tenant: string) => readonly TenantKeyRow[],
  ) {}

  async wrap({ tenant, ...place }: SubjectKeyPlace, raw: Buffer): Promise<Omit<WrappedSubjectKey, 'place'>> {
    const primary = this.rowsOf(tenant).find(({ state }) => state === 'primary');
    if (primary === undefined) {
      throw new Failure('INTERNAL_SERVER_ERROR', 'The tenant has no key.', 'Create the tenant before its data.');
    }
    const [tenantKey] = wrappedKeys([primary]);
    if (tenantKey === undefined) throw new Error('The primary key of a tenant was destroyed.');
    const asked = { op: 'subject.wrap', tenant, tenantKey, place, raw: raw.toString('base64') } as const;
    return { wrapKeyId: primary.keyId, wrapped: bytesOf((await this.agent.ask(asked))['wrapped']) };
  }

  async unwrap(tenant: string, asked: readonly WrappedSubjectKey[], use: KeyUse): Promise<readonly (Buffer | null)[]> {
    const keys: (Buffer | null)[] = [];
    for (let at = 0; at < asked.length; at += MOST_KEYS) {
      keys.push(...(await this.unwrapSome(tenant, asked.slice(at, at + MOST_KEYS), use)));
    }
    return keys;
  }

  wraps(): SubjectWraps | null {
    return null;
  }

  private async unwrapSome(
    tenant: string,
    asked: readonly WrappedSubjectKey[],
    use: KeyUse,
  ): Promise<(Buffer | null)[]> {
    const named = new Set(asked.map(({ wrapKeyId }) => wrapKeyId));
    const tenantKeys = wrappedKeys(this.rowsOf(tenant).filter(({ keyId }) => named.has(keyId)));
    const request = {
      op: 'subject.unwrap',
      tenant,
      use: use.id,
      tenantKeys,
      keys: asked.map(({ place: { kind, subjectId, reference, keyId }, wrapKeyId, wrapped }) => {
        return { kind, subjectId, reference, keyId, wrapKeyId, wrapped: wrapped.toString('base64') };
      }),
    } as const;
    for (let waited = 0; ;) {
      try {
        const { keys } = await this.agent.ask(request);
        return (keys as readonly (string | null)[]).map((key) => (key === null ? null : bytesOf(key)));
      } catch (error) {
        const wait = waitOf(error);
        if (wait === null || waited + wait > LONGEST_WAIT_MILLISECONDS) throw error;
        waited += wait;
        await pause(wait);
      }
    }
  }
}

/** Milliseconds after which the agent would give the keys out; null for every other failure. */
function waitOf(error: unknown): number | null {
  if (!(error instanceof Failure) || error.code !== 'RATE_LIMITED') return null;
  return Math.max(1, Number(error.options.extensions?.['retryAfterMilliseconds'] ?? 1_000));
}

function wrappedKeys(rows: readonly TenantKeyRow[]): WrappedTenantKey[] {
  return rows.flatMap(({ keyId, wrapped }) =>
    wrapped === null ? [] : [{ keyId, wrapped: wrapped.toString('base64') }],
  );
}

function bytesOf(text: unknown): Buffer {
  return Buffer.from(String(text), 'base64');
}
