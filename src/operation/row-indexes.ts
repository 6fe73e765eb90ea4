import { registry, type IndexKind, type NounDeclaration } from '../kernel/attribute.js';
import { INDEX_KEY, isIndexed, isSearched, SEARCH_TOKENS } from '../persistence/attribute.js';
import type { NamedIndexes } from '../policy/indexes.js';
import { plannedBits, type IndexKey } from '../vault/blind-indexes.js';
import type { Vault } from '../vault/vault.js';
import type { Scope } from './scope.js';

/** Which of the indexes that a model file makes possible are written: what the policies in force name. */
export type IndexChoice = (type: string, field: string, kind: IndexKind) => boolean;

/** The choice that policies make. */
export function indexChoice(named: ReadonlyMap<string, NamedIndexes>): IndexChoice {
  return (type, field, kind) => named.get(type)?.get(field)?.has(kind) === true;
}

/** The index columns that a write sets: of all values of the row, so that they are all made under one key. */
export function indexesOf(
  { services, actor }: Pick<Scope, 'services' | 'actor'>,
  noun: NounDeclaration,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { vault, policy } = services;
  return indexColumns(vault, actor.tenant, noun, values, actor.country, indexChoice(policy.indexes));
}

/** Tokens are stored in two bytes: at most so many outputs, however many people there are. */
const TOKEN_BITS = 16;

/**
 * All index columns of a row, from its opened values: null where there is no value, and where no policy names the index.
 * They are made under one version of the index key, which the row names. `country`: whose national spelling of a number is
 * meant. Rows without any index name no key.
 */
export function indexColumns(
  vault: Pick<Vault, 'blindIndex' | 'indexKeys'>,
  tenant: string,
  noun: NounDeclaration,
  values: Readonly<Record<string, unknown>>,
  country: string,
  chosen: IndexChoice,
): Record<string, unknown> {
  const attributes = [...noun.attributes.values()].filter(isIndexed);
  if (attributes.length === 0) return {};
  const [key] = vault.indexKeys(tenant);
  if (key === undefined) throw new Error(`The tenant ${tenant} has no index key.`);
  const columns: Record<string, unknown> = {};
  const tokens = new Set<number>();
  for (const attribute of attributes) {
    const { field, blindIndex } = attribute;
    const indexing = registry.indexing(noun.type, field);
    const value = values[field];
    const text = typeof value === 'string' ? value : null;
    const write = (kind: IndexKind) => text !== null && chosen(noun.type, field, kind);
    if (blindIndex !== null) {
      const exact = write('exact') ? (indexing.exact?.(text ?? '', country) ?? null) : null;
      columns[blindIndex] = exact === null ? null : key.indexOf(`${noun.type}.${field}`, exact);
    }
    if (write('suffix')) {
      const suffix = indexing.suffix?.of(text ?? '', country) ?? null;
      if (suffix !== null) tokens.add(searchToken(key, noun.type, field, 'suffix', suffix));
    }
    if (write('tokens')) {
      for (const part of indexing.tokens?.(text ?? '') ?? [])
        tokens.add(searchToken(key, noun.type, field, 'tokens', part));
    }
  }
  // In an order that says nothing about which token is of what.
  if (attributes.some(isSearched)) {
    columns[SEARCH_TOKENS] = tokens.size === 0 ? null : [...tokens].sort((left, right) => left - right);
  }
  const empty = Object.values(columns).every((column) => column === null);
  columns[INDEX_KEY] = empty ? null : key.keyId;
  return columns;
}

/**
 * What is stored of one part of a value: the first bits of its HMAC, as a signed number of two bytes. Fewer bits where there
 * are few parts, so that each output stands for several: who finds one opens the value and compares.
 */
export function searchToken(
  key: IndexKey,
  type: string,
  field: string,
  kind: 'suffix' | 'tokens',
  part: string,
): number {
  const values = kind === 'suffix' ? (registry.indexing(type, field).suffix?.values ?? 0) : Infinity;
  const planned = values === Infinity ? TOKEN_BITS : plannedBits(values);
  const dropped = TOKEN_BITS - Math.min(TOKEN_BITS, planned, key.bits);
  const token = key.mac(`${type}.${field} ${kind}`, part).readInt16BE();
  return (token >> dropped) << dropped;
}
