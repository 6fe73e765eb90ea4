import type { RequestFacts } from '../../kernel/actor.js';
import { Failure, notFound } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import type { Document } from '../../operation/document.js';
import { exportShape, showsAsMuch } from '../../operation/export-page.js';
import type { ExportFiles } from '../../operation/export-file.js';
import type { ExportJobRow } from '../../operation/export.store.js';
import type { Exports } from '../../operation/exports.js';
import { defineOperation } from '../../operation/operation.js';
import type { Operations } from '../../operation/run.js';
import { selectFields } from '../../operation/selection.js';
import { ownExport, statusOf } from './export-request.js';

export interface FinishExportArguments {
  /** As the work claimed it, with all that was written. */
  readonly job: ExportJobRow;
  readonly sha256: Buffer;
}

const LIFETIME_MILLISECONDS = 24 * 3_600_000;

/** The end of the work on an export: from here on it can be fetched, once. */
export const finishExport = defineOperation<FinishExportArguments, null>({
  name: 'finishExport',
  kind: 'EXPORT',
  action: 'export',
  type: 'Patient',
  mode: 'write',
  continues: true,
  withheld: ['job'],
  handler: async (scope, { job, sha256 }) => {
    const { tenant, id, version } = job;
    scope.write.unit.update(
      'export_job',
      { tenant, id, version },
      {
        status: 'READY',
        lease_until: null,
        rows_written: job.rowsWritten,
        plain_bytes: job.plainBytes,
        file_version: job.fileVersion,
        file_bytes: job.fileBytes,
        file_frames: job.fileFrames,
        sha256,
        expires_at: new Date(scope.now.getTime() + LIFETIME_MILLISECONDS),
      },
    );
    scope.write.detail = { key: `export:${id}`, sha256: sha256.toString('hex') };
    return null;
  },
});

/** The one claim of a finished export. Its record is durable before the first byte leaves. */
const downloadExport = defineOperation<{ readonly id: string }, ExportJobRow>({
  name: 'downloadExport',
  kind: 'DISCLOSE',
  action: 'export',
  type: 'Patient',
  mode: 'write',
  continues: true,
  handler: async (scope, { id }) => {
    const job = await ownExport(scope, id);
    const { tenant, version, sha256 } = job;
    const status = statusOf(job, scope.now);
    if (status === 'PENDING' || status === 'RUNNING') throw notFound('NOT_READY');
    if (status !== 'READY' || sha256 === null) throw gone();
    // The file is as the policy was when it was made: one that would show less now does not leave.
    const shown = exportShape(scope, 'Patient', job.columns);
    if (job.shown !== null && !showsAsMuch(shown, job.shown)) throw gone();
    scope.write.unit.update('export_job', { tenant, id, version }, { status: 'DOWNLOADED' });
    scope.write.detail = { key: `export:${id}`, sha256: sha256.toString('hex') };
    scope.write.conflict = gone();
    return job;
  },
});

export interface Delivery {
  readonly job: ExportJobRow;
  /** The clear bytes; INTEGRITY_FAILED in the middle breaks off. The file is deleted when they end, in whatever way. */
  readonly bytes: AsyncGenerator<Buffer>;
}

/**
 * Claims one's own export and opens its file. The purpose is the one that was stated when it was asked for: a download has
 * none of its own. A file that is not there is told before the claim, so that it costs nothing. The caller makes the
 * records of the document durable before he takes a byte.
 */
export async function deliverExport(
  operations: Operations,
  { store, files }: Exports,
  document: Document,
  id: string,
): Promise<Delivery> {
  const actor = document.requireActor();
  const known = isId(id) ? await store.find(actor.tenant, id, actor.id) : null;
  if (known === null) throw refusedUnknown(document);
  document.facts = { ...factsOf(known, document.facts.requestId), clientAddress: document.facts.clientAddress };
  if (known.status === 'READY') await files.check(known);
  const job = await operations.run(downloadExport, document, { id }, selectFields());
  return { job, bytes: deletedAfterwards(files, job) };
}

async function* deletedAfterwards(files: ExportFiles, job: ExportJobRow): AsyncGenerator<Buffer> {
  try {
    yield* files.read(job);
  } finally {
    await files.remove(job);
  }
}

/** The circumstances under which an export was asked for, for the work that goes on with it. */
export function factsOf(job: ExportJobRow, requestId: string): RequestFacts {
  const reason = job.reasonGiven ? 'given with the request' : null;
  return { requestId, purpose: job.purpose, reason, idempotencyKey: null, clientAddress: null };
}

function refusedUnknown(document: Document): Failure {
  const { name: operation, kind } = downloadExport;
  document.record({ ...document.frame(), operation, kind, outcome: 'denied', code: 'NOT_FOUND', accesses: [] });
  return notFound();
}

function gone(): Failure {
  return new Failure(
    'GONE',
    'The export was fetched or cancelled, its time is over, or it shows more than you may see now.',
    'Ask for a new export.',
  );
}
