import { Field, ID, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { LedgerDetailChange } from '../../operation/detail-view.js';
import type { OpenedLedgerDetail } from '../../operation/ledger-detail.js';

export enum LedgerDetailState {
  CLEAR = 'CLEAR',
  ERASED = 'ERASED',
  NONE = 'NONE',
}
registerEnumType(LedgerDetailState, {
  name: 'LedgerDetailState',
  description: 'CLEAR: opened. ERASED: taken away by an erasure. NONE: the entry has no details.',
});

@ObjectType('LedgerDetailChange', { description: 'One field of a row that a write changed.' })
export class LedgerDetailChangeType implements LedgerDetailChange {
  @Field(() => String)
  type: string;

  @Field(() => ID)
  id: string;

  @Field(() => String)
  field: string;

  @Field(() => String, { description: 'CLEAR, MASKED or HIDDEN: what the policy lets you see of the two values.' })
  state: LedgerDetailChange['state'];

  @Field(() => String, { nullable: true, description: 'Null where the row was created.' })
  before: string | null;

  @Field(() => String, { nullable: true })
  after: string | null;
}

@ObjectType({ description: 'What happened in clear beside an entry of the ledger, masked like everything else.' })
export class LedgerDetail implements OpenedLedgerDetail {
  @Field(() => Int)
  index: number;

  @Field(() => LedgerDetailState)
  state: OpenedLedgerDetail['state'];

  @Field(() => String, { nullable: true, description: 'Address of the client; null for commands and jobs.' })
  address: string | null;

  @Field(() => String, { nullable: true, description: 'JSON: a list of {"operation", "input"}. Secrets are not kept.' })
  variables: string | null;

  @Field(() => [LedgerDetailChangeType])
  changes: readonly LedgerDetailChange[];
}
