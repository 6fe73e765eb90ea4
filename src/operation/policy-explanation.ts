import { IdentityStore } from '../identity/identity.store.js';
import { actorIn, underEmergency } from '../identity/live-sessions.js';
import type { Actor } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import { notFound } from '../kernel/failure.js';
import { isId, newId } from '../kernel/identifier.js';
import type { Access } from '../ledger/record.js';
import type { Decision } from '../policy/decision.js';
import { explainRow } from '../policy/explanation.js';
import { rulesOf, type RuleNote } from '../policy/rule-note.js';
import { aliasesOf, fromClause } from './noun-table.js';
import { defineOperation } from './operation.js';
import { Parameters } from './parameters.js';
import { askedRelease, engineOf } from './policy-sources.js';
import { factColumns, readFacts, type Facts } from './row-facts.js';
import type { Scope } from './scope.js';

export interface ExplainAccessArguments {
  readonly patientId: string;
  readonly accountId: string;
  readonly purpose: string;
  /** Whether the account asks under the emergency accesses that are open to it. */
  readonly breakGlass: boolean;
}

/** What an account would see of a patient if it asked now, by names alone: no value. */
export interface AccessExplanation {
  readonly role: string;
  readonly purpose: string;
  /** Hash of the policies in force. */
  readonly policy: string;
  readonly version: number;
  /** Whether the role may do this for the purpose at all. */
  readonly allowed: boolean;
  readonly reached: boolean;
  /** Why consent alone keeps the record back; null where it does not. */
  readonly keptBack: 'DENIED' | 'MISSING' | null;
  readonly rules: readonly (Partial<RuleNote> & { readonly id: string; readonly verdict: string })[];
  readonly fields: readonly { readonly field: string; readonly state: string; readonly mask: string | null }[];
  /** Types of what the caller would have to give, such as stepUp. */
  readonly obligations: readonly string[];
}

const LIMIT = { perMinute: 60, perDay: 1_000 };
const EXPLAINED: Access['fields'] = { reached: 'CLEAR', keptBack: 'CLEAR', rules: 'CLEAR', fields: 'CLEAR' };

/**
 * Explains what an account of the caller's tenant would see of a patient of the tenant: with a reason, for it tells of the
 * patient who treats him, whether he is represented, here today or of a consent. Reads the facts that rules ask for and
 * no value. A patient and an account that are not there or another tenant's, and one that is closed, are the same to the
 * caller. Has a record of its own, which names the patient, so that the patient's report has it.
 */
export const explainAccess = defineOperation<ExplainAccessArguments, AccessExplanation>({
  name: 'explainAccess',
  kind: 'READ',
  action: 'explain',
  type: 'Patient',
  mode: 'read',
  alone: true,
  handler: async (scope, { patientId, accountId, purpose, breakGlass }) => {
    const decided = scope.obliged('explain', 'Patient');
    const release = await askedRelease(scope, null);
    await scope.services.limits.take(scope.actor, 'explainAccess', LIMIT, scope.now);
    const account = isId(accountId) ? await accountOf(scope, accountId, breakGlass) : null;
    const row = isId(patientId) ? await factsOf(scope, decided, patientId, account ?? scope.actor) : null;
    if (account === null || row === null) throw notFound();
    const engine = engineOf(release);
    const decision = engine.decide(account, purpose, 'read', 'Patient', { now: scope.now, address: null });
    const { reached, keptBack, rules, fields } = explainRow(engine.bundle, decision, account, row.facts);
    scope.document.know(row.reference, patientId);
    scope.alone.rules.push(...[...decided.ruleIds].sort());
    scope.alone.accesses.push({ type: 'AccessExplanation', rows: 1, fields: EXPLAINED, subjects: [row.reference] });
    const notes = rulesOf(release);
    return {
      ...{ role: account.role, purpose, policy: release.hash, version: release.version },
      ...{ allowed: decision.allowed, reached, keptBack },
      rules: rules.map((one) => ({ ...one, ...notes.get(one.id) })),
      fields: [...fields].map(([field, { state, mask }]) => ({ field, state, mask })),
      obligations: decision.allowed ? decision.obligations.map((one) => one.type) : [],
    };
  },
});

/** The account as identity builds the actor of its requests, without a session. */
async function accountOf(scope: Scope, accountId: string, breakGlass: boolean): Promise<Actor | null> {
  const { tenant } = scope.actor;
  const row = await new IdentityStore(scope.services.database).livingAccount(tenant, accountId, scope.now);
  if (row === null) return null;
  const actor = actorIn(tenant, newId(), row);
  return breakGlass ? underEmergency(actor) : actor;
}

/** The facts of a patient as they are for an account; null where the tenant has no such patient that the caller may ask about. */
async function factsOf(
  scope: Scope,
  decided: Decision,
  patientId: string,
  account: Actor,
): Promise<{ facts: Facts; reference: string } | null> {
  const { database, policy } = scope.services;
  const { tenant } = scope.actor;
  const noun = registry.noun('Patient');
  const parameters = new Parameters();
  const { bind } = parameters;
  const own = bind(tenant);
  const facts = factColumns(noun, aliasesOf(noun), account, bind, scope.context(), policy.consentScopes);
  const [row] = await database.query<Record<string, unknown>>(
    tenant,
    parameters.statement(
      `SELECT s.subject_reference, ${facts} FROM ${fromClause(noun)} ` +
        `WHERE assert_tenant(${own}) AND s.tenant_id = ${own} AND s.id = ${bind(patientId)}::uuid ` +
        `AND ${decided.rowPredicate(aliasesOf(noun), bind, scope.context())}`,
    ),
  );
  return row === undefined ? null : { facts: readFacts(noun, row), reference: String(row['subject_reference']) };
}
