import type { FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Identity } from '../identity/identity.js';
import { underEmergency } from '../identity/live-sessions.js';
import { Unauthenticated } from '../identity/unauthenticated.js';
import type { Actor, RequestFacts } from '../kernel/actor.js';
import { FAILURE_STATUS } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { auditUnavailable } from '../operation/answering.js';
import { Document } from '../operation/document.js';
import type { Origins } from './origins.js';
import { RefreshCookie } from './refresh-cookie.js';
import type { TrustedDocuments } from './trusted-documents.js';

/**
 * The ledger keeps the request id for ever: a UUID, a trace id of 32 hexadecimal digits, or another token without seven
 * digits in a row, as telephone and national numbers have them. Anything else is replaced by an id of our own.
 */
const REQUEST_ID = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|(?!.*\d{7})[A-Za-z0-9._:-]{1,64})$/i;
const PURPOSE = /^[A-Z]{3,16}(\.[A-Z]{2,16})?$/;
const LONGEST_REASON = 500;
/** The one value of `X-Break-Glass` that counts: HL7 v3-ActReason. */
const BREAK_GLASS = 'BTG';

/** What Apollo hands to every resolver: the document of this request. */
export interface ApiContext {
  readonly document: Document;
  readonly startedAt: number;
  /** Absent where the transport has no cookies to give (a socket). */
  readonly cookie?: RefreshCookie;
}

/** What the deployment settles for every request. */
export interface Deployment {
  readonly production: boolean;
  readonly origins: Origins;
  readonly trusted: TrustedDocuments;
}

/**
 * Makes the document of a request. A missing or refused token makes a document without an actor, which can sign in and
 * nothing else; a database that cannot be asked is an error, not an anonymous caller.
 */
export class RequestDocuments {
  constructor(
    private readonly identity: Identity,
    private readonly deployment: Pick<Deployment, 'origins' | 'production'>,
  ) {}

  async open(request: FastifyRequest): Promise<ApiContext> {
    const facts = factsOf(request);
    const { origins, production } = this.deployment;
    const actor = await this.actor(request);
    return {
      document: new Document(actor !== null && facts.breakGlass === true ? underEmergency(actor) : actor, facts, null),
      startedAt: performance.now(),
      cookie: RefreshCookie.of(request, origins, production),
    };
  }

  private async actor(request: FastifyRequest): Promise<Actor | null> {
    const match = /^Bearer ([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '');
    if (match?.[1] === undefined) return null;
    try {
      return await this.identity.authenticate(match[1]);
    } catch (error) {
      if (error instanceof Unauthenticated) return null;
      throw unavailable(error);
    }
  }
}

/** Who asks cannot be told, so nothing can be recorded. Outside of a document Apollo takes the HTTP status from here. */
function unavailable(cause: unknown): GraphQLError {
  const failure = auditUnavailable(cause);
  const http = { status: FAILURE_STATUS[failure.code] };
  return new GraphQLError(failure.message, { originalError: failure, extensions: { http } });
}

function factsOf(request: FastifyRequest): RequestFacts {
  const requestId = header(request, 'x-request-id');
  return {
    requestId: requestId !== null && REQUEST_ID.test(requestId) ? requestId : newId(),
    purpose: purposeOf(header(request, 'x-purpose-of-use')),
    reason: reasonOf(header(request, 'x-reason')),
    idempotencyKey: header(request, 'idempotency-key'),
    breakGlass: breaksGlass(header(request, 'x-break-glass')),
    clientAddress: request.ip,
  };
}

/** The ledger keeps the stated purpose for ever: what has not the form of a purpose code is kept as `?`. */
export function purposeOf(value: string | null): string | null {
  return value === null || PURPOSE.test(value) ? value : '?';
}

/** Whether a request says that it is made under an emergency access. */
export function breaksGlass(value: string | null): boolean {
  return value === BREAK_GLASS;
}

/** Headers are bytes of Latin-1 to the server; people write reasons in UTF-8. */
function reasonOf(value: string | null): string | null {
  return value === null ? null : acceptedReason(Buffer.from(value, 'latin1').toString('utf8'));
}

/** A reason of the length that the contract asks for; one of another length counts as none. */
export function acceptedReason(value: string): string | null {
  const text = value.trim();
  return text.length >= 10 && text.length <= LONGEST_REASON ? text : null;
}

function header(request: FastifyRequest, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}
