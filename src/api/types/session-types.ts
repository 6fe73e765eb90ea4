import { Field, ID, InputType, ObjectType } from '@nestjs/graphql';

@InputType()
export class SignInInput {
  @Field(() => String)
  tenant: string;

  @Field(() => String)
  email: string;

  @Field(() => String)
  password: string;

  @Field(() => String, { nullable: true, description: 'Six digits of the second factor, or a recovery code.' })
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

@ObjectType()
export class TotpEnrolment {
  @Field(() => String, {
    description: 'Base32. Shown once; the factor counts from the first code that confirmTotp accepts.',
  })
  secret: string;

  @Field(() => String, { description: 'otpauth URI, for a QR code.' })
  uri: string;
}

@ObjectType()
export class RecoveryCodes {
  @Field(() => [String], { description: 'Shown once. Each signs in once in place of a code, and ends other sessions.' })
  codes: string[];
}

@InputType()
export class SatisfyChallengeInput {
  @Field(() => ID)
  id: string;

  @Field(() => String, { description: 'Six digits of the second factor; a recovery code is not enough.' })
  code: string;
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

  @Field(() => [ID], {
    description: "Patients for whom the account may speak: oneself, or those in one's care as a guardian.",
  })
  patientIds: string[];

  @Field(() => Boolean, { description: 'True while a second factor is demanded and was not shown: enrol one first.' })
  factorMissing: boolean;
}
