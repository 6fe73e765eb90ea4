import type { Database } from '../persistence/database.js';
import type { Activation, Approval, Release, Shadowing, Steward } from './release.js';

/** Columns of a new row, for whoever commits it together with its record. */
export type Row = Readonly<Record<string, unknown>>;

interface StoredRelease {
  readonly hash: string;
  readonly version: number;
  readonly files: Record<string, string>;
  readonly content: string;
  readonly author: string;
  readonly author_tenant: string;
  readonly proposed_at: Date;
  readonly note: string;
  readonly signature: Buffer;
}

/** How many activations and shadows there are: what a process compares to find out that something changed. */
export interface Counted {
  readonly releases: number;
  readonly activations: number;
  readonly shadows: number;
}

const RELEASE = 'hash, version, files, content, author, author_tenant, proposed_at, note, signature';

/**
 * Reads what is stored of releases; whoever uses it verifies first. Rows are added by those who record it in the ledger, in
 * the same statement. Owns the tables `policy_release`, `policy_approval`, `policy_activation` and `policy_shadow`.
 */
export class ReleaseStore {
  constructor(private readonly database: Database) {}

  async counted(): Promise<Counted> {
    const [row] = await this.database.query<Counted>(null, {
      name: 'policy_counted',
      text: `SELECT (SELECT count(*)::integer FROM policy_release) AS releases,
                    (SELECT count(*)::integer FROM policy_activation) AS activations,
                    (SELECT count(*)::integer FROM policy_shadow) AS shadows`,
      values: [],
    });
    return row ?? { releases: 0, activations: 0, shadows: 0 };
  }

  /** Oldest first. */
  async history(): Promise<Activation[]> {
    const rows = await this.database.query<Record<string, unknown>>(null, {
      name: 'policy_history',
      text: `SELECT sequence, cause, hash, version, replaces, previous, author, approver, actor, actor_tenant, activated_at, signature
               FROM policy_activation ORDER BY sequence`,
      values: [],
    });
    return rows.map(({ actor, actor_tenant: tenant, activated_at: activatedAt, ...rest }) => ({
      ...(rest as unknown as Activation),
      actor: { id: actor, tenant } as Steward,
      activatedAt: activatedAt as Date,
    }));
  }

  async lastShadowing(): Promise<Shadowing | null> {
    const [row] = await this.database.query<Record<string, unknown>>(null, {
      name: 'policy_last_shadow',
      text: `SELECT sequence, hash, actor, actor_tenant, started_at, signature FROM policy_shadow ORDER BY sequence DESC LIMIT 1`,
      values: [],
    });
    if (row === undefined) return null;
    const { actor, actor_tenant: tenant, started_at: startedAt, ...rest } = row;
    return { ...(rest as unknown as Shadowing), actor: { id: actor, tenant } as Steward, startedAt: startedAt as Date };
  }

  async release(hash: string): Promise<Release | null> {
    const [row] = await this.database.query<StoredRelease>(null, {
      name: 'policy_release',
      text: `SELECT ${RELEASE} FROM policy_release WHERE hash = $1`,
      values: [hash],
    });
    return row === undefined ? null : releaseOf(row);
  }

  /** Those after `last` in the order of falling versions. */
  async releases(last: Pick<Release, 'version' | 'hash'> | null, count: number): Promise<Release[]> {
    const rows = await this.database.query<StoredRelease>(null, {
      name: 'policy_releases',
      text: `SELECT ${RELEASE} FROM policy_release WHERE $1::integer IS NULL OR (version, hash) < ($1, $2)
              ORDER BY version DESC, hash DESC LIMIT $3`,
      values: [last?.version ?? null, last?.hash ?? null, count],
    });
    return rows.map(releaseOf);
  }

  /** The first one first. */
  async approvals(hash: string): Promise<Approval[]> {
    const rows = await this.database.query<Record<string, unknown>>(null, {
      name: 'policy_approvals',
      text: `SELECT hash, approver, approver_tenant, approved_at, challenge, signature
               FROM policy_approval WHERE hash = $1 ORDER BY approved_at`,
      values: [hash],
    });
    return rows.map(({ approver, approver_tenant: tenant, approved_at: approvedAt, ...rest }) => ({
      ...(rest as unknown as Approval),
      approver: { id: approver, tenant } as Steward,
      approvedAt: approvedAt as Date,
    }));
  }
}

export function releaseRow({ author, proposedAt, files, ...rest }: Release): Row {
  const { hash, version, content, note, signature } = rest;
  const who = { author: author.id, author_tenant: author.tenant, proposed_at: proposedAt };
  return { hash, version, files: JSON.stringify(files), content, note, signature, ...who };
}

export function approvalRow({ hash, approver, approvedAt, challenge, signature }: Approval): Row {
  const who = { approver: approver.id, approver_tenant: approver.tenant, approved_at: approvedAt };
  return { hash, challenge, signature, ...who };
}

export function activationRow({ actor, activatedAt, ...rest }: Activation): Row {
  return { ...rest, actor: actor.id, actor_tenant: actor.tenant, activated_at: activatedAt };
}

export function shadowRow({ sequence, hash, actor, startedAt, signature }: Shadowing): Row {
  return { sequence, hash, signature, actor: actor.id, actor_tenant: actor.tenant, started_at: startedAt };
}

function releaseOf({ author, author_tenant: tenant, proposed_at: proposedAt, ...rest }: StoredRelease): Release {
  return { ...rest, author: { id: author, tenant }, proposedAt };
}
