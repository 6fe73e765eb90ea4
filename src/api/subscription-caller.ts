import type { Identity } from '../identity/identity.js';
import { underEmergency } from '../identity/live-sessions.js';
import { Unauthenticated } from '../identity/unauthenticated.js';
import type { Actor } from '../kernel/actor.js';
import { newId } from '../kernel/identifier.js';
import { Document } from '../operation/document.js';
import type { Turns } from '../operation/turn.js';
import { acceptedReason, breaksGlass, purposeOf } from './request-document.js';

/**
 * Who is at the other end of a socket. Holds the access token of `connection_init` and asks anew at every use whose it is:
 * a session that has ended, a token that has expired, a role that was taken away count from the next push on.
 */
export class SubscriptionCaller {
  private constructor(
    private readonly identity: Identity,
    private readonly token: string,
    private readonly stated: ReadonlyMap<string, string>,
    private readonly clientAddress: string,
  ) {}

  /** @param parameters `connectionParams`: the headers of a request, whatever the case of their names. */
  static of(identity: Identity, parameters: unknown, clientAddress: string): SubscriptionCaller {
    const stated = new Map<string, string>();
    for (const [name, value] of Object.entries(parameters ?? {})) {
      if (typeof value === 'string' && value.trim() !== '') stated.set(name.toLowerCase(), value.trim());
    }
    const token = /^Bearer ([\w.~+/=-]+)$/i.exec(stated.get('authorization') ?? '')?.[1] ?? '';
    return new SubscriptionCaller(identity, token, stated, clientAddress);
  }

  /** The actor now. An open socket is not use: it keeps no idle session alive. Rejects with Unauthenticated. */
  async actor(): Promise<Actor> {
    return this.identity.authenticate(this.token, false);
  }

  /**
   * A document of its own for one push, with an id of its own. Rejects with Unauthenticated. Under `X-Break-Glass: BTG` it is
   * made with the emergency accesses that are open at that moment: what one opened is not pushed after its end.
   */
  async document(digest: string | null, turns: Turns | null = null): Promise<Document> {
    const facts = {
      requestId: newId(),
      purpose: purposeOf(this.stated.get('x-purpose-of-use') ?? null),
      reason: acceptedReason(this.stated.get('x-reason') ?? ''),
      idempotencyKey: null,
      breakGlass: breaksGlass(this.stated.get('x-break-glass') ?? null),
      clientAddress: this.clientAddress,
    };
    const actor = await this.actor();
    return new Document(facts.breakGlass ? underEmergency(actor) : actor, facts, digest, turns?.take() ?? null);
  }
}

/** Whether a token that was good has run out: with a fresh one the same session may go on. */
export function hasExpired(error: Unauthenticated): boolean {
  return error.options.recordedAs === 'BAD_TOKEN';
}
