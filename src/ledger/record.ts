import { hash } from 'node:crypto';
import { LARGEST_RECORD } from '../../audit/entry.mjs';
import { Failure } from '../kernel/failure.js';

/** What happened to a field in an operation; `WRITTEN` for fields that the operation set. */
export type AccessState = 'CLEAR' | 'MASKED' | 'HIDDEN' | 'ERASED' | 'WRITTEN';

/** What one operation saw or wrote of one type. */
export interface Access {
  readonly type: string;
  /** Number of rows. */
  readonly rows: number;
  /** Field name → state. Freeze it to have its canonical text remembered. */
  readonly fields: Readonly<Record<string, AccessState>>;
  /** Random 128-bit references (32 hexadecimal digits) of the patients concerned. */
  readonly subjects: readonly string[];
}

export type RecordKind =
  | 'READ'
  | 'SEARCH'
  | 'LOOKUP'
  | 'CREATE'
  | 'UPDATE'
  | 'DELETE'
  | 'EXPORT'
  | 'DISCLOSE'
  | 'LOGIN'
  | 'LOGOUT'
  | 'POLICY'
  | 'KEY'
  | 'LEDGER_READ'
  | 'ERASE'
  | 'ARCHIVE'
  | 'VOID'
  | 'WRITER'
  | 'START';

/** One record before it has a writer, a number and a time. Holds references and names, never a personal value. */
export interface RecordDraft {
  /** Tenant code or `system`. */
  readonly log: string;
  /** Root field or command, such as `patients`. */
  readonly operation: string;
  readonly kind: RecordKind;
  readonly outcome: 'success' | 'denied' | 'failed';
  readonly code: string | null;
  /** The actor's reference: 32 hexadecimal digits. */
  readonly actor: string | null;
  readonly role: string | null;
  readonly session: string | null;
  readonly purpose: string | null;
  /** `X-Request-Id`. */
  readonly request: string;
  /** SHA-256 of the normalised GraphQL document, hexadecimal. */
  readonly document: string | null;
  /** Hash of the policy that decided. */
  readonly policy: string | null;
  readonly rules: readonly string[];
  /** Whether a reason was given; its text never enters. */
  readonly reason: boolean;
  readonly accesses: readonly Access[];
  /** Names the decisions of one document, and stands in every record of it. */
  readonly decision?: string;
  /** How the session was authenticated, in the words of RFC 8176. */
  readonly acr?: string | null;
  /** Purposes whose consent the rules asked for. Like the next member it is left away where it says nothing. */
  readonly consents?: readonly string[];
  /** Obligations that the rules demanded besides a record. */
  readonly obligations?: readonly string[];
  /** A file that was handed out: a name for it without personal values, and the SHA-256 (hexadecimal) of its bytes. */
  readonly detail?: { readonly key: string; readonly sha256: string };
  /** What happened in clear (variables, address, old and new values), sealed: stored beside the record, erasable. */
  readonly sealed?: SealedDetail;
}

/** Ciphertext of an operation's details. The record names the key and the SHA-256 of the ciphertext. */
export interface SealedDetail {
  /** `subject:<reference>`: under the key of that person, and gone with it; `tenant`: under the tenant's. */
  readonly key: string;
  /** Nonce ‖ ciphertext ‖ tag. */
  readonly ciphertext: Buffer;
}

/** What a caller may keep to demand the proof of its record later. */
export interface Receipt {
  readonly writer: string;
  readonly number: number;
  /** SHA-256 of the record, hexadecimal. */
  readonly recordHash: string;
}

/** What the writer adds. */
export interface RecordStamp {
  /** Counts the lives of this ledger: 2 after the first restore from a dump. */
  readonly incarnation: number;
  /** 16 hexadecimal digits, random for every start of a process. */
  readonly writer: string;
  /** Dense from 1 for every (writer, log). */
  readonly number: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
}

/** What only the ledger's records about itself say: registration of a writer, start of a log or of a new incarnation. */
export interface LedgerStatement {
  /** SHA-256 that binds the writer to the key of its MACs, hexadecimal. */
  readonly commitment?: string;
  /** The hash suite and the origin (name of the key) of the log; both in START and only there. */
  readonly suite?: string;
  readonly origin?: string;
  /** The last checkpoint before a declared restore: what was signed and is given up. Root in hexadecimal. */
  readonly replaces?: { readonly origin: string; readonly size: number; readonly root: string };
}

