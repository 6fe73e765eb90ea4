import { Module, type DynamicModule } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import { CareTeamResolver, DiagnosisResolver, VisitResolver } from './api/clinical.resolver.js';
import { graphqlOptions } from './api/graphql-options.js';
import { HealthController } from './api/health.controller.js';
import { PatientResolver } from './api/patient.resolver.js';
import { Readiness } from './api/readiness.js';
import { RequestDocuments } from './api/request-document.js';
import { SessionResolver } from './api/session.resolver.js';
import type { Composition } from './composition.js';
import { Operations } from './operation/run.js';
import { Sessions } from './operation/sessions.js';
import { Log } from './telemetry/log.js';
import { Metrics } from './telemetry/metrics.js';

/** The resolvers of the API: also what the schema is generated from. */
export const resolvers = [SessionResolver, PatientResolver, VisitResolver, DiagnosisResolver, CareTeamResolver];

/** The Nest side of the composition root: one flat list of providers. */
@Module({})
export class AppModule {
  static of(composition: Composition, services: { log: Log; metrics: Metrics; introspection: boolean }): DynamicModule {
    const { operations, sessions, answering, identity, ledger } = composition;
    const documents = new RequestDocuments(identity);
    return {
      module: AppModule,
      imports: [GraphQLModule.forRoot(graphqlOptions(documents, answering, services, services))],
      controllers: [HealthController],
      providers: [
        ...resolvers,
        { provide: Operations, useValue: operations },
        { provide: Sessions, useValue: sessions },
        { provide: Metrics, useValue: services.metrics },
        { provide: Log, useValue: services.log },
        { provide: Readiness, useValue: new Readiness(ledger) },
      ],
    };
  }
}
