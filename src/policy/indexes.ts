import type { AttributeDeclaration, IndexKind, NounDeclaration } from '../kernel/attribute.js';
import type { DocumentPath } from './document.js';
import { insteadOf } from './nearest.js';

/** The indexes that the policies name, by field. What they do not name is not written. */
export type NamedIndexes = ReadonlyMap<string, ReadonlySet<IndexKind>>;

/**
 * Reads `indexes` of a policy file: field and kinds. A kind that the model file does not make possible is refused: a field
 * with few values has none, because its index would tell the value.
 */
export function readIndexes(
  stated: Readonly<Record<string, readonly string[]>> | undefined,
  noun: NounDeclaration,
  refuse: (at: DocumentPath, message: string) => void,
): NamedIndexes {
  const indexes = new Map<string, ReadonlySet<IndexKind>>();
  for (const [field, kinds] of Object.entries(stated ?? {})) {
    const attribute = noun.attributes.get(field);
    if (attribute === undefined) {
      refuse(['indexes', field], `${noun.type} has no field "${field}".${insteadOf(field, noun.attributes.keys())}`);
      continue;
    }
    const possible = attribute.indexes;
    kinds.forEach((kind, index) => {
      if (!possible.includes(kind as IndexKind)) refuse(['indexes', field, index], notPossible(attribute, kind));
    });
    indexes.set(field, new Set(possible.filter((kind) => kinds.includes(kind))));
  }
  return indexes;
}

function notPossible({ field, indexes }: AttributeDeclaration, kind: string): string {
  if (indexes.length === 0) return `"${field}" cannot be indexed.`;
  return `"${field}" has no index of the kind "${kind}": write ${indexes.join(' or ')}.`;
}

/** What changes for rows that are there now, in sentences: an index is made when a row is written, or by the rotation of its key. */
export function indexChanges(
  before: ReadonlyMap<string, NamedIndexes>,
  after: ReadonlyMap<string, NamedIndexes>,
): string[] {
  const named = (indexes: ReadonlyMap<string, NamedIndexes>) =>
    [...indexes].flatMap(([type, fields]) =>
      [...fields].flatMap(([field, kinds]) => [...kinds].map((kind) => `${type}.${field} ${kind}`)),
    );
  const [old, made] = [named(before), named(after)];
  return [
    ...made
      .filter((one) => !old.includes(one))
      .map((one) => `the index ${one} is new: rows written before are found after "npm run keys -- rotate index"`),
    ...old
      .filter((one) => !made.includes(one))
      .map(
        (one) => `the index ${one} is no longer written: it goes from older rows with "npm run keys -- rotate index"`,
      ),
  ];
}
