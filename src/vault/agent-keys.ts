import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { instantText, type Clock } from '../kernel/clock.js';
import type { UnwrapLog } from './agent-log.js';
import {
  MOST_KEYS,
  REFERENCE,
  TENANT,
  USE,
  type AgentRefusal,
  type AgentRequest,
  type AskedKey,
  type WrappedTenantKey,
} from './agent-protocol.js';
import type { UnwrapRate } from './agent-rate.js';
import { deriveKey, intoKey, KEY_BYTES } from './derivation.js';
import type { RootKeyProvider } from './root-key.js';
import { sealBytes } from './sealed-value.js';
import { wrappingPlace, type SubjectKeyPlace } from './subject-key.js';
import { unwrapWith } from './subject-key-provider.js';
import { tenantKeyContext } from './tenant-key-table.js';
import { KEY_PURPOSES, type TenantKeyPurpose, type TenantKeyRow } from './vault.store.js';

const TENANT_KEYS_HELD = 2_000;
const OLDEST_MILLISECONDS = 600_000;
const BACKUP_CONTEXT = /^custodia backup [0-9A-Za-z-]{1,64} [a-z]{1,16}$/;

/** A request that is not done, and why. */
export class AgentFault extends Error {
  constructor(
    readonly code: AgentRefusal,
    readonly retryAfter?: number,
  ) {
    super(code);
  }
}

export interface AgentKeysOptions {
  readonly root: RootKeyProvider;
  readonly log: UnwrapLog;
  readonly rate: UnwrapRate;
  readonly clock: Clock;
}

type Of<Op extends AgentRequest['op']> = Extract<AgentRequest, { op: Op }>;

/**
 * What a key agent does for its clients. The root key and the keys that wrap subject keys never leave: a client has them
 * wrapped, sends them along, and gets single subject keys back, within limits and after a line in the log. Requests come
 * from a process that may be in the hands of somebody else: nothing in them is believed.
 */
export class AgentKeys {
  private readonly wraps = new LRUCache<string, KeyObject>({ max: TENANT_KEYS_HELD, ttl: OLDEST_MILLISECONDS });

  constructor(private readonly options: AgentKeysOptions) {}

  /** Wraps bytes that the client knows. Not as a key that wraps subject keys: one that a client knows is not the agent's. */
  async wrap({ context, plain }: Of<'root.wrap'>): Promise<{ wrapped: string }> {
    const kind = kindOf(context);
    if (kind === null || kind === 'subject') throw new AgentFault('FORBIDDEN');
    return { wrapped: (await this.options.root.wrap(bytesOf(plain), context)).toString('base64') };
  }

  async wrapNew({ context }: Of<'root.wrapNew'>): Promise<{ wrapped: string }> {
    if (kindOf(context) === null) throw new AgentFault('FORBIDDEN');
    return { wrapped: (await this.options.root.wrapNew(context)).toString('base64') };
  }

  async unwrap({ context, wrapped }: Of<'root.unwrap'>): Promise<{ plain: string | null }> {
    const kind = kindOf(context);
    const tenant = (kind === null ? null : tenantKeyIn(context)?.tenantId) ?? 'system';
    const use = kind === 'backup' ? 'backup-key' : `tenant-key:${kind}`;
    if (kind === null || kind === 'subject') {
      await this.note({ tenant, use, references: [], refused: 'FORBIDDEN' });
      throw new AgentFault('FORBIDDEN');
    }
    await this.note({ tenant, use, references: [] });
    const plain = await this.options.root.unwrap(bytesOf(wrapped), context);
    return { plain: plain?.toString('base64') ?? null };
  }

  async wrapSubject({ tenant, tenantKey, place, raw }: Of<'subject.wrap'>): Promise<{ wrapped: string }> {
    const whole = placeOf(tenant, place);
    const bytes = bytesOf(raw);
    if (bytes.length !== KEY_BYTES) throw new AgentFault('BAD_REQUEST');
    const [keyId, key] = await this.wrapKey(tenant, tenantKey);
    return { wrapped: sealBytes(key, keyId, wrappingPlace(whole), bytes).toString('base64') };
  }

