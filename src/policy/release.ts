import { createHash } from 'node:crypto';
import type { PolicyKey } from './policy-key.js';

/** Who does something to the policies: an account of a tenant, or the system that ships them. */
export interface Steward {
  /** Account id, or `system`. */
  readonly id: string;
  /** Tenant code, or `system`. */
  readonly tenant: string;
}

/** Policies that somebody proposed. A release is known by the hash of what its files say. */
export interface Release {
  /** SHA-256 (hexadecimal) over the canonical content: PolicyEngine.hash. */
  readonly hash: string;
  /** metadata.version of the bundle file. */
  readonly version: number;
  /** Text by name of file. */
  readonly files: Readonly<Record<string, string>>;
  /** SHA-256 (hexadecimal) over all texts: comments and cases are signed too. */
  readonly content: string;
  readonly author: Steward;
  readonly proposedAt: Date;
  readonly note: string;
  readonly signature: Buffer;
}

export interface Approval {
  readonly hash: string;
  readonly approver: Steward;
  readonly approvedAt: Date;
  /** The step-up challenge that it was given with. */
  readonly challenge: string;
  readonly signature: Buffer;
}

/** One entry of the history of what was in force. */
export interface Activation {
  /** Dense from 1. */
  readonly sequence: number;
  readonly cause: 'install' | 'activate' | 'rollback';
  readonly hash: string;
  readonly version: number;
  /** Hash of the release that was in force before; null for the first. */
  readonly replaces: string | null;
  /** {@link digestOf} the activation before; null for the first. */
  readonly previous: string | null;
  readonly author: string;
  /** Null where the release was shipped with the software. */
  readonly approver: string | null;
  readonly actor: Steward;
  readonly activatedAt: Date;
  readonly signature: Buffer;
}

/** From then on this release is asked beside the one in force; null ends it. */
export interface Shadowing {
  readonly sequence: number;
  readonly hash: string | null;
  readonly actor: Steward;
  readonly startedAt: Date;
  readonly signature: Buffer;
}

export type Unsigned<Signed> = Omit<Signed, 'signature'>;

export const SYSTEM: Steward = { id: 'system', tenant: 'system' };

/** SHA-256 (hexadecimal) over names and texts, in the order of the names. */
export function contentOf(files: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(files).sort(([left], [right]) => (left < right ? -1 : 1));
  return sha256(JSON.stringify(sorted));
}

/** The canonical text of each kind of statement: what is signed. The kind comes first, so that none stands for another. */
export const textOf = {
  release: ({ hash, version, content, author, proposedAt, note }: Unsigned<Release>): string =>
    canonical(['release', hash, version, content, author.id, author.tenant, proposedAt, note]),
  approval: ({ hash, approver, approvedAt, challenge }: Unsigned<Approval>, release: Release): string =>
    canonical(['approval', textOf.release(release), hash, approver.id, approver.tenant, approvedAt, challenge]),
  activation: (one: Unsigned<Activation>): string =>
    canonical([
      ...['activation', one.sequence, one.cause, one.hash, one.version, one.replaces, one.previous],
      ...[one.author, one.approver, one.actor.id, one.actor.tenant, one.activatedAt],
    ]),
  shadowing: ({ sequence, hash, actor, startedAt }: Unsigned<Shadowing>): string =>
    canonical(['shadow', sequence, hash, actor.id, actor.tenant, startedAt]),
} as const;

/** SHA-256 (hexadecimal) of what was signed of an activation: how the next one names it. */
export function digestOf(activation: Unsigned<Activation>): string {
  return sha256(textOf.activation(activation));
}

/** What is wrong with a stored release; null where nothing is. Asked of every release before its files are looked at. */
export function releaseFault(release: Release, key: PolicyKey): string | null {
  if (!key.verifies(textOf.release(release), release.signature)) return 'it is not signed by the policy key';
  if (contentOf(release.files) !== release.content) return 'its files are not those that were signed';
  return null;
}

/** Approvals by others than the author, signed by the policy key. All others do not count. */
export function countedApprovals(release: Release, approvals: readonly Approval[], key: PolicyKey): Approval[] {
  return approvals.filter(
    (one) =>
      one.hash === release.hash &&
      one.approver.id !== release.author.id &&
      key.verifies(textOf.approval(one, release), one.signature),
  );
}

/** The entries of a history that hold, oldest first, and what is wrong with the first one that does not. */
export interface VerifiedHistory {
  readonly activations: readonly Activation[];
  readonly problem: string | null;
}

/**
 * Verifies a history: signatures, each entry tied to the one before it, and versions that rise but where a signed rollback
 * goes back to a release that was in force before. What does not hold is passed over as if it were not there.
 */
export function verifyHistory(activations: readonly Activation[], key: PolicyKey): VerifiedHistory {
  const held: Activation[] = [];
  let problem: string | null = null;
  for (const one of activations) {
    const fault = activationFault(one, held, key);
    if (fault === null) held.push(one);
    else problem ??= `Activation ${one.sequence} of the policies counts for nothing: ${fault}.`;
  }
  return { activations: held, problem };
}

/** The highest version that was ever in force; 0 where none was. What was gone back from is not put in force again. */
export function highestOf(activations: readonly Pick<Activation, 'version'>[]): number {
  return activations.reduce((highest, { version }) => Math.max(highest, version), 0);
}

function activationFault(one: Activation, before: readonly Activation[], key: PolicyKey): string | null {
  const last = before.at(-1) ?? null;
  if (!key.verifies(textOf.activation(one), one.signature)) return 'it is not signed by the policy key';
  if (one.previous !== (last === null ? null : digestOf(last))) return 'it does not follow the one before it';
  if (one.replaces !== (last?.hash ?? null)) return 'it replaces a release that was not in force';
  if (one.cause === 'rollback') {
    if (!before.some((earlier) => earlier.hash === one.hash))
      return 'it goes back to a release that never was in force';
    return last !== null && one.version < last.version
      ? null
      : 'its version is not lower than that of the one before it';
  }
  if (one.version <= highestOf(before)) return 'its version is not higher than those that were in force before it';
  if (one.cause === 'activate' && (one.approver === null || one.approver === one.author)) {
    return 'it was not approved by a second person';
  }
  return null;
}

function canonical(members: readonly (string | number | Date | null)[]): string {
  return JSON.stringify(members.map((member) => (member instanceof Date ? member.toISOString() : member)));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
