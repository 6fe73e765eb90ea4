import { Args, Context, ID, Resolver, Subscription } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { appointmentChanged } from '../domain/appointment/appointment-changed.js';
import { Appointment } from '../domain/appointment/appointment.js';
import type { Document } from '../operation/document.js';
import { Notices } from '../operation/notices.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import { selectionOf } from './selection.js';

/** Begins a subscription (the method) and answers its pushes (`resolve`, with the id of what changed as the root value). */
@Resolver(() => Appointment)
export class AppointmentSubscriptionResolver {
  constructor(
    private readonly operations: Operations,
    private readonly notices: Notices,
  ) {}

  @Subscription(() => Appointment, {
    description: 'Each appointment of the patient that changes, as far as the caller may see it at that moment.',
    resolve(
      this: AppointmentSubscriptionResolver,
      id: string,
      { patientId }: { patientId: string },
      { document }: { document: Document },
      info: GraphQLResolveInfo,
    ) {
      const asked = selectionOf(info, 'Appointment');
      const selection = { ...asked, fields: new Set([...asked.fields, 'patientId']) };
      return this.operations.run(appointmentChanged, document, { patientId, id }, selection);
    },
  })
  async appointmentChanged(
    @Context('document') document: Document,
    @Args('patientId', { type: () => ID }) patientId: string,
  ) {
    await this.operations.run(appointmentChanged, document, { patientId, id: null }, selectFields());
    return this.notices.subscribe(document.requireActor().tenant, 'Appointment', patientId);
  }
}
