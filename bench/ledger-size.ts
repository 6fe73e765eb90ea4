import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemClock } from '../src/kernel/clock.js';
import { Failure } from '../src/kernel/failure.js';
import { newId, newReference } from '../src/kernel/identifier.js';
import { FileCheckpointStore } from '../src/ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../src/ledger/keys.js';
import { Ledger } from '../src/ledger/ledger.js';
import { LogFiles } from '../src/ledger/log-files.js';
import { proofText } from '../src/ledger/proof.js';
import { LedgerReader } from '../src/ledger/reader.js';
import { ReferenceIndexer } from '../src/ledger/references.js';
import { bareDraft, type RecordDraft } from '../src/ledger/record.js';
import { Database } from '../src/persistence/database.js';
import type { Installation } from './installation.js';
import { mulberry32 } from './patients.js';
import { print, rounded, type Pace } from './rounds.js';
import { percentile, throughput } from './throughput.js';

const TENANT = 'T-CN';
const CALLERS = 512;
/** Filling waits for this many records at once. */
const FILLERS = 4_096;
const REFUSED_MILLISECONDS = 250;
const QUESTIONS = 300;
const PATIENTS = 100_000;
const ACCOUNTS = 500;
const SETTLE_MILLISECONDS = 600_000;
const MEBIBYTE = 1_048_576;

/**
 * The same work on a log of a hundredth of the entries and on the whole one: durable appends of 512 callers, proofs of
 * random entries, the entries of random patients, and the memory of the process. The figure is appends at the end divided
 * by appends at the beginning; nothing of it may grow with the log.
 */
export async function ledgerSize(installation: Installation, entries: number, pace: Pace): Promise<number> {
  const urls = await installation.migrated();
  const app = await Database.connect(urls.app, { maximum: 16 });
  const sequencer = await Database.connect(urls.sequencer, { maximum: 4 });
  const auditor = await Database.connect(urls.auditor, { maximum: 4 });
  const keys = fileLedgerKeys(path.join(installation.directory, 'keys'));
  const store = new FileCheckpointStore(path.join(installation.directory, 'checkpoints'));
  const clock = new SystemClock();
  const ledger = await Ledger.open({ app, sequencer, sequencerUrl: urls.sequencer, keys, store, clock });
  const indexer = new ReferenceIndexer(sequencer, null);
  const random = mulberry32(1);
  const subjects = Array.from({ length: PATIENTS }, () => newReference());
  const patient = () => subjects[Math.floor(random() * PATIENTS)] ?? '';
  const files = new LogFiles(auditor, store, keys, null);
  const reader = new LedgerReader(auditor);
  const accounts = Array.from({ length: ACCOUNTS }, () => newReference());
  const account = () => accounts[Math.floor(random() * ACCOUNTS)] ?? '';
  const append = () => ledger.writer.append(draft(account(), patient()));
  try {
    await ledger.createLogs([TENANT]);
    print(['entries', 'what', 'p50 ms', 'p95 ms', 'per second', 'MiB']);
    const paces: number[] = [];
    for (const target of [Math.round(entries / 100), entries]) {
      await fill(append, target - (await reader.size(TENANT)));
      await ledger.settle(SETTLE_MILLISECONDS);
      while (await indexer.step());
      const [appends, p50, p99] = await throughput(CALLERS, pace.seconds, append);
      print([String(target), 'append (p99)', rounded(p50), rounded(p99), rounded(appends), '']);
      paces.push(appends);
      await ledger.settle(SETTLE_MILLISECONDS);
      while (await indexer.step());
      const size = await reader.size(TENANT);
      const index = () => Math.floor(random() * size);
      report(target, 'proof', await times(() => proofText(files, TENANT, index())));
      report(target, 'by patient', await times(() => reader.entries(TENANT, { subject: patient() }, size, 20)));
      report(target, 'by actor', await times(() => reader.entries(TENANT, { actor: account() }, size, 20)));
    }
    return (paces[1] ?? 0) / (paces[0] ?? 1);
  } finally {
    await ledger.close();
    await Promise.all([app.close(), sequencer.close(), auditor.close()]);
  }
}

function report(entries: number, what: string, sorted: readonly number[]): void {
  const memory = process.memoryUsage().rss / MEBIBYTE;
  const median = percentile(sorted, 0.5);
  print([
    String(entries),
    what,
    rounded(median),
    rounded(percentile(sorted, 0.95)),
    rounded(1000 / median),
    memory.toFixed(0),
  ]);
}

/** As fast as the sequencer can follow: what is refused because it lags is recorded later. */
async function fill(append: () => Promise<unknown>, count: number): Promise<void> {
  let left = count;
  const once = async (): Promise<void> => {
    for (;;) {
      const failure = await append().then(() => null, failureOf);
      if (failure === null) return;
      if (failure.code !== 'AUDIT_UNAVAILABLE') throw failure;
      await pause(REFUSED_MILLISECONDS);
    }
  };
  await Promise.all(
    Array.from({ length: FILLERS }, async () => {
      while (left-- > 0) await once();
    }),
  );
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  throw error;
}

/** Milliseconds, in ascending order. */
async function times(ask: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  for (let count = 0; count < QUESTIONS; count++) {
    const start = performance.now();
    await ask();
    taken.push(performance.now() - start);
  }
  return taken.sort((one, other) => one - other);
}

const FIELDS = Object.freeze({ name: 'CLEAR', birthDate: 'CLEAR', phone: 'MASKED', nationalId: 'MASKED' } as const);

/** One patient's record read with a visit: what most requests of a ward are. */
function draft(actor: string, patient: string): RecordDraft {
  return {
    ...bareDraft(TENANT, 'patient', 'READ', newId()),
    actor,
    role: 'physician',
    purpose: 'TREAT',
    accesses: [{ type: 'Patient', rows: 1, fields: FIELDS, subjects: [patient] }],
  };
}
