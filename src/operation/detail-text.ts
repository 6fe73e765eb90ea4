import { hash } from 'node:crypto';
import type { AnyOperation } from './operation.js';

/** One operation and what it was asked with: the arguments of a field, the input of a command or a job. */
export interface Asked {
  readonly operation: Pick<AnyOperation, 'name' | 'withheld'>;
  readonly input: unknown;
}

/** What a write did to one row: the fields that changed, and no other. A creation has nothing before. */
export interface RowChange {
  readonly type: string;
  readonly id: string;
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after: Readonly<Record<string, unknown>>;
}

export interface DetailContent {
  /** Of the peer; null for commands and jobs. */
  readonly address: string | null;
  readonly asked: readonly Asked[];
  readonly changes: readonly RowChange[];
}

/** What was sealed, as it is read back. */
export interface DetailDocument {
  readonly address: string | null;
  readonly changes: readonly RowChange[];
  readonly v: 1;
  readonly variables: readonly { readonly operation: string; readonly input: Plain }[];
}

export type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

/** Most bytes of one text. What is larger is replaced by its SHA-256 and size, the largest parts first. */
export const LARGEST_DETAIL = 32 * 1024;
/** A shorter text is not replaced before whole inputs are: what replaces it would hardly be shorter. */
const SHORTEST_REPLACED = 160;

/**
 * Names of input fields that carry secrets or contents of files: they never enter. The operations on sessions, whose
 * codes have plain names, give no input at all (see Sessions).
 */
const SECRET =
  /passw|passphrase|secret|token|challenge|credential|recover|otp|captcha|privatekey|apikey|^pin$|^key$|^content$|^bytes$|^base64$|^data$|^file$|^blob$/i;

export function isSecretName(name: string): boolean {
  return SECRET.test(name);
}

/**
 * The canonical JSON (RFC 8785) of an operation's details, at most {@link LARGEST_DETAIL} bytes; null where there is
 * nothing to tell. What it holds are personal values in clear: it goes nowhere but into the seal.
 */
export function detailText({ address, asked, changes }: DetailContent): string | null {
  const variables = variablesOf(asked);
  if (address === null && variables.length === 0 && changes.length === 0) return null;
  const document = { address, changes: changes.map(plainChange), v: 1, variables };
  const text = JSON.stringify(document);
  if (text.length * 3 <= LARGEST_DETAIL || Buffer.byteLength(text) <= LARGEST_DETAIL) return text;
  return shortened(document);
}

/** Root fields with all their arguments; a nested list once for each set of arguments, and not for each parent. */
function variablesOf(asked: readonly Asked[]): Plain[] {
  const nested = new Set<string>();
  const variables: Plain[] = [];
  for (const { operation, input } of asked) {
    const isNested = operation.name.includes('.');
    const given = plain(input, operation.withheld, isNested) ?? {};
    if (isNested) {
      if (Object.keys(Object(given)).length === 0) continue;
      const text = `${operation.name} ${JSON.stringify(given)}`;
      if (nested.has(text)) continue;
      nested.add(text);
    }
    variables.push({ input: given, operation: operation.name });
  }
  return variables;
}

function plainChange({ type, id, before, after }: RowChange): Plain {
  const given = { after: plain(after) ?? {} };
  return before === undefined ? { ...given, id, type } : { ...given, before: plain(before) ?? {}, id, type };
}

/**
 * A value with its members sorted, without secrets, without what JSON does not carry, with a row that was read before
 * as its id alone: such a row is the answer of another operation.
 */
function plain(value: unknown, withheld: readonly string[] = [], withoutRows = false): Plain | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object' || ArrayBuffer.isView(value)) return undefined;
  if (Array.isArray(value)) return value.map((one) => plain(one) ?? null);
  if ('__typename' in value) return withoutRows ? undefined : String((value as { id?: unknown }).id);
  const members: { [name: string]: Plain } = {};
  for (const name of Object.keys(value).sort()) {
    if (isSecretName(name) || withheld.includes(name)) continue;
    const member = plain((value as Record<string, unknown>)[name], [], withoutRows);
    if (member !== undefined) members[name] = member;
  }
  return members;
}

interface Part {
  /** As it is now: parts of it may have been replaced before. */
  bytes(): number;
  /** By the digest and the size of what it was at first. */
  replace(): void;
}

/** Replaces long texts first, then whole values of rows and inputs, then everything. */
function shortened(document: { address: string | null; changes: Plain[]; v: number; variables: Plain[] }): string {
  const values = [...document.changes, ...document.variables].flatMap((one) =>
    ['after', 'before', 'input'].flatMap((name) => partOf(one as Members, name)),
  );
  const everything = ['changes', 'variables'].flatMap((name) => partOf(document as unknown as Members, name));
  for (const parts of [textsIn([document.changes, document.variables]), values, everything]) {
    let size = Buffer.byteLength(JSON.stringify(document));
    const bySize = parts.map((part) => ({ part, bytes: part.bytes() })).sort((one, other) => other.bytes - one.bytes);
    for (const { part, bytes } of bySize) {
      if (size <= LARGEST_DETAIL) return JSON.stringify(document);
      part.replace();
      size -= bytes - LONGEST_REPLACEMENT;
    }
  }
  return JSON.stringify(document);
}

type Members = { [name: string]: Plain };

/** An upper bound, in bytes. */
const LONGEST_REPLACEMENT = 100;

function textsIn(value: Plain): Part[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((name) => {
    const member = (value as Members)[name] ?? null;
    if (typeof member !== 'string') return textsIn(member);
    return member.length < SHORTEST_REPLACED ? [] : partOf(value as Members, name);
  });
}

function partOf(owner: Members, name: string): Part[] {
  if (!(name in owner)) return [];
  const text = JSON.stringify(owner[name]);
  const replacement = { bytes: Buffer.byteLength(text), sha256: hash('sha256', text, 'hex') };
  return [
    {
      bytes: () => Buffer.byteLength(JSON.stringify(owner[name])),
      replace: () => {
        owner[name] = replacement;
      },
    },
  ];
}
