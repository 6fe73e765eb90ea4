import type { FastifyRequest } from 'fastify';
import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql';
import { Failure } from '../kernel/failure.js';
import type { Origins } from './origins.js';
import type { ApiContext } from './request-document.js';

const NAME = 'custodia_refresh';
/** A refresh token needs no quoting: what does not look like one is none (RFC 6265, 4.2.1). */
const PRESENTED = new RegExp(`(?:^|;)\\s*${NAME}=([\\w.~-]+)\\s*(?:;|$)`);

/**
 * The refresh token of one request as a cookie that no script can read. A browser's page then keeps no token that outlives
 * it. SameSite=Strict and no lifetime: it comes only from pages of the same site, and ends with the browser.
 *
 * A change is only noted here. It leaves with the answer, after the answer's records are durable: a token must not get out
 * of an answer that was withheld.
 */
export class RefreshCookie {
  private change: string | null = null;

  private constructor(
    /** The token that came with the request; null without a cookie, and for a page that is not on the allow-list. */
    readonly presented: string | null,
    private readonly secure: boolean,
  ) {}

  /** A cookie counts only where a listed origin is stated: a browser states one with every POST, a forged form's is its own. */
  static of(request: FastifyRequest, origins: Origins, production: boolean): RefreshCookie {
    const { cookie = '', origin } = request.headers;
    const secure = production || request.protocol === 'https';
    const presented = cookie === '' || !origins.allows(origin) ? null : (PRESENTED.exec(cookie)?.[1] ?? null);
    return new RefreshCookie(presented, secure);
  }

  give(token: string): void {
    this.change = this.serialized(token);
  }

  clear(): void {
    this.change = this.serialized('', 0);
  }

  /** The value of Set-Cookie; null when nothing changed. */
  header(): string | null {
    return this.change;
  }

  private serialized(value: string, maximumAge?: number): string {
    const lifetime = maximumAge === undefined ? '' : `; Max-Age=${maximumAge}`;
    return `${NAME}=${value}; Path=/graphql; HttpOnly; SameSite=Strict${this.secure ? '; Secure' : ''}${lifetime}`;
  }
}

type Resolver = GraphQLFieldResolver<unknown, ApiContext, Record<string, unknown>, unknown>;

/** What the fields of a session do with the cookie. The resolvers themselves know of no transport. */
const BINDINGS: Readonly<Record<string, (inner: Resolver) => Resolver>> = {
  signIn: (inner) => async (source, input, context, info) => given(await inner(source, input, context, info), context),

  /** Without an argument the cookie is exchanged. Refused, it is of no use any more. */
  refresh: (inner) => async (source, input, context, info) => {
    const refreshToken = input['refreshToken'] ?? context.cookie?.presented;
    const renewed = await clearingRefused(() => inner(source, { ...input, refreshToken }, context, info), context);
    return given(renewed, context);
  },

  /** Also when the access token has run out: whoever leaves a browser leaves no session in it that nobody can delete. */
  signOut: (inner) => async (source, input, context, info) => {
    const answer = await clearingRefused(() => inner(source, input, context, info), context);
    context.cookie?.clear();
    return answer;
  },
};

/** Binds the cookie to the fields that make, change and end a session. Changes the schema it is given. */
export function withRefreshCookie(schema: GraphQLSchema): GraphQLSchema {
  const fields = schema.getMutationType()?.getFields() ?? {};
  for (const [name, bind] of Object.entries(BINDINGS)) {
    const field = fields[name];
    if (field !== undefined) field.resolve = bind((field.resolve as Resolver | undefined) ?? defaultFieldResolver);
  }
  return schema;
}

async function clearingRefused(work: () => unknown, context: ApiContext): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure && error.code === 'UNAUTHENTICATED') context.cookie?.clear();
    throw error;
  }
}

function given(session: unknown, context: ApiContext): unknown {
  context.cookie?.give((session as { refreshToken: string }).refreshToken);
  return session;
}
