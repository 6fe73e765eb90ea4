import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { Kind, print, type OperationDefinitionNode } from 'graphql';
import {
  MeDocument,
  RefreshDocument,
  SignInDocument,
  SignOutDocument,
  type MeQuery,
  type SignInInput,
} from './generated.js';

/** One refusal: a stable code for the program, a sentence and the next step for people. */
export interface Refusal {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly nextStep?: string; readonly [key: string]: unknown };
}

/** The server refused all of a document, or it could not be asked. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';

  constructor(
    readonly refusals: readonly Refusal[],
    /** Seconds to wait before the same request has a chance; null where waiting does not help. */
    readonly retryAfterSeconds: number | null,
  ) {
    super(refusals.map(({ message, extensions }) => `${message} ${extensions.nextStep ?? ''}`.trim()).join(' '));
  }

  /** The first code, such as FORBIDDEN, STEP_UP_REQUIRED or RATE_LIMITED. */
  get code(): string {
    return this.refusals[0]?.extensions.code ?? 'UNKNOWN';
  }
}

export interface ClientOptions {
  /** Ids of trusted documents by the name of their operation: then ids are sent and no texts. */
  readonly documentIds?: Readonly<Record<string, string>>;
  readonly fetch?: typeof fetch;
}

/** What one question needs beside its variables. */
export interface AskOptions {
  /** Ten to five hundred characters, where the policies ask for one. */
  readonly reason?: string;
  /** The same for every try of one creation: the server then creates once. */
  readonly idempotencyKey?: string;
}

interface Body {
  readonly data?: unknown;
  readonly errors?: readonly Refusal[];
}

/**
 * A session in a browser's page. The access token is in this object only; the refresh token is in a cookie that no script
 * reads, so a page that was loaded again starts with `refresh()`.
 */
export class CustodiaClient {
  /** What the next questions are asked for, one of `me.purposes`. The server records it with every answer. */
  purpose: string | null = null;
  private accessToken: string | null = null;
  private refreshing: Promise<boolean> | null = null;

  constructor(
    private readonly endpoint: string,
    private readonly options: ClientOptions = {},
  ) {}

  async signIn(input: SignInInput): Promise<MeQuery['me']> {
    const { session } = await this.send(SignInDocument, { input });
    this.accessToken = session.accessToken;
    const { me } = await this.send(MeDocument, {});
    this.purpose = me.purposes[0] ?? null;
    return me;
  }

  /** Exchanges the cookie. One exchange at a time: a token that is used twice ends the session. */
  refresh(): Promise<boolean> {
    this.refreshing ??= this.send(RefreshDocument, {})
      .then(
        ({ session }) => (this.accessToken = session.accessToken) !== null,
        () => false,
      )
      .finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  async signOut(): Promise<void> {
    await this.send(SignOutDocument, {});
    this.accessToken = null;
  }

  /**
   * The data of a document. Throws RequestRefused when anything in it was refused. When the access token has ended, it is
   * renewed once and the document sent again.
   */
  async ask<Result, Variables>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables,
    options: AskOptions = {},
  ): Promise<Result> {
    try {
      return await this.send(document, variables, options);
    } catch (error) {
      const ended = error instanceof RequestRefused && error.code === 'UNAUTHENTICATED' && this.accessToken !== null;
      if (!ended || !(await this.refresh())) throw error;
      return this.send(document, variables, options);
    }
  }

  private async send<Result, Variables>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables,
    { reason, idempotencyKey }: AskOptions = {},
  ): Promise<Result> {
    const { fetch: request = fetch, documentIds } = this.options;
    const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION);
    const documentId = documentIds?.[(operation as OperationDefinitionNode).name?.value ?? ''];
    const response = await request(this.endpoint, {
      method: 'POST',
      credentials: 'include',
      headers: {
        accept: 'application/graphql-response+json, application/json;q=0.9',
        'content-type': 'application/json',
        ...(this.accessToken === null ? {} : { authorization: `Bearer ${this.accessToken}` }),
        ...(this.purpose === null ? {} : { 'x-purpose-of-use': this.purpose }),
        ...(reason === undefined ? {} : { 'x-reason': latin1(reason) }),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      body: JSON.stringify(
        documentId === undefined ? { query: print(document), variables } : { documentId, variables },
      ),
    });
    const { data, errors } = (await response.json()) as Body;
    if (errors === undefined || errors.length === 0) return data as Result;
    const wait = response.headers.get('retry-after');
    throw new RequestRefused(errors, wait === null ? null : Number(wait));
  }
}

/** A header holds Latin-1; the server reads its bytes as UTF-8. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
