import { notFound } from '../kernel/failure.js';
import type { Release } from '../policy/release.js';
import { UnfitRelease, type ReleaseLoader } from '../policy/release-loader.js';
import { rulesOf } from '../policy/rule-note.js';
import { DecisionReplay, recordedDecision } from './decision-replay.js';
import { noteReading } from './ledger-view.js';
import { defineOperation } from './operation.js';
import { releasesOf } from './policy-view.js';

/** Why something was shown, hidden or refused, by names alone: no value, no patient, no account. */
export interface DecisionExplanation {
  readonly index: number;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly operation: string;
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

/** Explains the decision behind an entry of the tenant's ledger, with the policies of its time. */
export const explainDecision = defineOperation<{ readonly index: number }, DecisionExplanation>({
  name: 'explainDecision',
  kind: 'LEDGER_READ',
  action: 'readPolicy',
  type: 'Organization',
  mode: 'read',
  handler: async (scope, { index }) => {
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    const entry = index < 0 ? null : await scope.services.ledgerReader.entry(scope.actor.tenant, index);
    if (entry === null) throw notFound();
    const { time, operation, outcome, code, role, purpose, policy, rules, accesses } = entry.record as unknown as Omit<
      DecisionExplanation,
      'rules' | 'accesses'
    > & { rules: readonly string[]; accesses: typeof entry.record.accesses };
    const release = policy === null ? null : await releaseOf(loader, policy);
    const recorded = recordedDecision(entry);
    const replay =
      release === null || recorded === null
        ? null
        : new DecisionReplay(await loader.loaded(release.hash, { lazy: true }), recorded);
    noteReading(scope, explainDecision, { type: 'LedgerEntry', fields: EXPLAINED, rows: 1 }, []);
    const known = release === null ? null : rulesOf(release);
    return {
      ...{ index, time, operation, outcome, code, role, purpose, policy, version: release?.version ?? null },
      rules: rules.map((id) => ({ id, ...(known?.get(id) ?? NOT_KNOWN) })),
      accesses: accesses.map((access) => {
        const masks = replay?.masksOf(access);
        const fields = Object.entries(access.fields).map(([field, state]) => {
          return { field, state, masks: [...(masks?.get(field) ?? [])].sort() };
        });
        return { type: access.type, rows: access.rows, fields };
      }),
      differences: replay?.differences() ?? [],
    };
  },
});

const EXPLAINED = ['operation', 'outcome', 'code', 'role', 'purpose', 'policy', 'rules', 'accesses'];
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
