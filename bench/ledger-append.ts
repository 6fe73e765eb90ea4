import path from 'node:path';
import pg from 'pg';
import { SystemClock } from '../src/kernel/clock.js';
import { newId } from '../src/kernel/identifier.js';
import { FileCheckpointStore } from '../src/ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../src/ledger/keys.js';
import { Ledger } from '../src/ledger/ledger.js';
import { bareDraft, type RecordDraft } from '../src/ledger/record.js';
import { Database } from '../src/persistence/database.js';
import type { Installation } from './installation.js';
import { median, print, rounded, type Pace } from './rounds.js';

const TENANT = 'T-CN';
const CALLERS = 64;
const CONNECTIONS = 16;

/**
 * Durable records of 64 callers, each with 20 subjects: chained, with MAC and sequencer, against the audit table that a
 * team would write by hand, one committed INSERT of the same text for each record.
 */
export async function ledgerAppend(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  const urls = await installation.migrated();
  const app = await Database.connect(urls.app, { maximum: CONNECTIONS });
  const sequencer = await Database.connect(urls.sequencer, { maximum: 2 });
  const plain = new pg.Pool({ connectionString: installation.peerUrl, max: CONNECTIONS });
  // Connections that are still closing when PostgreSQL stops.
  plain.on('error', () => undefined);
  const ledger = await Ledger.open({
    app,
    sequencer,
    sequencerUrl: urls.sequencer,
    keys: fileLedgerKeys(path.join(installation.directory, 'keys')),
    store: new FileCheckpointStore(path.join(installation.directory, 'checkpoints')),
    clock: new SystemClock(),
  });
  try {
    await ledger.createLogs([TENANT]);
    await plain.query(
      'CREATE TABLE audit_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, record text)',
    );
    const ratios: number[] = [];
    print(['round', 'log', 'records/s', 'p50 ms', 'p99 ms']);
    for (let round = 0; round <= pace.rounds; round += 1) {
      const ours = await throughput(pace.seconds, () => ledger.writer.append(draft()));
      const theirs = await throughput(pace.seconds, () =>
        plain.query({
          name: 'audit',
          text: 'INSERT INTO audit_log (at, record) VALUES ($1, $2)',
          values: [new Date(), JSON.stringify(draft())],
        }),
      );
      if (round === 0) continue;
      for (const [name, figures] of [
        ['ledger', ours],
        ['audit table', theirs],
      ] as const) {
        print([String(round), name, ...figures.map(rounded)]);
      }
      ratios.push(ours[0] / theirs[0]);
    }
    return median(ratios);
  } finally {
    await ledger.close();
    await Promise.all([app.close(), sequencer.close(), plain.end()]);
  }
}

/** Records a second, median and 99th percentile of the time for one. */
async function throughput(seconds: number, append: () => Promise<unknown>): Promise<[number, number, number]> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      for (let at = performance.now(); at < end; at = performance.now()) {
        await append();
        times.push(performance.now() - at);
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1000;
  times.sort((one, other) => one - other);
  return [times.length / elapsed, times[times.length >> 1] ?? 0, times[Math.floor(times.length * 0.99)] ?? 0];
}

const FIELDS = Object.freeze({ name: 'CLEAR', birthDate: 'CLEAR', phone: 'MASKED', nationalId: 'MASKED' } as const);
const SUBJECTS = Array.from({ length: 20 }, () => newId().replaceAll('-', ''));

function draft(): RecordDraft {
  return {
    ...bareDraft(TENANT, 'patients', 'SEARCH', newId()),
    actor: SUBJECTS[0] ?? null,
    role: 'front_desk',
    purpose: 'PATADMIN',
    accesses: [{ type: 'Patient', rows: 20, fields: FIELDS, subjects: SUBJECTS }],
  };
}
