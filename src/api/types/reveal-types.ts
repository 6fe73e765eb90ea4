import { ArgsType, Field, ID, ObjectType } from '@nestjs/graphql';

@ObjectType()
export class RevealedField {
  @Field()
  field: string;

  @Field(() => String, { nullable: true })
  value: string | null;
}

@ObjectType({ description: 'One data group of one record in clear: what the caller may read of it only under a mask.' })
export class Revealed {
  @Field(() => ID)
  id: string;

  @Field()
  type: string;

  @Field(() => [RevealedField])
  fields: RevealedField[];
}

@ArgsType()
export class RevealArgumentsType {
  @Field({ description: 'Type of the record, such as Patient.' })
  type: string;

  @Field(() => ID)
  id: string;

  @Field({ description: 'Data group, such as contact.' })
  fieldSet: string;

  @Field(() => ID, { nullable: true, description: 'A satisfied challenge, where the policy demands a second factor.' })
  challengeId?: string | null;
}
