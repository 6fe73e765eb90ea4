import type { LedgerReader } from '../ledger/reader.js';
import type { PolicyEngine } from '../policy/engine.js';
import { UnfitRelease, type ReleaseLoader } from '../policy/release-loader.js';
import { DecisionReplay, recordedDecision, type RecordedDecision } from './decision-replay.js';

/** What became of one entry. `differences`: null where no decision stands behind it, empty where it is the same again. */
export interface Redecided {
  readonly index: number;
  readonly differences: readonly string[] | null;
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
  const known = new Map<string, readonly string[]>();
  let before: number | null = await reader.end(log);
  while (before !== null) {
    const page = await reader.entries(log, period, before, PAGE);
    for (const entry of page.entries) {
      const recorded = recordedDecision(entry);
      if (recorded === null) yield { index: entry.index, differences: null };
      else {
        const engine = engines.get(recorded.policy) ?? (await engineOf(loader, recorded.policy));
        engines.set(recorded.policy, engine);
        const key = keyOf(recorded);
        const differences = known.get(key) ?? differencesOf(engine, recorded);
        if (known.size < MOST_KNOWN) known.set(key, differences);
        yield { index: entry.index, differences };
      }
    }
    ({ before } = page);
  }
}

function differencesOf(engine: PolicyEngine | string, recorded: RecordedDecision): readonly string[] {
  return typeof engine === 'string' ? [engine] : new DecisionReplay(engine, recorded).differences();
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

/** All that a replay looks at, but the time and the patients. */
function keyOf({ policy, role, purpose, operation, rules, accesses }: RecordedDecision): string {
  const states = accesses.map(({ type, fields }) => [type, fields]);
  return JSON.stringify([policy, role, purpose, operation, rules, states]);
}