  /** The keys in the order they were asked for; null for one that does not open as what it is said to be. */
  async unwrapSubjects(request: Of<'subject.unwrap'>): Promise<{ keys: (string | null)[] }> {
    const { tenant, use, keys: asked, tenantKeys } = request;
    const small = Array.isArray(asked) && asked.length <= MOST_KEYS && Array.isArray(tenantKeys);
    if (!small || tenantKeys.length > MOST_KEYS || typeof use !== 'string' || !USE.test(use)) {
      throw new AgentFault('BAD_REQUEST');
    }
    const places = asked.map((key: AskedKey) => placeOf(tenant, key));
    const references = [...new Set(places.map(({ reference }) => reference))];
    const wait = this.options.rate.take(tenant, references.length);
    if (wait > 0) {
      await this.note({ tenant, use, references, refused: 'RATE_LIMITED' });
      throw new AgentFault('RATE_LIMITED', wait);
    }
    const wraps = new Map<number, KeyObject>();
    for (const wrapped of tenantKeys) wraps.set(...(await this.wrapKey(tenant, wrapped)));
    // A crash between this line and the client's record: an unwrap that no record explains, and that is reported as one.
    await this.note({ tenant, use, references });
    const keys = asked.map(({ wrapKeyId, wrapped }, at) => {
      const place = places[at] as SubjectKeyPlace;
      return unwrapWith(wraps, { place, wrapKeyId, wrapped: bytesOf(wrapped) })?.toString('base64') ?? null;
    });
    return { keys };
  }

  /** A tenant's key that wraps subject keys, kept for a while: the same bytes need not be opened for every request. */
  private async wrapKey(tenant: string, { keyId, wrapped }: WrappedTenantKey): Promise<[number, KeyObject]> {
    if (!Number.isInteger(keyId) || typeof wrapped !== 'string' || wrapped.length > 200) {
      throw new AgentFault('BAD_REQUEST');
    }
    const context = tenantKeyContext({ tenantId: tenant, purpose: 'subject', keyId });
    const known = this.wraps.get(context + wrapped);
    if (known !== undefined) return [keyId, known];
    const raw = await this.options.root.unwrap(bytesOf(wrapped), context);
    if (raw === null) throw new AgentFault('FORBIDDEN');
    const key = deriveKey(intoKey(raw), 'subject-wrap');
    this.wraps.set(context + wrapped, key);
    return [keyId, key];
  }

  private async note(entry: { tenant: string; use: string; references: readonly string[]; refused?: string }) {
    const time = instantText(this.options.clock.milliseconds());
    await this.options.log.append({ time, ...entry }).catch(() => {
      throw new AgentFault('LOG_UNAVAILABLE');
    });
  }
}

/** What a context says is wrapped; null for what no client may have wrapped or opened. */
function kindOf(context: unknown): TenantKeyPurpose | 'backup' | null {
  if (typeof context !== 'string') return null;
  return BACKUP_CONTEXT.test(context) ? 'backup' : (tenantKeyIn(context)?.purpose ?? null);
}

/** The tenant's key whose context it is; null where it is none, or is written in another way than `tenantKeyContext` does. */
function tenantKeyIn(context: string): Pick<TenantKeyRow, 'tenantId' | 'purpose' | 'keyId'> | null {
  const [, tenantId = '', purpose, keyId] = partsOf(context);
  const known = KEY_PURPOSES.find((one) => one === purpose);
  if (known === undefined || !TENANT.test(tenantId)) return null;
  const place = { tenantId, purpose: known, keyId: Number(keyId) };
  return tenantKeyContext(place) === context ? place : null;
}

/** The texts of a canonical form of ASCII. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const colon = text.indexOf(':', at);
    const end = colon + 1 + Number(text.slice(at, colon));
    if (colon < 0 || !(end >= colon)) return parts;
    parts.push(text.slice(colon + 1, end));
    at = end;
  }
  return parts;
}

function placeOf(tenant: string, place: Omit<SubjectKeyPlace, 'tenant'>): SubjectKeyPlace {
  const { kind, subjectId, reference, keyId } = place;
  const known = kind === 'subject key' || kind === 'detail key';
  const texts = [tenant, subjectId, reference].every((text) => typeof text === 'string');
  if (!known || !texts || !TENANT.test(tenant) || !REFERENCE.test(reference) || !Number.isInteger(keyId)) {
    throw new AgentFault('BAD_REQUEST');
  }
  return { kind, tenant, subjectId, reference, keyId };
}

function bytesOf(text: unknown): Buffer {
  if (typeof text !== 'string') throw new AgentFault('BAD_REQUEST');
  return Buffer.from(text, 'base64');
}
