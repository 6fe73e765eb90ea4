import { Args, Context, Query, Resolver } from '@nestjs/graphql';
import { patientCounts } from '../domain/patient/count-patients.js';
import type { Countable } from '../operation/count-dimensions.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import { PatientCounts, PatientDimension } from './types/aggregate-types.js';

@Resolver()
export class AggregateResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => PatientCounts, {
    description: 'How many patients there are, by two dimensions at most; nothing of a group that is too small.',
  })
  patientCounts(
    @Context('document') document: Document,
    @Args('by', { type: () => [PatientDimension] }) by: Countable[],
  ) {
    return this.operations.run(patientCounts, document, { by }, selectFields());
  }
}
