import { setTimeout as pause } from 'node:timers/promises';
import type { Installation } from './installation.js';
import { CALLERS, type OpenLedger, TENANT, typicalRead, withOpenLedger } from './ledger-load.js';
import { median, print, rounded, type Pace } from './rounds.js';
import { percentile, throughput } from './throughput.js';

const LOOK_MILLISECONDS = 10;

/**
 * Sequenced entries a second, and the time from a durable record to its place in the log, while 512 callers append
 * typical reads as fast as they can. The ratio is sequenced against appended.
 */
export async function ledgerSequence(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  return withOpenLedger(installation, async (open) => {
    const ratios: number[] = [];
    print(['round', 'side', 'entries/s', 'p50 ms', 'p99 ms']);
    for (let round = 0; round <= pace.rounds; round += 1) {
      const { appended, sequenced } = await measured(open, round === 0 ? pace.warmSeconds : pace.seconds);
      if (round === 0) continue;
      print([String(round), 'appended', ...appended.map(rounded)]);
      print([String(round), 'sequenced', ...sequenced.map(rounded)]);
      ratios.push(sequenced[0] / appended[0]);
    }
    return median(ratios);
  });
}

type Figures = readonly [number, number, number];

/**
 * Nobody else writes to the log: when it has grown by n, the n records that were durable first have their place. Records
 * of one flush may change places among themselves, which changes no figure by more than a flush takes.
 */
async function measured(open: OpenLedger, seconds: number): Promise<{ appended: Figures; sequenced: Figures }> {
  const { ledger } = open;
  await ledger.sequencer.drain(10_000);
  const durable: number[] = [];
  const lags: number[] = [];
  const first = await sizeOf(open);
  const ending = new AbortController();
  const look = async () => {
    const size = (await sizeOf(open)) - first;
    const now = performance.now();
    while (lags.length < Math.min(size, durable.length)) lags.push(now - (durable[lags.length] ?? now));
  };
  const looking = (async () => {
    for (; !ending.signal.aborted; await pause(LOOK_MILLISECONDS)) await look();
  })();
  const start = performance.now();
  const appended = await throughput(CALLERS, seconds, async () => {
    await ledger.writer.append(typicalRead());
    durable.push(performance.now());
  });
  await look();
  const perSecond = lags.length / ((performance.now() - start) / 1000);
  ending.abort();
  await looking;
  const sorted = lags.toSorted((one, other) => one - other);
  return { appended, sequenced: [perSecond, percentile(sorted, 0.5), percentile(sorted, 0.99)] };
}

async function sizeOf({ sequencer }: OpenLedger): Promise<number> {
  const [head] = await sequencer.query<{ size: string }>(null, {
    name: 'bench_size',
    text: 'SELECT size FROM ledger_head WHERE log = $1',
    values: [TENANT],
  });
  return Number(head?.size ?? 0);
}
