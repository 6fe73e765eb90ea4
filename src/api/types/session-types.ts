import { Field, ID, InputType, ObjectType } from '@nestjs/graphql';

@InputType()
export class SignInInput {
  @Field(() => String)
  tenant: string;

  @Field(() => String)
  email: string;

  @Field(() => String)
  password: string;

  @Field(() => String, { nullable: true, description: 'The code of the second factor, where the account has one.' })
  code: string | null;
}

@ObjectType()
export class Session {
  @Field(() => String)
  accessToken: string;

  @Field(() => String, { description: 'Good for one refresh. Using it twice ends the session.' })
  refreshToken: string;

  @Field(() => String, { description: 'When the access token ends (RFC 3339).' })
  expiresAt: string;
}

@ObjectType('Me')
export class MeType {
  @Field(() => ID)
  id: string;

  @Field(() => String)
  tenant: string;

  @Field(() => String)
  role: string;

  @Field(() => [String], { description: 'Purposes that may be sent as X-Purpose-Of-Use.' })
  purposes: string[];
}
