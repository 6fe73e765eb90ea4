import { ArgsType, Field, ID, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import {
  ErasureNoticeState,
  type ErasureNoticeConnection,
  type ErasureNoticeView,
} from '../../domain/erasure/erasure-notices.js';
import type { ErasureReceiptView } from '../../domain/erasure/erasure-receipt.js';
import { ErasureBasis, type EraseSubjectArguments } from '../../domain/erasure/erase-subject.js';
import type { LegalHoldView, PlaceLegalHoldArguments } from '../../domain/erasure/legal-hold.js';
import type { ErasedKey, ErasureExclusion } from '../../operation/subject-erasure.js';
import { PageArgumentsType, PageInfoType } from './connection-types.js';

registerEnumType(ErasureBasis, { name: 'ErasureBasis', description: 'On which ground a person is erased.' });
registerEnumType(ErasureNoticeState, {
  name: 'ErasureNoticeState',
  description: 'OVERDUE: open, and its time is over.',
});
export enum ErasureNoticeKind {
  RECIPIENT = 'RECIPIENT',
  EXPORT = 'EXPORT',
  BACKUP = 'BACKUP',
}
registerEnumType(ErasureNoticeKind, {
  name: 'ErasureNoticeKind',
  description: 'A recipient of disclosures, the account that asked for an export, or the last backup.',
});

const CHALLENGE = 'The satisfied challenge of an earlier STEP_UP_REQUIRED.';

@ArgsType()
export class EraseSubjectArgumentsType implements EraseSubjectArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => ErasureBasis, { nullable: true })
  legalBasis?: ErasureBasis | null;

  @Field(() => ID, { nullable: true, description: CHALLENGE })
  challengeId?: string | null;
}

@ArgsType()
export class PlaceLegalHoldArgumentsType implements PlaceLegalHoldArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { description: 'The number of the matter.' })
  matter: string;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone; now where it is left out.' })
  from?: string | null;

  @Field(() => ID, { nullable: true, description: CHALLENGE })
  challengeId?: string | null;
}

@ArgsType()
export class ErasureNoticesArgumentsType extends PageArgumentsType {
  @Field(() => ErasureNoticeState, { nullable: true })
  state: ErasureNoticeState | null;
}

@ObjectType('ErasureStore', { description: 'One store that an erasure touched.' })
export class ErasureStoreType {
  @Field(() => String, { description: 'A table; blob for files, ledger_detail for details of the ledger.' })
  store: string;

  @Field(() => Int)
  count: number;
}

@ObjectType('ErasedKey', { description: 'One version of a key that was destroyed.' })
export class ErasedKeyType implements ErasedKey {
  @Field(() => String, { description: 'The name in the ledger of whom or what it sealed.' })
  subject: string;

  @Field(() => Int)
  key: number;

  @Field(() => String, { nullable: true, description: 'SHA-256 of the wrapped key, hexadecimal.' })
  wrapped: string | null;

  @Field(() => String, { nullable: true, description: 'The same of the wrapped key of details, where there was one.' })
  detail: string | null;
}

@ObjectType('ErasureExclusion', { description: 'What an erasure left on purpose.' })
export class ErasureExclusionType implements ErasureExclusion {
  @Field(() => String)
  what: string;

  @Field(() => String)
  ground: string;

  @Field(() => String, { nullable: true, description: 'RFC 3339, UTC.' })
  until: string | null;
}

@ObjectType('ErasureReceipt', { description: 'What was erased of a person. It names nobody.' })
export class ErasureReceiptType implements ErasureReceiptView {
  @Field(() => ID)
  id: string;

  @Field(() => String, { description: 'The name that the person had in the ledger.' })
  ledgerReference: string;

  @Field(() => String, { description: 'RFC 3339, UTC.' })
  erasedAt: string;

  @Field(() => String)
  legalBasis: string;

  @Field(() => ID, { nullable: true, description: 'Of a repetition after a restore: the erasure that it repeats.' })
  replayOf: string | null;

  @Field(() => [ErasureStoreType])
  stores: ErasureStoreType[];

  @Field(() => [String], { description: 'Columns of the own row that were emptied.' })
  columns: string[];

  @Field(() => [ErasedKeyType])
  keys: ErasedKeyType[];

  @Field(() => [ErasureExclusionType])
  exclusions: ErasureExclusionType[];

  @Field(() => String, { description: 'The signed note (c2sp.org/signed-note) that says all this.' })
  note: string;

  @Field(() => String, { description: 'What verifies the note.' })
  verifierKey: string;
}

@ObjectType('LegalHold', { description: 'That the data of a person is evidence, and must not be erased.' })
export class LegalHoldType implements LegalHoldView {
  @Field(() => ID)
  id: string;

  @Field(() => ID)
  patientId: string;

  @Field(() => String)
  matter: string;

  @Field(() => String)
  from: string;

  @Field(() => String)
  placedAt: string;

  @Field(() => ID)
  placedBy: string;

  @Field(() => String, { nullable: true })
  releasedAt: string | null;

  @Field(() => ID, { nullable: true })
  releasedBy: string | null;
}

@ObjectType('ErasureNotice', { description: 'Somebody who has to be told of an erasure, or a backup that has to go.' })
export class ErasureNoticeType implements ErasureNoticeView {
  @Field(() => ID)
  id: string;

  @Field(() => ID)
  erasureId: string;

  @Field(() => ID)
  patientId: string;

  @Field(() => ErasureNoticeKind)
  kind: ErasureNoticeView['kind'];

  @Field(() => ErasureNoticeState)
  state: ErasureNoticeState;

  @Field(() => String, { nullable: true })
  recipientName?: string;

  @Field(() => String, { nullable: true })
  recipientAddress?: string | null;

  @Field(() => String, { nullable: true, description: 'Of the last disclosure to the recipient.' })
  disclosedAt?: string;

  @Field(() => [String], { nullable: true, description: 'What disclosures are on record as at the recipient.' })
  sourceReferences?: string[];

  @Field(() => String, {
    nullable: true,
    description: 'Whom the recipient has to erase; gone when the notice is done.',
  })
  personName?: string | null;

  @Field(() => String, { nullable: true })
  personBirthDate?: string | null;

  @Field(() => ID, { nullable: true })
  exportId: string | null;

  @Field(() => ID, { nullable: true })
  accountId: string | null;

  @Field(() => String)
  dueAt: string;

  @Field(() => String, { nullable: true })
  completedAt: string | null;
}

@ObjectType('ErasureNoticeEdge')
export class ErasureNoticeEdgeType {
  @Field(() => ErasureNoticeType)
  node: ErasureNoticeView;

  @Field(() => String)
  cursor: string;
}

@ObjectType('ErasureNoticeConnection')
export class ErasureNoticeConnectionType {
  @Field(() => [ErasureNoticeEdgeType])
  edges: ErasureNoticeConnection['edges'];

  @Field(() => PageInfoType)
  pageInfo: ErasureNoticeConnection['pageInfo'];
}
