import { LRUCache } from 'lru-cache';
import type { Actor } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import type { AccessClaim } from './access-token.js';
import type { ActorRow, IdentityStore, SessionRow } from './identity.store.js';
import { Unauthenticated } from './unauthenticated.js';

const IDLE_LIMIT = 15 * 60_000;
const TOUCH_INTERVAL = 60_000;
const FRESHNESS = 1_000;
const CAPACITY = 20_000;
const NONE: readonly string[] = Object.freeze([]);

interface Entry {
  /** When the state was asked for, not when it arrived: what changed after this may be missing in it. */
  readonly since: number;
  /** When the session was last used, in Unix milliseconds, as far as this process knows; null while that is loading. */
  seen: number | null;
  state: Actor | Promise<Actor> | 'ended';
}

/**
 * Who is signed in, as the database said at most one second ago. Owns the only in-process copy of session state: a role,
 * a care team or an account that another process changes takes effect here within that second, and what this process
 * ends is forgotten at once.
 */
export class LiveSessions {
  private readonly entries = new LRUCache<string, Entry>({ max: CAPACITY });
  private readonly writing = new Set<Promise<void>>();

  constructor(
    private readonly store: IdentityStore,
    private readonly clock: Clock,
  ) {}

  /**
   * The actor at once when the state is fresh; else a promise of it, shared by all who ask meanwhile. Throws or rejects with
   * UNAUTHENTICATED.
   * @param use false for what goes on without the person (an open subscription): it keeps no idle session alive.
   */
  actor(claim: AccessClaim, use = true): Actor | Promise<Actor> {
    const now = this.clock.milliseconds();
    const known = this.entries.get(keyOf(claim));
    // A clock that was set back makes the age negative: then the state is of unknown age, not fresh.
    const age = known === undefined ? FRESHNESS : now - known.since;
    if (known === undefined || age < 0 || age >= FRESHNESS) return this.load(claim, now, use);
    if (known.state === 'ended') throw new Unauthenticated('SESSION_ENDED');
    if (use) this.use(claim, known, now);
    return known.state;
  }

  /**
   * True for a session that was used within 15 minutes, is not older than 12 hours and was not ended, of an account that is
   * not locked. The review that unlocks it revives the sessions that are young enough still.
   */
  isLive(session: SessionRow): boolean {
    const now = this.clock.milliseconds();
    return (
      session.ended_at === null &&
      session.disabled_at === null &&
      !session.review_overdue &&
      now < session.expires_at.getTime() &&
      now - session.last_seen_at.getTime() < IDLE_LIMIT
    );
  }

  forget(claim: AccessClaim): void {
    this.entries.delete(keyOf(claim));
  }

  /** Forgets every session: for changes to an account, which are rare, instead of an index from accounts to sessions. */
  forgetAll(): void {
    this.entries.clear();
  }

  /** Resolves when the writes that nobody waits for are done. */
  async settle(): Promise<void> {
    await Promise.all(this.writing);
  }

  private load(claim: AccessClaim, now: number, use: boolean): Promise<Actor> {
    const loading = this.store.session(claim.tenant, claim.sessionId, new Date(now)).then(
      (session) => {
        if (session === null || !this.isLive(session)) {
          entry.state = 'ended';
          throw new Unauthenticated('SESSION_ENDED', suspectOf(claim.tenant, session));
        }
        entry.seen = session.last_seen_at.getTime();
        if (use) this.use(claim, entry, now);
        return (entry.state = actorOf(claim.tenant, session));
      },
      (error: unknown) => {
        if (this.entries.get(keyOf(claim)) === entry) this.forget(claim);
        throw error;
      },
    );
    // A load that overlaps `forget` changes an entry that nobody can reach any more.
    const entry: Entry = { since: now, seen: null, state: loading };
    this.entries.set(keyOf(claim), entry);
    return loading;
  }

  private use(claim: AccessClaim, entry: Entry, now: number): void {
    if (entry.seen === null || now - entry.seen < TOUCH_INTERVAL) return;
    entry.seen = now;
    this.touch(claim, now);
  }

  /** Off the request's path. If it fails, the session counts as idle earlier than it is: the safe side. */
  private touch(claim: AccessClaim, now: number): void {
    const write = this.store
      .touch(claim.tenant, claim.sessionId, new Date(now))
      .catch(() => undefined)
      .finally(() => this.writing.delete(write));
    this.writing.add(write);
  }
}

/** The tenant is part of the key: what one tenant's claim found is never the answer to another's. */
function keyOf(claim: AccessClaim): string {
  return `${claim.tenant}.${claim.sessionId}`;
}

export function actorOf(tenant: string, session: SessionRow): Actor {
  return actorIn(tenant, session.session_id, session, session);
}

/** The same actors under their open emergency accesses; whoever has none is not in here. */
const emergencies = new WeakMap<Actor, Actor>();

/** The actor of a request that is made under an emergency access: the only way to reach what one opens. */
export function underEmergency(actor: Actor): Actor {
  return emergencies.get(actor) ?? actor;
}

/** An actor whose session is carried for the records only. No emergency is open to it: see {@link underEmergency}. */
export function actorIn(
  tenant: string,
  sessionId: string,
  row: ActorRow,
  session: Pick<SessionRow, 'factor_missing' | 'factor_shown'> | null = null,
): Actor {
  const actor: Actor = Object.freeze({
    id: row.id,
    tenant,
    role: row.role,
    sessionId,
    reference: row.reference,
    careTeamIds: Object.freeze(row.care_team_ids),
    patientIds: Object.freeze(row.patient_ids),
    emergencyPatientIds: NONE,
    compartmentGrants: Object.freeze(row.compartment_grants),
    factorMissing: session?.factor_missing === true,
    ...(session === null ? {} : { acr: session.factor_shown ? ('pwd+otp' as const) : ('pwd' as const) }),
    timeZone: row.time_zone,
    country: row.country,
  });
  const emergencyPatientIds = Object.freeze(row.emergency_patient_ids);
  if (emergencyPatientIds.length > 0) emergencies.set(actor, Object.freeze({ ...actor, emergencyPatientIds }));
  return actor;
}

export function suspectOf(tenant: string, session: SessionRow | null) {
  return { tenant, actor: session?.reference ?? null, session: session?.session_id ?? null };
}
