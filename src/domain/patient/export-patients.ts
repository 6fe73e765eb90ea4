import { defineOperation } from '../../operation/operation.js';
import { countExport, readChunk, type Chunk, type ChunkArguments } from '../../operation/export-page.js';

export interface ExportChunkArguments extends ChunkArguments {
  /** True for the first chunk: how many rows are to be expected is counted with it. */
  readonly count: boolean;
}
export type CountedChunk = Chunk & { readonly expected: number | null };

/** The next rows of an export: the work of a job, as its requester and under today's policy. One record for each chunk. */
export const exportPatients = defineOperation<ExportChunkArguments, CountedChunk>({
  name: 'exportPatients',
  kind: 'EXPORT',
  action: 'export',
  type: 'Patient',
  mode: 'read',
  continues: true,
  handler: async (scope, input) => ({
    expected: input.count ? await countExport(scope, 'Patient', input.filter) : null,
    ...(await readChunk(scope, 'Patient', input)),
  }),
});
