import type { Role } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import { notFound } from '../kernel/failure.js';
import type { LedgerEntry } from '../ledger/reader.js';
import type { PolicyEngine } from '../policy/engine.js';
import { lackingRules, type Lack, type LackingRule } from '../policy/refusal.js';
import type { Release } from '../policy/release.js';
import { UnfitRelease, type ReleaseLoader } from '../policy/release-loader.js';
import { rulesOf } from '../policy/rule-note.js';
import { entriesOfDecision } from './decision-search.js';
import { DecisionReplay, recordedDecision } from './decision-replay.js';
import { noteReading } from './ledger-view.js';
import type { Limit } from './limit.store.js';
import { declaredOperations, defineOperation } from './operation.js';
import { releasesOf } from './policy-view.js';

/** Why something was shown, hidden or refused, by names alone: no value, no patient, no account. */
export interface DecisionExplanation {
  readonly index: number;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly operation: string;
  /** What all records of its document have in common; null in records from before decisions were named. */
  readonly decision: string | null;
  /** How the session was authenticated; null where nobody's was. */
  readonly acr: string | null;
  /** Purposes whose consent the rules asked for. */
  readonly consents: readonly string[];
  /** What the rules demanded besides a record. */
  readonly obligations: readonly string[];
  readonly outcome: string;
  readonly code: string | null;
  readonly role: string | null;
  readonly purpose: string | null;
  /** Hash of the policies that decided; null where none were asked. */
  readonly policy: string | null;
  /** Their version; null where no release with that hash is stored, or it is not what was signed. */
  readonly version: number | null;
  readonly rules: readonly ExplainedRule[];
  readonly accesses: readonly ExplainedAccess[];
  /** Of a refusal: the rules that would have allowed it, and what each asks for. Empty where no rule was what refused. */
  readonly lacking: readonly ExplainedLack[];
  /** What these policies would not do again; empty where they decide as it is recorded. */
  readonly differences: readonly string[];
}
export interface ExplainedRule {
  readonly id: string;
  /** `permit` or `forbid`; null where the release of the time is not at hand, as the others. */
  readonly effect: string | null;
  readonly subject: string | null;
  readonly file: string | null;
  readonly line: number | null;
  /** The purpose whose consent the rule asks for. */
  readonly consent: string | null;
  readonly onMissing: string | null;
  readonly onDeny: string | null;
}
/** A rule that did not allow what was refused. */
export interface ExplainedLack extends ExplainedRule {
  readonly lacks: readonly Lack[];
}
export interface ExplainedAccess {
  readonly type: string;
  readonly rows: number;
  readonly fields: readonly {
    readonly field: string;
    readonly state: string;
    /** Masks that the policies of the time have for this state. */
    readonly masks: readonly string[];
  }[];
}

type Recorded = Omit<
  DecisionExplanation,
  'role' | 'rules' | 'accesses' | 'decision' | 'acr' | 'consents' | 'obligations'
> &
  Partial<Pick<DecisionExplanation, 'decision' | 'acr' | 'consents' | 'obligations'>> & {
    readonly role: Role | null;
    readonly reason: boolean;
    readonly rules: readonly string[];
    readonly accesses: LedgerEntry['record']['accesses'];
  };

const QUESTION = { kind: 'LEDGER_READ', action: 'readPolicy', type: 'Organization', mode: 'read' } as const;
/** One looks through the entries of an hour at worst; one by one they would be the ledger, which is another right. */
const SEARCHES: Limit = { perMinute: 60, perDay: 2_000 };

/** Explains the decision behind an entry of the tenant's ledger, with the policies of its time. */
export const explainDecision = defineOperation<{ readonly index: number }, DecisionExplanation>({
  ...QUESTION,
  name: 'explainDecision',
  handler: async (scope, { index }) => {
    const { actor, now, services } = scope;
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    await services.limits.take(actor, 'explainDecision', SEARCHES, now);
    const entry = index < 0 ? null : await services.ledgerReader.entry(actor.tenant, index);
    if (entry === null) throw notFound();
    noteReading(scope, explainDecision, { type: 'LedgerEntry', fields: EXPLAINED, rows: 1 }, []);
    return explanationOf(loader, entry);
  },
});

