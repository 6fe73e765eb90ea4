import { parse, specifiedRules, validate, type GraphQLSchema } from 'graphql';
import { Refusal } from '../config/refusal.js';
import { documentId, type TrustedDocument } from '../config/trusted-documents.js';
import { Failure } from '../kernel/failure.js';
import { LIMITS, limitRules } from './limits.js';

/** What a request says about its document: the text, the id, or both. */
export interface DocumentRequest {
  readonly text: string | undefined;
  /** SHA-256 in hexadecimal, from `documentId` or `extensions.persistedQuery.sha256Hash`. */
  readonly id: string | undefined;
}

/**
 * The documents that may be asked for by id, and, where the list is binding, the only ones that run: whoever steals a token
 * then can ask no question that the hospital's own programs do not ask.
 */
export class TrustedDocuments {
  private readonly bodies: ReadonlyMap<string, string>;

  /** @param binding whether documents beside the list are refused, as in the production profile. */
  constructor(
    private readonly documents: readonly TrustedDocument[],
    private readonly binding: boolean,
  ) {
    this.bodies = new Map(documents.map(({ id, body }) => [id, body]));
  }

  /** False where there is no list: then ids mean nothing, and every document runs. */
  get exists(): boolean {
    return this.binding || this.bodies.size > 0;
  }

  /** The text to run. Throws DOCUMENT_NOT_TRUSTED for an id without a document, a text that has another id, or one not listed. */
  resolve({ text, id }: DocumentRequest): string {
    const own = text === undefined ? id : documentId(text);
    if (own === undefined || (id !== undefined && id.toLowerCase() !== own.toLowerCase())) throw notTrusted();
    const listed = this.bodies.get(own.toLowerCase());
    if (listed !== undefined) return listed;
    if (this.binding || text === undefined) throw notTrusted();
    return text;
  }

  /** A list that does not fit the schema or the limits would only be found out by the people at work: refuses to start. */
  refuseStale(schema: GraphQLSchema): void {
    const stale = this.documents.filter(({ body }) => !fits(schema, body));
    if (stale.length === 0) return;
    const names = stale.map(({ name }) => name).join(', ');
    throw new Refusal(
      `Trusted documents do not fit the schema or its limits: ${names}. Build the list again with "npm run documents".`,
    );
  }
}

function fits(schema: GraphQLSchema, body: string): boolean {
  try {
    const document = parse(body, { maxTokens: LIMITS.tokens });
    return validate(schema, document, [...specifiedRules, ...limitRules]).length === 0;
  } catch {
    return false;
  }
}

function notTrusted(): Failure {
  return new Failure(
    'DOCUMENT_NOT_TRUSTED',
    'The document is not on the list of trusted documents.',
    'Send a listed document, by its exact text or by its id; the operator extends the list.',
  );
}
