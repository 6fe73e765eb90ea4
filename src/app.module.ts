import { Module, type DynamicModule } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import {
  AppointmentResolver,
  InformedConsentResolver,
  PatientAppointmentsResolver,
} from './api/appointment.resolver.js';
import { AppointmentSubscriptionResolver } from './api/appointment-subscription.resolver.js';
import { AttachmentController } from './api/attachment.controller.js';
import { AttachmentResolver, PatientAttachmentsResolver } from './api/attachment.resolver.js';
import { CareTeamResolver, DiagnosisResolver, VisitResolver } from './api/clinical.resolver.js';
import { GovernedHttp } from './api/governed-http.js';
import { ConsentResolver, PatientRightsResolver, RelatedPersonResolver } from './api/consent.resolver.js';
import { DisclosureResolver, PatientDisclosuresResolver } from './api/disclosure.resolver.js';
import { CompartmentGrantResolver, EmergencyAccessResolver } from './api/emergency.resolver.js';
import { ErasureResolver } from './api/erasure.resolver.js';
import { ExportController } from './api/export.controller.js';
import { ExportResolver } from './api/export.resolver.js';
import { graphqlOptions } from './api/graphql-options.js';
import { HealthController } from './api/health.controller.js';
import { LedgerController } from './api/ledger.controller.js';
import { LedgerResolver } from './api/ledger.resolver.js';
import { LedgerDetailResolver } from './api/ledger-detail.resolver.js';
import { AggregateResolver } from './api/aggregate.resolver.js';
import { PatientResolver } from './api/patient.resolver.js';
import { PolicyProofResolver } from './api/policy-proof.resolver.js';
import { PolicyResolver } from './api/policy.resolver.js';
import { Readiness } from './api/readiness.js';
import { RequestDocuments, type Deployment } from './api/request-document.js';
import { RevealResolver } from './api/reveal.resolver.js';
import { SessionResolver } from './api/session.resolver.js';
import type { Composition } from './composition.js';
import { Exports } from './operation/exports.js';
import { Notices } from './operation/notices.js';
import { Operations } from './operation/run.js';
import { Sessions } from './operation/sessions.js';
import { Log } from './telemetry/log.js';
import { Metrics } from './telemetry/metrics.js';

/** The resolvers of the API: also what the schema is generated from. */
export const resolvers = [
  SessionResolver,
  PatientResolver,
  AggregateResolver,
  VisitResolver,
  DiagnosisResolver,
  CareTeamResolver,
  ConsentResolver,
  RelatedPersonResolver,
  PatientRightsResolver,
  AppointmentResolver,
  AppointmentSubscriptionResolver,
  PatientAppointmentsResolver,
  InformedConsentResolver,
  AttachmentResolver,
  PatientAttachmentsResolver,
  ExportResolver,
  LedgerResolver,
  DisclosureResolver,
  PatientDisclosuresResolver,
  LedgerDetailResolver,
  PolicyResolver,
  PolicyProofResolver,
  CompartmentGrantResolver,
  EmergencyAccessResolver,
  RevealResolver,
  ErasureResolver,
];

/** The Nest side of the composition root: one flat list of providers. */
@Module({})
export class AppModule {
  static of(composition: Composition, services: { log: Log; metrics: Metrics; deployment: Deployment }): DynamicModule {
    const { operations, sessions, answering, identity, ledger, notices } = composition;
    const documents = new RequestDocuments(identity, services.deployment);
    return {
      module: AppModule,
      imports: [GraphQLModule.forRoot(graphqlOptions(documents, answering, services, services.deployment))],
      controllers: [HealthController, AttachmentController, ExportController, LedgerController],
      providers: [
        ...resolvers,
        { provide: Operations, useValue: operations },
        { provide: Notices, useValue: notices },
        { provide: Exports, useValue: composition.exports },
        { provide: Sessions, useValue: sessions },
        { provide: Metrics, useValue: services.metrics },
        { provide: Log, useValue: services.log },
        { provide: GovernedHttp, useValue: new GovernedHttp(documents, answering, services) },
        { provide: Readiness, useValue: new Readiness(ledger, composition.policy, composition.keyAgent) },
      ],
    };
  }
}
