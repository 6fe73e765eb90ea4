import { Args, Context, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { cancelExport, getExportJob, requestExport } from '../domain/patient/export-request.js';
import type { Document } from '../operation/document.js';
import { Exports } from '../operation/exports.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import { ExportJob, RequestExportInput } from './types/export-types.js';

/** An export has no governed fields of its own. */
const NOTHING: Selection = selectFields();

@Resolver(() => ExportJob)
export class ExportResolver {
  constructor(
    private readonly operations: Operations,
    private readonly exports: Exports,
  ) {}

  @Query(() => ExportJob, { nullable: true })
  exportJob(@Context('document') document: Document, @Args('id', { type: () => ID }) id: string) {
    return this.operations.run(getExportJob, document, { id }, NOTHING);
  }

  /** Announced when it is committed. Whether that succeeds is no matter: the worker looks at the table too. */
  @Mutation(() => ExportJob)
  async requestExport(@Context('document') document: Document, @Args('input') input: RequestExportInput) {
    const job = await this.operations.run(requestExport, document, input, NOTHING);
    await this.exports.announce(document.requireActor().tenant, job.id).catch(() => undefined);
    return job;
  }

  @Mutation(() => ExportJob, { nullable: true })
  cancelExport(@Context('document') document: Document, @Args('id', { type: () => ID }) id: string) {
    return this.operations.run(cancelExport, document, { id }, NOTHING);
  }
}
