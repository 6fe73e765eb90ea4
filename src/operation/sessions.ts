import type { Identity, SignedIn, SignInRequest } from '../identity/identity.js';
import { Unauthenticated } from '../identity/unauthenticated.js';
import { Failure } from '../kernel/failure.js';
import type { RecordDraft } from '../ledger/record.js';
import type { PolicyEngine } from '../policy/engine.js';
import type { Document } from './document.js';

export interface Me {
  readonly id: string;
  readonly tenant: string;
  readonly role: string;
  readonly purposes: readonly string[];
}

/** The operations that need no purpose, because they touch the caller's own session and no patient. */
export const SESSION_OPERATIONS = ['signIn', 'refresh', 'signOut', 'me'] as const;

/**
 * Sign-in and its siblings, with their records. A refusal is recorded in the log of the tenant it was aimed at, or in the
 * system's when there is no such tenant; what the caller hears does not tell the difference.
 */
export class Sessions {
  constructor(
    private readonly identity: Identity,
    private readonly policy: PolicyEngine,
  ) {}

  async signIn(document: Document, request: SignInRequest): Promise<SignedIn> {
    return this.recorded(document, 'signIn', 'LOGIN', () =>
      this.identity.signIn(request, document.facts.clientAddress),
    );
  }

  async refresh(document: Document, refreshToken: string): Promise<SignedIn> {
    return this.recorded(document, 'refresh', 'LOGIN', () => this.identity.refresh(refreshToken));
  }

  async signOut(document: Document): Promise<boolean> {
    const actor = document.requireActor();
    await this.identity.signOut(actor);
    document.record({
      ...document.frame(),
      ...ABOUT_SESSION,
      operation: 'signOut',
      kind: 'LOGOUT',
      outcome: 'success',
      code: null,
    });
    return true;
  }

  async me(document: Document): Promise<Me> {
    const actor = document.requireActor();
    document.record({
      ...document.frame(),
      ...ABOUT_SESSION,
      operation: 'me',
      kind: 'READ',
      outcome: 'success',
      code: null,
    });
    return { ...this.identity.me(actor), purposes: this.policy.purposesOf(actor.role) };
  }

  private async recorded(
    document: Document,
    operation: string,
    kind: RecordDraft['kind'],
    work: () => Promise<SignedIn>,
  ): Promise<SignedIn> {
    try {
      const signedIn = await work();
      const { actor } = signedIn;
      document.record({
        ...document.frame(actor.tenant),
        ...ABOUT_SESSION,
        operation,
        kind,
        outcome: 'success',
        code: null,
        actor: actor.reference,
        role: actor.role,
        session: actor.sessionId,
      });
      return signedIn;
    } catch (error) {
      const suspect = error instanceof Unauthenticated ? error.suspect : null;
      const failure = error instanceof Failure ? error : null;
      document.record({
        ...document.frame(suspect?.tenant ?? 'system'),
        ...ABOUT_SESSION,
        operation,
        kind,
        outcome: failure === null ? 'failed' : 'denied',
        code: failure?.options.recordedAs ?? failure?.code ?? 'INTERNAL_SERVER_ERROR',
        actor: suspect?.actor ?? null,
        role: null,
        session: suspect?.session ?? null,
      });
      throw error;
    }
  }
}

const ABOUT_SESSION = { purpose: null, policy: null, rules: [], accesses: [] } as const;
