import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { ListArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';
import { demandTexts, pastInstantOf, refuse } from './statement.js';

export interface RecordResearchProtocolArguments {
  readonly name: string;
  readonly description: string;
  readonly criteria: string;
  readonly types: string;
  /** RFC 3339 with a zone: the first and the last disclosure. */
  readonly disclosedFrom: string;
  readonly disclosedTo: string;
  readonly persons: number;
  readonly sponsorName: string;
  readonly sponsorAddress: string;
  readonly sponsorPhone: string;
  readonly researcherName: string;
  readonly researcherAddress: string;
  readonly researcherPhone: string;
}

/** From so many persons on, the accounting may name the research instead of each disclosure (45 CFR 164.528(b)(4)). */
const LEAST_PERSONS = 50;

/** Records research for which records of 50 or more persons were disclosed. All that the law lists is demanded. */
export const recordResearchProtocol = defineOperation<RecordResearchProtocolArguments, View>({
  name: 'recordResearchProtocol',
  kind: 'CREATE',
  action: 'create',
  type: 'ResearchProtocol',
  mode: 'write',
  handler: (scope, { disclosedFrom: first, disclosedTo: last, persons, ...texts }) => {
    demandTexts('ResearchProtocol', texts);
    const disclosedFrom = pastInstantOf('ResearchProtocol.disclosedFrom', first, scope.now);
    const disclosedTo = pastInstantOf('ResearchProtocol.disclosedTo', last, scope.now);
    if (disclosedTo < disclosedFrom) {
      throw refuse('ResearchProtocol.disclosedTo', 'is before the first disclosure', 'Correct the period.');
    }
    if (persons < LEAST_PERSONS) {
      const nextStep = 'Record a disclosure for each person instead.';
      throw refuse('ResearchProtocol.persons', `is less than ${LEAST_PERSONS}`, nextStep);
    }
    const values = { ...texts, disclosedFrom, disclosedTo, persons };
    return Promise.resolve(scope.write.create('ResearchProtocol', values).view);
  },
});

/** The protocols of the tenant, newest first unless sorted otherwise. */
export const listResearchProtocols = defineOperation<ListArguments, Connection>({
  name: 'researchProtocols',
  kind: 'SEARCH',
  action: 'read',
  type: 'ResearchProtocol',
  mode: 'read',
  handler: (scope, input) => scope.list('ResearchProtocol', input),
});
