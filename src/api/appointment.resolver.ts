import { Args, Context, Info, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import {
  appointmentConsentForm,
  appointmentInformedConsent,
  appointmentPatient,
  appointmentPractitioner,
} from '../domain/appointment/appointment-references.js';
import { Appointment } from '../domain/appointment/appointment.js';
import { bookAppointment } from '../domain/appointment/book-appointment.js';
import { cancelAppointment } from '../domain/appointment/cancel-appointment.js';
import { confirmAppointment } from '../domain/appointment/confirm-appointment.js';
import { listAppointments, listPatientAppointments } from '../domain/appointment/list-appointments.js';
import { rescheduleAppointment } from '../domain/appointment/reschedule-appointment.js';
import { ConsentForm } from '../domain/informed-consent/consent-form.js';
import { InformedConsent } from '../domain/informed-consent/informed-consent.js';
import { listConsentForms } from '../domain/informed-consent/list-consent-forms.js';
import { publishConsentForm } from '../domain/informed-consent/publish-consent-form.js';
import { signInformedConsent } from '../domain/informed-consent/sign-informed-consent.js';
import { Patient } from '../domain/patient/patient.js';
import { Practitioner } from '../domain/practitioner/practitioner.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import type { View } from '../operation/view.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import {
  AppointmentVersionArguments,
  BookAppointmentInput,
  PublishConsentFormInput,
  RescheduleAppointmentArgumentsType,
  SignInformedConsentInput,
} from './types/appointment-inputs.js';
import { connectionType, PageArgumentsType } from './types/connection-types.js';
import { listArguments, type ListArgumentsType } from './types/criteria-types.js';

const AppointmentConnection = connectionType(Appointment);
const AppointmentListArguments = listArguments(Appointment);
const ConsentFormConnection = connectionType(ConsentForm);
const ConsentFormListArguments = listArguments(ConsentForm);

@Resolver(() => Appointment)
export class AppointmentResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => AppointmentConnection)
  appointments(
    @Context('document') document: Document,
    @Args({ type: () => AppointmentListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listAppointments, document, input, connectionSelectionOf(info, 'Appointment'));
  }

  @Mutation(() => Appointment)
  bookAppointment(
    @Context('document') document: Document,
    @Args('input') input: BookAppointmentInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(bookAppointment, document, input, selectionOf(info, 'Appointment'));
  }

  @Mutation(() => Appointment)
  rescheduleAppointment(
    @Context('document') document: Document,
    @Args() input: RescheduleAppointmentArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(rescheduleAppointment, document, input, selectionOf(info, 'Appointment'));
  }

  @Mutation(() => Appointment)
  confirmAppointment(
    @Context('document') document: Document,
    @Args() input: AppointmentVersionArguments,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(confirmAppointment, document, input, selectionOf(info, 'Appointment'));
  }

  @Mutation(() => Appointment)
  cancelAppointment(
    @Context('document') document: Document,
    @Args() input: AppointmentVersionArguments,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(cancelAppointment, document, input, selectionOf(info, 'Appointment'));
  }

  @ResolveField(() => Patient, { nullable: true })
  patient(@Context('document') document: Document, @Parent() one: Appointment, @Info() info: GraphQLResolveInfo) {
    return this.operations.run(appointmentPatient, document, { id: one.patientId }, selectionOf(info, 'Patient'));
  }

  @ResolveField(() => Practitioner, { nullable: true })
  practitioner(@Context('document') document: Document, @Parent() one: Appointment, @Info() info: GraphQLResolveInfo) {
    const selection = selectionOf(info, 'Practitioner');
    return this.operations.run(appointmentPractitioner, document, { id: one.practitionerId }, selection);
  }

  @ResolveField(() => ConsentForm, { nullable: true })
  consentForm(@Context('document') document: Document, @Parent() one: Appointment, @Info() info: GraphQLResolveInfo) {
    const selection = selectionOf(info, 'ConsentForm');
    return this.operations.run(appointmentConsentForm, document, { id: one.consentFormId }, selection);
  }

  @ResolveField(() => InformedConsent, { nullable: true })
  informedConsent(
    @Context('document') document: Document,
    @Parent() one: Appointment,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = selectionOf(info, 'InformedConsent');
    return this.operations.run(appointmentInformedConsent, document, { id: one.informedConsentId }, selection);
  }
}

/** The appointments of a patient, where the document starts from the patient. */
@Resolver(() => Patient)
export class PatientAppointmentsResolver {
  constructor(private readonly operations: Operations) {}

  @ResolveField(() => AppointmentConnection, { nullable: true })
  appointments(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'Appointment');
    return this.operations.run(listPatientAppointments, document, { patient, ...page }, selection);
  }
}

@Resolver(() => InformedConsent)
export class InformedConsentResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => ConsentFormConnection)
  consentForms(
    @Context('document') document: Document,
    @Args({ type: () => ConsentFormListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listConsentForms, document, input, connectionSelectionOf(info, 'ConsentForm'));
  }

  @Mutation(() => ConsentForm)
  publishConsentForm(
    @Context('document') document: Document,
    @Args('input') input: PublishConsentFormInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(publishConsentForm, document, input, selectionOf(info, 'ConsentForm'));
  }

  @Mutation(() => InformedConsent)
  signInformedConsent(
    @Context('document') document: Document,
    @Args('input') input: SignInformedConsentInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(signInformedConsent, document, input, selectionOf(info, 'InformedConsent'));
  }
}
