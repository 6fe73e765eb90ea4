import { factsOf, finishExport } from '../domain/patient/export-delivery.js';
import { exportPatients, type CountedChunk } from '../domain/patient/export-patients.js';
import type { Identity } from '../identity/identity.js';
import type { Actor } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { Failure, type FailureCode } from '../kernel/failure.js';
import { bareDraft } from '../ledger/record.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { Details } from '../operation/details.js';
import { Document } from '../operation/document.js';
import type { ExportFile } from '../operation/export-file.js';
import type { ExportJobRow, ExportPosition, ExportProgress } from '../operation/export.store.js';
import { openFilter, type Exports } from '../operation/exports.js';
import type { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import type { Vault } from '../vault/vault.js';
import { exportText } from './export-format.js';

export interface ExportWorkServices {
  readonly operations: Operations;
  readonly identity: Pick<Identity, 'actorOf'>;
  readonly exports: Exports;
  readonly ledger: LedgerWriter;
  readonly vault: Vault;
  readonly details: Details;
  readonly clock: Clock;
}

const LEASE_MILLISECONDS = 10_000;
const MOST_ATTEMPTS = 10;
/** One is asked for, one is opened, one is written: each waits for something else. */
const CHUNKS_AHEAD = 3;
/** What another try would not change. */
const FINAL = new Set<FailureCode>([
  'FORBIDDEN',
  'PURPOSE_REQUIRED',
  'PURPOSE_NOT_PERMITTED',
  'STEP_UP_REQUIRED',
  'FIELD_NOT_FILTERABLE',
  'QUERY_COST_EXCEEDED',
  'BAD_USER_INPUT',
  'INTEGRITY_FAILED',
]);

interface ReadChunk {
  readonly document: Document;
  readonly chunk: CountedChunk;
}

/** Somebody else works on it, or took it away: what this run still holds is worth nothing. */
class ClaimLost extends Error {}

/**
 * The work on one export: as its requester, chunk by chunk, each read under the policy and the consents of that moment. The
 * record of a chunk is durable before its rows are sealed into the file; then the progress is committed, and a run that was
 * killed goes on behind the last commit. Holds a few chunks in memory, however large the export.
 */
export class ExportWork {
  constructor(private readonly services: ExportWorkServices) {}

  /** Works on an export until it ends. Throws when it is to be tried again. */
  async run(tenant: string, id: string, stopping: AbortSignal): Promise<void> {
    const { store, files } = this.services.exports;
    const { clock } = this.services;
    const job = await store.claim(tenant, id, clock.now(), this.leaseUntil());
    if (job === null) return this.refuseHeld(tenant, id);
    try {
      if (job.attempts > MOST_ATTEMPTS) throw new Failure('FORBIDDEN', 'The export failed too often.', 'Ask again.');
      const done = await this.write(job, stopping);
      await files.remove(done, done.fileVersion);
    } catch (error) {
      if (error instanceof ClaimLost) return this.giveUp(job);
      if (error instanceof Failure && FINAL.has(error.code)) return this.fail(job);
      await store.release(job).catch(() => undefined);
      throw error;
    }
  }

  /** A message that comes while another run holds the export must come again: that run may be dead. */
  private async refuseHeld(tenant: string, id: string): Promise<void> {
    const job = await this.services.exports.store.find(tenant, id);
    if (job?.status === 'PENDING' || job?.status === 'RUNNING') throw new Error('The export is held by another run.');
  }

  private async write(claimed: ExportJobRow, stopping: AbortSignal): Promise<ExportJobRow> {
    const { file, job } = await this.begin(claimed);
    try {
      const finished = await this.writeChunks(job, file, stopping);
      const sha256 = await file.finish();
      const done = { ...finished, ...counted(finished, file, finished.rowsWritten, finished.last) };
      const document = await this.document(done);
      try {
        await this.services.operations.run(finishExport, document, { job: done, sha256 }, selectFields());
      } catch (error) {
        throw error instanceof Failure && error.code === 'VERSION_CONFLICT' ? new ClaimLost() : error;
      } finally {
        await document.flush(this.services.ledger, this.services.details);
      }
      return done;
    } finally {
      await file.close();
    }
  }

  /** The file to write on, and the job as it stands there: behind the last commit, or at its beginning when that is gone. */
  private async begin(claimed: ExportJobRow): Promise<{ file: ExportFile; job: ExportJobRow }> {
    const { files } = this.services.exports;
    const resumed = claimed.fileFrames === 0 ? null : await files.resume(claimed);
    if (resumed !== null) return { file: resumed, job: claimed };
    const file = await files.create(claimed);
    await file.append(Buffer.from(exportText(claimed.format, claimed.columns).head));
    return { file, job: { ...claimed, rowsExpected: null, rowsWritten: 0, last: null } };
  }

  private async writeChunks(job: ExportJobRow, file: ExportFile, stopping: AbortSignal): Promise<ExportJobRow> {
    const { exports, ledger, details } = this.services;
    const text = exportText(job.format, job.columns);
    let { rowsExpected, rowsWritten, last } = job;
    let fileVersion = job.fileVersion;
    const ahead = [this.read(job, last, rowsWritten === 0)];
    try {
      for (;;) {
        stopping.throwIfAborted();
        while (ahead.length < CHUNKS_AHEAD) ahead.push(this.readAfter(job, ahead.at(-1)));
        const [next] = ahead;
        const read = await next;
        if (read === undefined || read === null) break;
        const { document, chunk } = read;
        const views = await chunk.views;
        await document.flush(ledger, details);
        ahead.shift();
        await file.append(Buffer.from(text.rows(views)));
        rowsExpected = chunk.expected ?? rowsExpected;
        rowsWritten += views.length;
        last = chunk.last ?? last;
        const progress = counted(job, file, rowsWritten, last);
        if (!(await exports.store.advance(job, progress, rowsExpected, this.leaseUntil()))) throw new ClaimLost();
        if (fileVersion !== job.version) await exports.files.remove(job, (fileVersion = job.version));
      }
    } finally {
      for (const read of ahead) await this.settleKeys(read);
    }
    return { ...job, ...counted(job, file, rowsWritten, last), rowsExpected };
  }

  /**
   * The chunk behind one that is still being read; null behind the last. What was read ahead and is not written because
   * the work ends before goes to nobody: the ledger is told no more of it than whose keys were opened, see `settleKeys`.
   */
  private readAfter(job: ExportJobRow, before: Promise<ReadChunk | null> | undefined): Promise<ReadChunk | null> {
    const after = Promise.resolve(before).then((read) =>
      read?.chunk.more === true ? this.read(job, read.chunk.last, false) : null,
    );
    after.catch(() => undefined);
    return after;
  }

  /** Records whose keys were opened for a chunk that is not written. What cannot be recorded is reported as unexplained. */
  private async settleKeys(reading: Promise<ReadChunk | null>): Promise<void> {
    const read = await reading.catch(() => null);
    await read?.chunk.views.catch(() => undefined);
    await read?.document.settleKeys(this.services.ledger).catch(() => undefined);
  }

  /** The chunk after this position, not recorded yet. A refusal is. */
  private async read(job: ExportJobRow, after: ExportPosition | null, count: boolean): Promise<ReadChunk | null> {
    const { operations, ledger, vault, details } = this.services;
    const document = await this.document(job);
    try {
      const filter = openFilter(vault, job.tenant, job.id, job.filter);
      const input = { filter, columns: job.columns, after, count };
      return { document, chunk: await operations.run(exportPatients, document, input, selectFields(...job.columns)) };
    } catch (error) {
      await document.flush(ledger, details);
      throw error;
    }
  }

  /** A document of the requester as the account is now. Asked again for every chunk: a right that is lost is lost at once. */
  private async document(job: ExportJobRow): Promise<Document> {
    const actor: Actor | null = await this.services.identity.actorOf(job.tenant, job.accountId, job.sessionId);
    if (actor !== null) return new Document(actor, factsOf(job, job.id), null);
    const draft = bareDraft(job.tenant, exportPatients.name, exportPatients.kind, job.id);
    await this.services.ledger.append({ ...draft, outcome: 'denied', code: 'UNAUTHENTICATED', purpose: job.purpose });
    throw new Failure('FORBIDDEN', 'The account that asked for the export is disabled.', 'Nothing is to be done.');
  }

  private async fail(job: ExportJobRow): Promise<void> {
    const { store, files } = this.services.exports;
    if (await store.end(job, 'FAILED')) await files.remove(job);
    else await this.giveUp(job);
  }

  /** Another run goes on with files of its own; of an export that is over nothing is kept. */
  private async giveUp({ tenant, id }: ExportJobRow): Promise<void> {
    const { store, files } = this.services.exports;
    const now = await store.find(tenant, id);
    if (now?.status !== 'RUNNING' && now?.status !== 'PENDING' && now?.status !== 'READY')
      await files.remove({ tenant, id });
  }

  private leaseUntil(): Date {
    return new Date(this.services.clock.milliseconds() + LEASE_MILLISECONDS);
  }
}

function counted(
  { version }: ExportJobRow,
  { bytes, frames, plainBytes }: ExportFile,
  rowsWritten: number,
  last: ExportProgress['last'],
): ExportProgress {
  return { rowsWritten, last, plainBytes, fileVersion: version, fileBytes: bytes, fileFrames: frames };
}
