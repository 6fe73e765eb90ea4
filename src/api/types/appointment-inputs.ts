import { ArgsType, Field, ID, InputType, Int } from '@nestjs/graphql';
import type { BookAppointmentArguments } from '../../domain/appointment/book-appointment.js';
import type { RescheduleAppointmentArguments } from '../../domain/appointment/reschedule-appointment.js';
import type { PublishConsentFormArguments } from '../../domain/informed-consent/publish-consent-form.js';
import type { SignInformedConsentArguments } from '../../domain/informed-consent/sign-informed-consent.js';

@InputType()
export class BookAppointmentInput implements BookAppointmentArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { description: 'RFC 3339 with a zone; in the future.' })
  start: string;

  @Field(() => String, { description: 'RFC 3339 with a zone; after the start.' })
  end: string;

  @Field(() => String, { nullable: true })
  department?: string | null;

  @Field(() => String, { nullable: true })
  reason?: string | null;

  @Field(() => ID, { nullable: true })
  practitionerId?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'A consent form that must be signed before this appointment can be confirmed.',
  })
  consentFormId?: string | null;
}

/** An appointment as the caller saw it last. */
@ArgsType()
export class AppointmentVersionArguments {
  @Field(() => ID)
  id: string;

  @Field(() => Int)
  version: number;
}

@ArgsType()
export class RescheduleAppointmentArgumentsType
  extends AppointmentVersionArguments
  implements RescheduleAppointmentArguments
{
  @Field(() => String, { description: 'RFC 3339 with a zone; in the future.' })
  start: string;

  @Field(() => String, { description: 'RFC 3339 with a zone; after the start.' })
  end: string;
}

@InputType()
export class PublishConsentFormInput implements PublishConsentFormArguments {
  @Field(() => String, { description: 'Names what is consented to, whatever the version and the language.' })
  code: string;

  @Field(() => String)
  textVersion: string;

  @Field(() => String, { description: 'BCP 47, such as zh-CN.' })
  language: string;

  @Field(() => String)
  title: string;

  @Field(() => String)
  text: string;
}

@InputType()
export class SignInformedConsentInput implements SignInformedConsentArguments {
  @Field(() => ID)
  appointmentId: string;

  @Field(() => String, { description: 'SHA-256 of the text that was shown, hexadecimal.' })
  textHash: string;

  @Field(() => ID, { nullable: true, description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED.' })
  challengeId?: string | null;
}
