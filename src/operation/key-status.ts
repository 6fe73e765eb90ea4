import type { Clock } from '../kernel/clock.js';
import type { KeyState } from '../vault/key-ring.js';
import { ROTATION_KINDS, type AgedKey, type RotationKind, type RotationRow } from '../vault/rotation.store.js';
import { suiteOf } from '../vault/suite.js';
import { SYSTEM_TENANT } from '../vault/vault.js';
import { KeyRotation, type KeyRotationParts } from './key-rotation.js';

const DAY_MILLISECONDS = 86_400_000;
/** Keys that wrap keys are to be replaced every two years, those that data is sealed or found with every year. */
const OLDEST_DAYS = { wraps: 730, data: 365 } as const;
const SUITE_AT = 1;

/** One version of a key, as an operator sees it. */
export interface KeyStatus {
  readonly tenant: string;
  /** What `rotate` calls it; else the purpose of a tenant's key that is not rotated by this command. */
  readonly purpose: string;
  readonly keyId: number;
  readonly state: KeyState;
  readonly suite: string | null;
  readonly ageDays: number;
  /** How many stored values it protects; null where that is not counted. */
  readonly values: number | null;
  readonly warning: string | null;
}

export interface VaultStatus {
  readonly keys: readonly KeyStatus[];
  /** Rotations that are not finished. */
  readonly rotations: readonly Pick<RotationRow, 'kind' | 'tenantId' | 'step' | 'done' | 'total' | 'startedAt'>[];
}

/** Every key of these tenants and the root key, with what it protects, counted now. */
export async function vaultStatus(
  parts: KeyRotationParts,
  tenants: readonly string[],
  clock: Clock,
): Promise<VaultStatus> {
  const { store } = parts;
  const rotation = new KeyRotation(parts);
  const keys: KeyStatus[] = [];
  const rotations: VaultStatus['rotations'][number][] = [];
  for (const tenant of [SYSTEM_TENANT, ...tenants]) {
    const aged = await agedKeys(parts, tenant);
    const kinds = tenant === SYSTEM_TENANT ? (['root'] as const) : ROTATION_KINDS.filter((kind) => kind !== 'root');
    const counted = new Map<string, number>();
    for (const kind of kinds) {
      const last = await store.latest(kind, tenant);
      if (last !== null && last.step !== 'finished') rotations.push(last);
      for (const { keyId, state, values } of await rotation.count(kind, tenant)) {
        counted.set(`${kind} ${keyId} ${state}`, values);
        if (kind !== 'root') continue;
        const createdAt =
          last?.toKey === keyId ? last.startedAt : (aged[0]?.createdAt ?? last?.startedAt ?? clock.now());
        keys.push(statusOf({ tenant, purpose: kind, keyId, state, wrapped: null, createdAt }, values, clock));
      }
    }
    for (const key of aged)
      keys.push(statusOf(key, counted.get(`${key.purpose} ${key.keyId} ${key.state}`) ?? null, clock));
  }
  return { keys, rotations };
}

async function agedKeys({ store, subjectKeys }: KeyRotationParts, tenant: string): Promise<AgedKey[]> {
  const subjects = (await subjectKeys.subjectVersions(tenant)).map((one) => ({ ...one, tenant, purpose: 'subject' }));
  const own = (await store.tenantKeys(tenant)).map((one) => ({ ...one, purpose: commandName(one.purpose) }));
  return [...own, ...subjects];
}

/** The tenant's key that wraps subject keys is what `rotate tenant` replaces; `subject` are the keys of persons. */
function commandName(purpose: string): RotationKind | string {
  return purpose === 'subject' ? 'tenant' : purpose;
}

function statusOf({ createdAt, wrapped, ...key }: AgedKey, values: number | null, clock: Clock): KeyStatus {
  const ageDays = Math.floor((clock.milliseconds() - createdAt.getTime()) / DAY_MILLISECONDS);
  const oldest = key.purpose === 'tenant' || key.purpose === 'root' ? OLDEST_DAYS.wraps : OLDEST_DAYS.data;
  const old = key.state === 'primary' && ageDays > oldest;
  return {
    ...key,
    suite: suiteOf(wrapped?.[SUITE_AT])?.name ?? null,
    ageDays,
    values,
    warning: old ? `older than ${oldest} days: rotate it` : null,
  };
}
