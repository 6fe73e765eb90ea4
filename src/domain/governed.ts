import { Field, ID, InterfaceType, ObjectType, registerEnumType } from '@nestjs/graphql';

export enum FieldState {
  CLEAR = 'CLEAR',
  MASKED = 'MASKED',
  HIDDEN = 'HIDDEN',
  ERASED = 'ERASED',
}
registerEnumType(FieldState, {
  name: 'FieldState',
  description: 'How much of a field the caller may see for the stated purpose. Never why.',
});

@ObjectType({ description: 'What the caller sees of one field of this record.' })
export class FieldAccess {
  @Field(() => String)
  field: string;

  @Field(() => FieldState)
  state: FieldState;

  @Field(() => String, { nullable: true, description: 'The masking function, when the state is MASKED.' })
  mask: string | null;
}

/** Fields of records that carry no value of the record: who they are shown to is decided elsewhere. */
export const UNGOVERNED_FIELDS: ReadonlySet<string> = new Set(['fieldAccess', 'uploadUrl']);

/** A record under policy. `fieldAccess` lists every governed field of the type, selected or not, whether or not it has a value. */
@InterfaceType({
  description: 'A record under policy.',
  resolveType: (view: { readonly __typename: string }) => view.__typename,
})
export abstract class Governed {
  @Field(() => ID)
  id: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];
}
