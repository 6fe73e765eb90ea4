/** What a document asks of one type: the governed fields it selects, and the costly extras of a connection. */
export interface Selection {
  readonly fields: ReadonlySet<string>;
  readonly fieldAccess: boolean;
  readonly totalCount: boolean;
}

/** A selection of the named fields, for callers that are not GraphQL documents. */
export function selectFields(...fields: string[]): Selection {
  return { fields: new Set(fields), fieldAccess: false, totalCount: false };
}
