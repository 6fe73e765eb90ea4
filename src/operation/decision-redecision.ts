import type { LedgerReader } from '../ledger/reader.js';
import type { PolicyEngine } from '../policy/engine.js';
import { asksTime } from '../policy/refusal.js';
import { UnfitRelease, type ReleaseLoader } from '../policy/release-loader.js';
import { DecisionReplay, recordedDecision, type RecordedDecision, type Verdict } from './decision-replay.js';

/** What became of one entry; `verdict` is null where no decision stands behind it. */
export interface Redecided {
  readonly index: number;
  readonly verdict: Verdict | null;
}

const PAGE = 500;
/** Decisions that were made again and are remembered: most records of a day say the same of other patients. */
const MOST_KNOWN = 50_000;

/** Makes the decisions of a log again, newest first, each with the release that its record names. */
export async function* redecided(
  reader: LedgerReader,
  loader: ReleaseLoader,
  log: string,
  period: { readonly from: string | null; readonly to: string | null },
): AsyncGenerator<Redecided> {
  const engines = new Map<string, PolicyEngine | string>();
  const known = new Map<string, Verdict>();
  let before: number | null = await reader.end(log);
  while (before !== null) {
    const page = await reader.entries(log, period, before, PAGE);
    for (const entry of page.entries) {
      const recorded = recordedDecision(entry);
      if (recorded === null) yield { index: entry.index, verdict: null };
      else {
        const engine = engines.get(recorded.policy) ?? (await engineOf(loader, recorded.policy));
        engines.set(recorded.policy, engine);
        const key = keyOf(engine, recorded);
        const verdict = known.get(key) ?? verdictOf(engine, recorded);
        if (known.size < MOST_KNOWN) known.set(key, verdict);
        yield { index: entry.index, verdict };
      }
    }
    ({ before } = page);
  }
}

function verdictOf(engine: PolicyEngine | string, recorded: RecordedDecision): Verdict {
  if (typeof engine === 'string') return { differences: [engine], incomparable: null };
  return new DecisionReplay(engine, recorded).verdict();
}

/** The release of a hash, or why there is none. */
async function engineOf(loader: ReleaseLoader, hash: string): Promise<PolicyEngine | string> {
  try {
    return await loader.loaded(hash, { lazy: true });
  } catch (error) {
    if (error instanceof UnfitRelease) return error.message;
    throw error;
  }
}

/** All that a replay looks at, but the patients; the minute only where a rule asks when. */
function keyOf(engine: PolicyEngine | string, recorded: RecordedDecision): string {
  const { policy, role, purpose, operation, code, rules, accesses, obligations, named, time } = recorded;
  const states = accesses.map(({ type, fields, rows }) => [type, fields, rows === 0]);
  const minute = typeof engine !== 'string' && asksTime(engine.bundle, role, purpose) ? time.slice(0, 16) : '';
  return JSON.stringify([policy, role, purpose, operation, code, rules, states, obligations, named, minute]);
}
