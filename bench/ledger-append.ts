import pg from 'pg';
import type { RecordDraft } from '../src/ledger/record.js';
import type { Installation } from './installation.js';
import { CALLERS, CONNECTIONS, pageOfTwenty, typicalRead, withOpenLedger } from './ledger-load.js';
import { median, print, rounded, type Pace } from './rounds.js';
import { throughput } from './throughput.js';

/**
 * Durable records of 512 callers: chained, with MAC and sequencer, against the audit table that a team would write by
 * hand, one committed INSERT of the same text for each record. The ratio is that of typical reads.
 */
export async function ledgerAppend(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  const plain = new pg.Pool({ connectionString: installation.peerUrl, max: CONNECTIONS });
  // Connections that are still closing when PostgreSQL stops.
  plain.on('error', () => undefined);
  try {
    await plain.query(
      'CREATE TABLE audit_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, record text)',
    );
    const insert = (draft: RecordDraft) =>
      plain.query({
        name: 'audit',
        text: 'INSERT INTO audit_log (at, record) VALUES ($1, $2)',
        values: [new Date(), JSON.stringify(draft)],
      });
    return await withOpenLedger(installation, async ({ ledger }) => {
      const sides = [
        ['ledger', () => ledger.writer.append(typicalRead())],
        ['ledger, 20', () => ledger.writer.append(pageOfTwenty())],
        ['audit table', () => insert(typicalRead())],
      ] as const;
      const ratios: number[] = [];
      print(['round', 'log', 'records/s', 'p50 ms', 'p99 ms']);
      for (let round = 0; round <= pace.rounds; round += 1) {
        const perSecond: number[] = [];
        for (const [name, append] of sides) {
          const figures = await throughput(CALLERS, round === 0 ? pace.warmSeconds : pace.seconds, append);
          perSecond.push(figures[0]);
          if (round > 0) print([String(round), name, ...figures.map(rounded)]);
        }
        if (round > 0) ratios.push((perSecond[0] ?? 0) / (perSecond[2] ?? 1));
      }
      return median(ratios);
    });
  } finally {
    await plain.end();
  }
}
