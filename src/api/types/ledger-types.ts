import { Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { LedgerFilter } from '../../ledger/entry-filter.js';
import type { Consistency, SignedHead } from '../../ledger/entry-proof.js';
import type { LedgerEntryConnection, LedgerProof } from '../../operation/ledger-query.js';
import type { LedgerAccess, LedgerEntryView } from '../../operation/ledger-view.js';
import { PageInfoType } from './connection-types.js';

export enum LedgerKind {
  READ = 'READ',
  SEARCH = 'SEARCH',
  LOOKUP = 'LOOKUP',
  CREATE = 'CREATE',
  UPDATE = 'UPDATE',
  DELETE = 'DELETE',
  EXPORT = 'EXPORT',
  DISCLOSE = 'DISCLOSE',
  LOGIN = 'LOGIN',
  LOGOUT = 'LOGOUT',
  POLICY = 'POLICY',
  KEY = 'KEY',
  LEDGER_READ = 'LEDGER_READ',
  ERASE = 'ERASE',
  ARCHIVE = 'ARCHIVE',
  VOID = 'VOID',
  WRITER = 'WRITER',
  START = 'START',
}
registerEnumType(LedgerKind, { name: 'LedgerKind' });

export enum LedgerOutcome {
  success = 'success',
  denied = 'denied',
  failed = 'failed',
}
registerEnumType(LedgerOutcome, { name: 'LedgerOutcome' });

@InputType('LedgerFilter', { description: 'What is given must all hold.' })
export class LedgerFilterType implements LedgerFilter {
  @Field(() => String, { nullable: true, description: 'Reference of a patient: 32 hexadecimal digits.' })
  subject?: string | null;

  @Field(() => String, { nullable: true, description: 'Reference of an account: 32 hexadecimal digits.' })
  actor?: string | null;

  @Field(() => String, { nullable: true, description: 'A purpose of use, such as TREAT.' })
  purpose?: string | null;

  @Field(() => String, { nullable: true, description: 'A root field or command, such as patients.' })
  operation?: string | null;

  @Field(() => LedgerOutcome, { nullable: true })
  outcome?: LedgerOutcome | null;

  @Field(() => LedgerKind, { nullable: true })
  kind?: LedgerKind | null;

  @Field(() => String, {
    nullable: true,
    description:
      'RFC 3339 with a zone: from this moment on. Found by the order of the log, in which clocks may differ by five minutes.',
  })
  from?: string | null;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone: before this moment.' })
  to?: string | null;
}

@ObjectType('LedgerAccessedField')
export class LedgerAccessedFieldType {
  @Field(() => String)
  field: string;

  @Field(() => String, { description: 'CLEAR, MASKED, HIDDEN (asked for, not given), ERASED or WRITTEN.' })
  state: string;
}

@ObjectType('LedgerAccess', { description: 'What an operation saw or wrote of one type.' })
export class LedgerAccessType {
  @Field(() => String)
  type: string;

  @Field(() => Int)
  rows: number;

  @Field(() => [LedgerAccessedFieldType])
  fields: LedgerAccess['fields'];

  @Field(() => [String], { description: 'References of the patients concerned.' })
  subjects: readonly string[];
}

@ObjectType('LedgerEntry', {
  description:
    'An entry of the ledger. Names nobody: patients and accounts are references that only this system resolves.',
})
export class LedgerEntryType implements LedgerEntryView {
  @Field(() => Int)
  index: number;

  @Field(() => String, { description: 'SHA-256 of the entry, as the tree has it: hexadecimal.' })
  leaf: string;

  @Field(() => String, { description: 'SHA-256 of the record, as the receipt has it: hexadecimal.' })
  recordHash: string;

  @Field(() => String, { description: 'The canonical JSON (RFC 8785): the exact text that the hash is of.' })
  record: string;

  @Field(() => String)
  writer: string;

  @Field(() => Int)
  number: number;

  @Field(() => Int)
  incarnation: number;

  @Field(() => String, { description: 'RFC 3339, UTC.' })
  time: string;

  @Field(() => String, { description: 'X-Request-Id.' })
  request: string;

  @Field(() => String)
  operation: string;

  @Field(() => String)
  kind: string;

  @Field(() => String)
  outcome: string;

  @Field(() => String, { nullable: true })
  code: string | null;

  @Field(() => String, { nullable: true })
  actor: string | null;

  @Field(() => String, { nullable: true })
  role: string | null;

  @Field(() => String, { nullable: true })
  session: string | null;

  @Field(() => String, { nullable: true })
  purpose: string | null;

  @Field(() => String, { nullable: true, description: 'SHA-256 of the normalised GraphQL document, hexadecimal.' })
  document: string | null;

  @Field(() => String, { nullable: true, description: 'Hash of the policy that decided.' })
  policy: string | null;

  @Field(() => [String])
  rules: readonly string[];

  @Field(() => Boolean, { description: 'Whether a reason was given.' })
  reason: boolean;

  @Field(() => [LedgerAccessType])
  accesses: LedgerEntryView['accesses'];

  @Field(() => String, { nullable: true, description: 'The decisionId that the caller was told in extensions.policy.' })
  decision: string | null;

  @Field(() => String, { nullable: true, description: 'How the session was authenticated: pwd or pwd+otp (RFC 8176).' })
  acr: string | null;

  @Field(() => [String], { description: 'Purposes whose consent the rules asked for.' })
  consents: readonly string[];

  @Field(() => [String], { description: 'What the rules demanded besides a record, such as stepUp or reason.' })
  obligations: readonly string[];
}

@ObjectType('LedgerEntryEdge')
export class LedgerEntryEdgeType {
  @Field(() => LedgerEntryType)
  node: LedgerEntryView;

  @Field(() => String)
  cursor: string;
}

@ObjectType('LedgerPageInfo')
export class LedgerPageInfoType extends PageInfoType {
  @Field(() => Boolean, {
    description:
      'True where the page ended before it was full although older entries may match: a page looks through a bounded part of the log. Go on after endCursor.',
  })
  partial: boolean;
}

@ObjectType('LedgerEntryConnection', { description: 'Newest first.' })
export class LedgerEntryConnectionType implements LedgerEntryConnection {
  @Field(() => [LedgerEntryEdgeType])
  edges: LedgerEntryConnection['edges'];

  @Field(() => LedgerPageInfoType)
  pageInfo: LedgerPageInfoType;
}

@ObjectType('LedgerCheckpoint', { description: 'What was signed last of the tenant’s log.' })
export class LedgerCheckpointType implements SignedHead {
  @Field(() => String)
  origin: string;

  @Field(() => Int)
  size: number;

  @Field(() => String, { description: 'Hexadecimal.' })
  root: string;

  @Field(() => String, {
    description: 'The signed note (c2sp.org/tlog-checkpoint), with cosignatures where there are any.',
  })
  note: string;

  @Field(() => String, { description: 'The key that verifies the note. Compare it with the one you were given.' })
  vkey: string;
}

@ObjectType('LedgerProof', { description: 'That an entry is in the log under a signed checkpoint.' })
export class LedgerProofType implements LedgerProof {
  @Field(() => Int)
  index: number;

  @Field(() => Int, { description: 'Entries under the checkpoint.' })
  size: number;

  @Field(() => String, { description: 'Hexadecimal, as the other hashes are.' })
  leaf: string;

  @Field(() => String)
  recordHash: string;

  @Field(() => String, {
    nullable: true,
    description: 'The exact text of the record; null to who holds a receipt of what another account did.',
  })
  record: string | null;

  @Field(() => [String], { description: 'From the leaf’s sibling up (RFC 9162, 2.1.3).' })
  hashes: readonly string[];

  @Field(() => String, { description: 'The signed note.' })
  checkpoint: string;

  @Field(() => String, {
    description: 'All of it as c2sp.org/tlog-proof: a file that audit/ verifies without the log.',
  })
  proof: string;
}

@ObjectType('LedgerConsistency', {
  description: 'That a log of one size goes on from one of another (RFC 9162, 2.1.4).',
})
export class LedgerConsistencyType implements Consistency {
  @Field(() => Int)
  from: number;

  @Field(() => Int)
  to: number;

  @Field(() => [String], { description: 'Hexadecimal.' })
  hashes: readonly string[];
}
