import { Failure, notFound } from '../../kernel/failure.js';
import { isId, newId } from '../../kernel/identifier.js';
import type { Filter } from '../../operation/criteria.js';
import { checkExportFilter, exportColumns, exportShape } from '../../operation/export-page.js';
import { ExportStore, type ExportFormat, type ExportJobRow, type ExportStatus } from '../../operation/export.store.js';
import { sealFilter } from '../../operation/exports.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';

export interface RequestExportArguments {
  readonly type: 'PATIENTS';
  readonly filter?: Filter | null;
  readonly format: ExportFormat;
  readonly challengeId?: string | null;
}

/** What the requester may know of an export. */
export interface ExportJobView {
  readonly id: string;
  readonly status: ExportStatus;
  readonly rowCount: number | null;
  readonly sha256: string | null;
  readonly downloadUrl: string | null;
  readonly progress: number;
}

/** A running export shows less than this, however many rows came meanwhile. */
const LARGEST_PROGRESS = 0.99;

/**
 * Asks for an export of the patients that the caller may export for the stated purpose. Nothing is read yet: the rows, the
 * masks and the consents are those of the time when the job runs.
 */
export const requestExport = defineOperation<RequestExportArguments, ExportJobView>({
  name: 'requestExport',
  kind: 'EXPORT',
  action: 'export',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, { filter, format }) => {
    const { actor, services, now } = scope;
    const columns = exportColumns(scope, 'Patient');
    if (filter) checkExportFilter(scope, 'Patient', filter);
    const id = newId(now.getTime());
    const job = {
      tenant: actor.tenant,
      id,
      accountId: actor.id,
      sessionId: actor.sessionId,
      purpose: scope.purpose,
      reasonGiven: scope.document.facts.reason !== null,
      type: 'Patient',
      format,
      filter: sealFilter(services.vault, actor.tenant, id, filter ?? null),
      columns,
      shown: exportShape(scope, 'Patient', columns),
    };
    scope.write.unit.insert('export_job', ExportStore.row(job, now));
    return { id, status: 'PENDING', rowCount: null, sha256: null, downloadUrl: null, progress: 0 };
  },
});

/** The state of one's own export. Another's is like none. */
export const getExportJob = defineOperation<{ readonly id: string }, ExportJobView>({
  name: 'exportJob',
  kind: 'READ',
  action: 'export',
  type: 'Patient',
  mode: 'read',
  refusal: 'NOT_FOUND',
  continues: true,
  handler: async (scope, { id }) => viewOf(await ownExport(scope, id), scope.now),
});

/** Stops one's own export, or takes a finished one away. One that is over stays as it is. */
export const cancelExport = defineOperation<{ readonly id: string }, ExportJobView>({
  name: 'cancelExport',
  kind: 'UPDATE',
  action: 'export',
  type: 'Patient',
  mode: 'write',
  refusal: 'NOT_FOUND',
  continues: true,
  handler: async (scope, { id }) => {
    const job = await ownExport(scope, id);
    if (!['PENDING', 'RUNNING', 'READY'].includes(statusOf(job, scope.now))) return viewOf(job, scope.now);
    const { tenant, version } = job;
    scope.write.unit.update('export_job', { tenant, id, version }, { status: 'CANCELLED', lease_until: null });
    scope.write.conflict = new Failure('VERSION_CONFLICT', 'The export went on meanwhile.', 'Cancel it again.');
    return viewOf({ ...job, status: 'CANCELLED' }, scope.now);
  },
});

/** One's own export. NOT_FOUND for everything else. */
export async function ownExport(scope: Scope, id: string): Promise<ExportJobRow> {
  const { tenant, id: account } = scope.actor;
  const job = isId(id) ? await new ExportStore(scope.services.database).find(tenant, id, account) : null;
  if (job === null) throw notFound();
  return job;
}

/** A finished export whose time is over is expired, whether or not its file was deleted yet. */
export function statusOf({ status, expiresAt }: ExportJobRow, now: Date): ExportStatus {
  return status === 'READY' && expiresAt !== null && expiresAt <= now ? 'EXPIRED' : status;
}

function viewOf(job: ExportJobRow, now: Date): ExportJobView {
  const status = statusOf(job, now);
  const done = job.sha256 !== null;
  return {
    id: job.id,
    status,
    rowCount: done ? job.rowsWritten : null,
    sha256: job.sha256?.toString('hex') ?? null,
    downloadUrl: status === 'READY' ? `/exports/${job.id}` : null,
    progress: done ? 1 : Math.min(LARGEST_PROGRESS, job.rowsWritten / Math.max(1, job.rowsExpected ?? Infinity)),
  };
}
