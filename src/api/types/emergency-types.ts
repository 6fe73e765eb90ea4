import { ArgsType, Field, ID, InputType, registerEnumType } from '@nestjs/graphql';
import {
  GrantableCompartment,
  GrantReason,
  type GrantCompartmentArguments,
} from '../../domain/compartment-grant/grant-compartment.js';
import { EmergencyReason, type BreakGlassArguments } from '../../domain/emergency-access/break-glass.js';
import {
  EmergencyOutcome,
  EmergencyState,
  type ReviewEmergencyAccessArguments,
} from '../../domain/emergency-access/review-emergency-access.js';
import { PageArgumentsType } from './connection-types.js';

registerEnumType(GrantableCompartment, { name: 'Compartment', description: 'A special compartment of records.' });
registerEnumType(GrantReason, { name: 'CompartmentGrantReason', description: 'Why a compartment is granted.' });
registerEnumType(EmergencyReason, { name: 'EmergencyReason', description: 'Why the glass is broken.' });
registerEnumType(EmergencyOutcome, { name: 'EmergencyOutcome', description: 'What the review of an access found.' });
registerEnumType(EmergencyState, {
  name: 'EmergencyState',
  description: 'Open: it opens something now. Due: over, and not reviewed. Overdue: not reviewed in time.',
});

const CHALLENGE = 'The challenge of STEP_UP_REQUIRED, satisfied.';

@InputType()
export class GrantCompartmentInput implements GrantCompartmentArguments {
  @Field(() => ID, { description: 'The account of a physician or a nurse: the id that "me" shows there.' })
  accountId: string;

  @Field(() => ID)
  patientId: string;

  @Field(() => GrantableCompartment)
  compartment: GrantableCompartment;

  @Field(() => ID, {
    nullable: true,
    description: 'One visit of the patient: then it opens that visit and what was diagnosed there, and nothing else.',
  })
  visitId?: string | null;

  @Field(() => GrantReason)
  reasonCode: GrantReason;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone; now where it is left out.' })
  validFrom?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'RFC 3339 with a zone; 30 days where it is left out, 365 at most.',
  })
  validUntil?: string | null;

  @Field(() => ID, { nullable: true, description: CHALLENGE })
  challengeId?: string | null;
}

@InputType()
export class BreakGlassInput implements BreakGlassArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => EmergencyReason)
  reasonCode: EmergencyReason;

  @Field(() => ID, { nullable: true, description: CHALLENGE })
  challengeId?: string | null;
}

@ArgsType()
export class EmergencyAccessesArguments extends PageArgumentsType {
  @Field(() => EmergencyState, { nullable: true })
  state: EmergencyState | null;
}

@ArgsType()
export class ReviewEmergencyAccessArgumentsType implements ReviewEmergencyAccessArguments {
  @Field(() => ID)
  id: string;

  @Field(() => EmergencyOutcome)
  outcome: EmergencyOutcome;

  @Field(() => String, { description: 'What was found, for the file.' })
  note: string;
}
