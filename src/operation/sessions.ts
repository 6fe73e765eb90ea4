import type { Enrolment } from '../identity/factors.js';
import type { Identity, SignedIn, SignInRequest } from '../identity/identity.js';
import { Unauthenticated } from '../identity/unauthenticated.js';
import type { Actor } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { RecordDraft } from '../ledger/record.js';
import type { Policies } from '../policy/policies.js';
import type { Asked } from './detail-text.js';
import type { Document } from './document.js';

export interface Me {
  readonly id: string;
  readonly tenant: string;
  readonly role: string;
  readonly purposes: readonly string[];
  readonly patientIds: readonly string[];
  readonly factorMissing: boolean;
}

/** The operations that need no purpose, because they touch the caller's own session and no patient. */
export const SESSION_OPERATIONS = [
  'signIn',
  'refresh',
  'signOut',
  'me',
  'enrolTotp',
  'confirmTotp',
  'satisfyChallenge',
] as const;
type SessionOperation = (typeof SESSION_OPERATIONS)[number];

/**
 * Sign-in and its siblings, with their records. A refusal is recorded in the log of the tenant it was aimed at, or in the
 * system's when there is no such tenant; what the caller hears does not tell the difference.
 */
export class Sessions {
  constructor(
    private readonly identity: Identity,
    private readonly policy: Policies,
  ) {}

  async signIn(document: Document, request: SignInRequest): Promise<SignedIn> {
    const address = document.facts.clientAddress ?? THIS_MACHINE;
    // Neither who nor with what: the tenant alone enters the sealed details.
    const asked = [{ operation: { name: 'signIn' }, input: { tenant: request.tenant } }];
    return this.admitted(document, 'signIn', () => this.identity.signIn(request, address), asked);
  }

  async refresh(document: Document, refreshToken: string): Promise<SignedIn> {
    return this.admitted(document, 'refresh', () => this.identity.refresh(refreshToken));
  }

  async signOut(document: Document): Promise<boolean> {
    await this.own(document, 'signOut', 'LOGOUT', (actor) => this.identity.signOut(actor));
    return true;
  }

  async me(document: Document): Promise<Me> {
    const me = await this.own(document, 'me', 'READ', async (actor) => this.identity.me(actor));
    return { ...me, purposes: this.policy.purposesOf(me.role) };
  }

  /** See Identity.enrolTotp. */
  async enrolTotp(document: Document): Promise<Enrolment> {
    return this.own(document, 'enrolTotp', 'LOGIN', (actor) => this.identity.enrolTotp(actor));
  }

  /** The recovery codes. See Identity.confirmTotp. */
  async confirmTotp(document: Document, code: string): Promise<readonly string[]> {
    return this.own(document, 'confirmTotp', 'LOGIN', (actor) => this.identity.confirmTotp(actor, code));
  }

  /** See Identity.satisfyChallenge. */
  async satisfyChallenge(document: Document, id: string, code: string): Promise<boolean> {
    await this.own(document, 'satisfyChallenge', 'LOGIN', (actor) => this.identity.satisfyChallenge(actor, id, code));
    return true;
  }

  /** Records an operation on the actor's own session, with its refusal. */
  private async own<Result>(
    document: Document,
    operation: SessionOperation,
    kind: RecordDraft['kind'],
    work: (actor: Actor) => Promise<Result>,
  ): Promise<Result> {
    const actor = document.requireActor();
    try {
      const result = await work(actor);
      document.record({ ...document.frame(), ...ABOUT_SESSION, operation, kind, outcome: 'success', code: null });
      return result;
    } catch (error) {
      document.record({ ...document.frame(), ...ABOUT_SESSION, operation, kind, ...refusalOf(error) });
      throw error;
    }
  }

  /** Records who was let in, or who was meant. A recovery code has a name of its own in the record. */
  private async admitted(
    document: Document,
    operation: SessionOperation,
    work: () => Promise<SignedIn>,
    asked: readonly Asked[] = [],
  ): Promise<SignedIn> {
    try {
      const signedIn = await work();
      const { actor } = signedIn;
      const draft = {
        ...document.frame(actor.tenant),
        ...ABOUT_SESSION,
        operation: signedIn.factor === 'RECOVERY' ? `${operation}.recoveryCode` : operation,
        kind: 'LOGIN',
        outcome: 'success',
        code: null,
        actor: actor.reference,
        role: actor.role,
        session: actor.sessionId,
        acr: actor.acr,
      } as const;
      document.record(draft, asked);
      return signedIn;
    } catch (error) {
      const suspect = error instanceof Unauthenticated ? error.suspect : null;
      const draft = {
        ...document.frame(suspect?.tenant ?? 'system'),
        ...ABOUT_SESSION,
        operation,
        kind: 'LOGIN',
        ...refusalOf(error),
        actor: suspect?.actor ?? null,
        role: null,
        session: suspect?.session ?? null,
      } as const;
      document.record(draft, asked);
      throw error;
    }
  }
}

/** Commands sign in from where they run. */
const THIS_MACHINE = '127.0.0.1';
const ABOUT_SESSION = { purpose: null, policy: null, rules: [], accesses: [] } as const;

function refusalOf(error: unknown): Pick<RecordDraft, 'outcome' | 'code'> {
  if (!(error instanceof Failure)) return { outcome: 'failed', code: 'INTERNAL_SERVER_ERROR' };
  return { outcome: 'denied', code: error.options.recordedAs ?? error.code };
}