const TOKEN = /^[!-~]{1,128}$/;
/** What JSON has as it is, and what nearly every text here is made of. */
const UNESCAPED = /^[ !#-[\]-~]*$/;
const fieldTexts = new WeakMap<object, string>();

/**
 * The canonical JSON (RFC 8785) of a record, version 1 of audit/FORMAT.md: the same bytes as `canonicalize` of the same
 * members, written in their sorted order without sorting, because this runs once per request. The request id and the
 * purpose come from a client: what a token cannot hold becomes `?` in them, so that no header can spoil a record.
 * Throws BULK_LIMIT for a record that no entry can hold.
 */
export function encodeRecord(draft: RecordDraft, stamp: RecordStamp, statement: LedgerStatement = {}): Buffer {
  const { commitment, suite, origin, replaces } = statement;
  const { acr, consents, decision, obligations, sealed } = draft;
  const json =
    `{"accesses":${list(draft.accesses, access)}${member('acr', acr)},"actor":${textOrNull(draft.actor)},"code":${textOrNull(draft.code)}` +
    member('commitment', commitment) +
    some('consents', consents) +
    member('decision', decision) +
    (draft.detail === undefined
      ? ''
      : `,"detail":{"key":${text(draft.detail.key)},"sha256":${text(draft.detail.sha256)}}`) +
    `,"document":${textOrNull(draft.document)},"incarnation":${stamp.incarnation},"kind":"${draft.kind}"` +
    `,"log":${text(draft.log)},"number":${stamp.number}${some('obligations', obligations)},"operation":${text(draft.operation)}` +
    member('origin', origin) +
    `,"outcome":"${draft.outcome}","policy":${textOrNull(draft.policy)}` +
    `,"purpose":${draft.purpose === null ? 'null' : token(draft.purpose)}` +
    `,"reason":${draft.reason}` +
    (replaces === undefined
      ? ''
      : `,"replaces":{"origin":${text(replaces.origin)},"root":${text(replaces.root)},"size":${replaces.size}}`) +
    `,"request":${token(draft.request)},"role":${textOrNull(draft.role)},"rules":${list(draft.rules, text)}` +
    (sealed === undefined
      ? ''
      : `,"sealed":{"key":${text(sealed.key)},"sha256":"${hash('sha256', sealed.ciphertext, 'hex')}"}`) +
    `,"session":${textOrNull(draft.session)}` +
    member('suite', suite) +
    `,"time":"${stamp.time}","v":1,"writer":"${stamp.writer}"}`;
  const bytes = Buffer.from(json);
  if (bytes.length > LARGEST_RECORD) {
    throw new Failure(
      'BULK_LIMIT',
      `The record of this operation has ${bytes.length} bytes; an entry of the ledger holds ${LARGEST_RECORD}.`,
      'Ask for fewer rows at once.',
    );
  }
  return bytes;
}

/** A draft with nothing in it but what it is about: for the records that the ledger writes about itself. */
export function bareDraft(log: string, operation: string, kind: RecordKind, request: string): RecordDraft {
  return {
    log,
    operation,
    kind,
    outcome: 'success',
    code: null,
    actor: null,
    role: null,
    session: null,
    purpose: null,
    request,
    document: null,
    policy: null,
    rules: [],
    reason: false,
    accesses: [],
  };
}

function member(name: string, value: string | null | undefined): string {
  return value == null ? '' : `,"${name}":${text(value)}`;
}

function some(name: string, values: readonly string[] | undefined): string {
  return values === undefined || values.length === 0 ? '' : `,"${name}":${list(values, text)}`;
}

function access(item: Access): string {
  return `{"fields":${fields(item.fields)},"rows":${item.rows},"subjects":${list(item.subjects, text)},"type":${text(item.type)}}`;
}

function fields(states: Access['fields']): string {
  const known = fieldTexts.get(states);
  if (known !== undefined) return known;
  const names = Object.keys(states).sort();
  const members = `{${names.map((name) => `${text(name)}:${text(states[name] as string)}`).join(',')}}`;
  if (Object.isFrozen(states)) fieldTexts.set(states, members);
  return members;
}

function list<Item>(items: readonly Item[], write: (item: Item) => string): string {
  let members = '';
  for (let index = 0; index < items.length; index++) {
    members += index === 0 ? write(items[index] as Item) : `,${write(items[index] as Item)}`;
  }
  return `[${members}]`;
}

function textOrNull(value: string | null): string {
  return value === null ? 'null' : text(value);
}

/** JSON.stringify escapes exactly as RFC 8785 does; these texts are ASCII, so no lone surrogate can occur. */
const text = (value: string): string => (UNESCAPED.test(value) ? `"${value}"` : JSON.stringify(value));

function token(value: string): string {
  if (TOKEN.test(value)) return text(value);
  return text(value.slice(0, 128).replace(/[^!-~]/g, '?') || '?');
}