/** The same of every record of one document, the oldest first, by the id that its answer told. */
export const explainDecisions = defineOperation<{ readonly decisionId: string }, readonly DecisionExplanation[]>({
  ...QUESTION,
  name: 'explainDecisions',
  handler: async (scope, { decisionId }) => {
    const { actor, now, services } = scope;
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    await services.limits.take(actor, 'explainDecisions', SEARCHES, now);
    const entries = await entriesOfDecision(services.ledgerReader, actor.tenant, decisionId);
    noteReading(scope, explainDecisions, { type: 'LedgerEntry', fields: EXPLAINED, rows: entries.length }, []);
    const explained: DecisionExplanation[] = [];
    for (const entry of entries) explained.push(await explanationOf(loader, entry));
    return explained;
  },
});

async function explanationOf(loader: ReleaseLoader, entry: LedgerEntry): Promise<DecisionExplanation> {
  const said = entry.record as unknown as Recorded;
  const { time, operation, outcome, code, role, purpose, policy, rules, accesses } = said;
  const { decision = null, acr = null, consents = [], obligations = [] } = said;
  const release = policy === null ? null : await releaseOf(loader, policy);
  const engine = release === null ? null : await loader.loaded(release.hash, { lazy: true });
  const recorded = recordedDecision(entry);
  const replay = engine === null || recorded === null ? null : new DecisionReplay(engine, recorded);
  const known = release === null ? null : rulesOf(release);
  const noteOf = (id: string) => ({ id, ...(known?.get(id) ?? NOT_KNOWN) });
  return {
    ...{ index: entry.index, time, operation, outcome, code, role, purpose, policy, version: release?.version ?? null },
    ...{ decision, acr, consents, obligations },
    rules: rules.map(noteOf),
    accesses: accesses.map((access) => {
      const masks = replay?.masksOf(access);
      const fields = Object.entries(access.fields).map(([field, state]) => {
        return { field, state, masks: [...(masks?.get(field) ?? [])].sort() };
      });
      return { type: access.type, rows: access.rows, fields };
    }),
    lacking: (engine === null ? [] : lackingOf(engine, said)).map(({ id, lacks }) => ({ ...noteOf(id), lacks })),
    differences: replay?.verdict().differences ?? [],
  };
}

/** The rules that a refusal lacked; none where it was not the policy that refused, or what was asked for is sealed. */
function lackingOf(engine: PolicyEngine, said: Recorded): LackingRule[] {
  const { operation: name, outcome, code, role, purpose, reason, time } = said;
  const operation = declaredOperations().get(name);
  if (outcome !== 'denied' || code === null || role === null || operation === undefined || operation.alone) return [];
  if (!EXPLICABLE.has(code)) return [];
  const { action, type } = operation;
  return lackingRules(engine.bundle, registry, { role, purpose, action, type, now: new Date(time), code, reason });
}

const EXPLICABLE = new Set([
  'FORBIDDEN',
  'NO_CARE_RELATIONSHIP',
  'PURPOSE_REQUIRED',
  'PURPOSE_NOT_PERMITTED',
  'STEP_UP_REQUIRED',
  'CONSENT_REQUIRED',
  'CONSENT_WITHDRAWN',
]);
const EXPLAINED = [
  'decision',
  'acr',
  'consents',
  'obligations',
  'operation',
  'outcome',
  'code',
  'role',
  'purpose',
  'policy',
  'rules',
  'accesses',
];
const NOT_KNOWN: Omit<ExplainedRule, 'id'> = {
  ...{ effect: null, subject: null, file: null, line: null, consent: null, onMissing: null, onDeny: null },
};

async function releaseOf(loader: ReleaseLoader, hash: string): Promise<Release | null> {
  try {
    return await loader.verified(hash);
  } catch (error) {
    if (error instanceof UnfitRelease) return null;
    throw error;
  }
}
