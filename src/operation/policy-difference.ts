import { setImmediate as breathe } from 'node:timers/promises';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import { notFound } from '../kernel/failure.js';
import { IdentityStore, type ActorRow } from '../identity/identity.store.js';
import type { Database } from '../persistence/database.js';
import type { Decision, FieldView, PolicyAction, PolicyContext } from '../policy/decision.js';
import { changedQuestions, type ChangedQuestion } from '../policy/difference.js';
import type { PolicyEngine } from '../policy/engine.js';
import { SMALLEST_GROUP } from '../policy/obligation.js';
import { rowClasses } from '../policy/row-classes.js';
import { SHOWING } from '../policy/rule.js';
import { aliasesOf, fromClause } from './noun-table.js';
import { Parameters } from './parameters.js';

const NOBODY = '00000000-0000-7000-8000-000000000000';

/** What changes for the accounts of a role, on the rows of one type: one field, or the row as a whole. */
export interface PolicyChange {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  /** Null where a row can be reached that could not be, or the other way round. */
  readonly field: string | null;
  /** `HIDDEN`, `MASKED M_PHONE`, `CLEAR`; of a row `REACHED` or `NOT REACHED`. */
  readonly from: string;
  readonly to: string;
  /** How many living accounts see a difference. */
  readonly accounts: number;
  /** Rows, of one account. The least and the most where accounts see different rows. */
  readonly rows: { readonly least: number; readonly most: number };
  /** Rows summed over the accounts: a row counts once for each account that sees the difference. */
  readonly sum: number;
  /**
   * True where numbers of rows are rounded down to multiples of {@link SMALLEST_GROUP}, 0 being anything below the first one,
   * and every change is named that there could be, with all accounts of the role.
   */
  readonly coarse: boolean;
}

/** What changes for the accounts of a role and does not depend on rows. */
export type GrantChange = Pick<ChangedQuestion, 'role' | 'purpose' | 'action' | 'type' | 'grants'> & {
  readonly accounts: number;
};

export interface PolicyDifference {
  readonly changes: readonly PolicyChange[];
  readonly grants: readonly GrantChange[];
}

interface Bits {
  /** Of the plans before and after; -1 where the row is not reached. */
  readonly before: number;
  readonly after: number;
  readonly rows: number;
}

/**
 * Who gains and who loses what when one engine's policies are replaced by another's, on the rows that a tenant has now.
 * Reads no value: a statement for each changed question counts rows by what both policies would show of them. Accounts whose
 * attributes are the same in what the rules ask share one statement. A role without accounts, such as a machine's, is counted
 * for an account without attributes, which stands as none. Throws NOT_FOUND where there is no such tenant, and the signal's
 * reason between two statements. Lets other work pass between.
 *
 * `coarse`: for whoever may make up the rules that are compared, and could so count the people of any condition, down to
 * whether one person is of it. Throws RangeError where more changes are possible than can be named.
 */
export async function policyDifference(
  database: Database,
  tenant: string,
  engines: { readonly before: PolicyEngine; readonly after: PolicyEngine },
  now: Date,
  { signal, coarse = false }: { readonly signal?: AbortSignal; readonly coarse?: boolean } = {},
): Promise<PolicyDifference> {
  const [zone] = await database.query<{ time_zone: string }>(tenant, {
    text: 'SELECT time_zone FROM tenant WHERE id = $1 AND assert_tenant($1)',
    values: [tenant],
  });
  if (zone === undefined) throw notFound();
  const context = { now, timeZone: zone.time_zone };
  const questions: ChangedQuestion[] = [];
  for (const role of ROLES) {
    questions.push(...changedQuestions(engines.before, engines.after, registry, [role]));
    await breathe();
  }
  const roles = [...new Set(questions.map((one) => one.role))];
  const rows = roles.length === 0 ? [] : await new IdentityStore(database).livingAccounts(tenant, roles, now);
  const accounts = Map.groupBy(rows, (row) => row.role);
  const changes: PolicyChange[] = [];
  const grants: GrantChange[] = [];
  for (const question of questions) {
    const living = accounts.get(question.role) ?? [];
    const { role, purpose, action, type } = question;
    if (question.grants.length > 0) {
      grants.push({ role, purpose, action, type, grants: question.grants, accounts: living.length });
    }
    if (!question.rowsDiffer) continue;
    const tally = new Tally(question, coarse);
    for (const alike of sameAttributes(living, question.attributes)) {
      const actor = actorOf(role, tenant, alike[0]);
      const [before, after] = [engines.before, engines.after].map((engine) =>
        engine.decide(actor, purpose, action, type),
      );
      signal?.throwIfAborted();
      const decisions = [before, after] as [Decision, Decision];
      tally.add(alike.length, await count(database, tenant, decisions, context), ...decisions, actor);
    }
    changes.push(...tally.changes());
  }
  return { changes, grants };
}

/** Accounts by what the rules ask of them: those of one group see the same rows. */
function sameAttributes(accounts: readonly ActorRow[], attributes: readonly string[]): ActorRow[][] {
  const keys: Readonly<Record<string, (row: ActorRow) => unknown>> = {
    id: (row) => row.id,
    careTeamIds: (row) => row.care_team_ids,
    patientIds: (row) => row.patient_ids,
    emergencyPatientIds: (row) => row.emergency_patient_ids,
    compartmentGrants: (row) => row.compartment_grants,
  };
  const keyOf = (row: ActorRow) => JSON.stringify(attributes.map((name) => (keys[name] ?? keys['id'])?.(row)));
  return accounts.length === 0 ? [[]] : [...Map.groupBy(accounts, keyOf).values()];
}

/** The account as its requests would be: with every emergency access that is open. */
function actorOf(role: Role, tenant: string, row: ActorRow | undefined): Actor {
  return {
    id: row?.id ?? NOBODY,
    tenant,
    role,
    sessionId: NOBODY,
    reference: row?.reference ?? '',
    careTeamIds: row?.care_team_ids ?? [],
    patientIds: row?.patient_ids ?? [],
    emergencyPatientIds: row?.emergency_patient_ids ?? [],
    compartmentGrants: row?.compartment_grants ?? [],
    factorMissing: false,
    country: row?.country ?? '',
    timeZone: row?.time_zone ?? '',
  };
}

/** Rows of the tenant by what two decisions make of them. Rows that neither reaches are left out. */
async function count(
  database: Database,
  tenant: string,
  decisions: readonly [Decision, Decision],
  context: PolicyContext,
): Promise<Bits[]> {
  const parameters = new Parameters();
  const { bind } = parameters;
  const noun = registry.noun(decisions[0].type);
  const aliases = aliasesOf(noun);
  const own = bind(tenant);
  const [before, after] = decisions.map((decision) => ({
    reached: decision.allowed ? decision.rowPredicate(aliases, bind, context) : 'FALSE',
    bits: decision.allowed ? decision.visibilityBits(aliases, bind, context) : '0',
  })) as [{ reached: string; bits: string }, { reached: string; bits: string }];
  return database.query<Bits>(
    tenant,
    parameters.unprepared(
      `SELECT CASE WHEN ${before.reached} THEN ${before.bits} ELSE -1 END AS before, ` +
        `CASE WHEN ${after.reached} THEN ${after.bits} ELSE -1 END AS after, count(*)::int AS rows ` +
        `FROM ${fromClause(noun)} WHERE assert_tenant(${own}) AND s.tenant_id = ${own} ` +
        `AND (${before.reached} OR ${after.reached}) GROUP BY 1, 2`,
    ),
  );
}

/** The changes of one question, gathered over the groups of accounts. */
class Tally {
  private readonly found = new Map<
    string,
    { change: Pick<PolicyChange, 'field' | 'from' | 'to'>; accounts: number; rows: number[]; sum: number }
  >();

  constructor(
    private readonly question: ChangedQuestion,
    private readonly coarse: boolean,
  ) {}

  add(accounts: number, counted: readonly Bits[], before: Decision, after: Decision, actor: Actor): void {
    const rows = new Map<string, { change: Pick<PolicyChange, 'field' | 'from' | 'to'>; rows: number }>();
    // That a change is named must not tell that there is a row of it.
    const possible = this.coarse ? this.possible(before, after, actor) : [];
    for (const bits of [...counted, ...possible]) {
      for (const change of this.changesOf(bits, before, after)) {
        const key = JSON.stringify(change);
        rows.set(key, { change, rows: (rows.get(key)?.rows ?? 0) + bits.rows });
      }
    }
    for (const [key, one] of rows) {
      const known = this.found.get(key) ?? { change: one.change, accounts: 0, rows: [], sum: 0 };
      const told = this.coarse ? one.rows - (one.rows % SMALLEST_GROUP) : one.rows;
      this.found.set(key, {
        change: one.change,
        accounts: known.accounts + accounts,
        rows: [...known.rows, told],
        sum: known.sum + accounts * told,
      });
    }
  }

  /** What both decisions make of the rows that there could be, none of each. */
  private possible(before: Decision, after: Decision, actor: Actor): Bits[] {
    return rowClasses([before, after], actor).map((facts) => {
      const [old, made] = [before, after].map((one) => (one.allowed && one.matches(facts) ? one.bitsOf(facts) : -1));
      return { before: old ?? -1, after: made ?? -1, rows: 0 };
    });
  }

  changes(): PolicyChange[] {
    const { role, purpose, action, type } = this.question;
    return [...this.found.values()].map(({ change, accounts, rows, sum }) => ({
      ...{ role, purpose, action, type, ...change, accounts, sum, coarse: this.coarse },
      rows: { least: Math.min(...rows), most: Math.max(...rows) },
    }));
  }

  private changesOf(bits: Bits, before: Decision, after: Decision): Pick<PolicyChange, 'field' | 'from' | 'to'>[] {
    const reached = [bits.before >= 0, bits.after >= 0];
    if (!SHOWING.includes(this.question.action)) {
      const [from, to] = reached.map((one) => (one ? 'REACHED' : 'NOT REACHED')) as [string, string];
      return from === to ? [] : [{ field: null, from, to }];
    }
    const old = reached[0] ? before.visibility(bits.before).fields : null;
    const made = reached[1] ? after.visibility(bits.after).fields : null;
    const { attributes } = registry.noun(this.question.type);
    return [...attributes.keys()].flatMap((field) => {
      const from = stateOf(old?.get(field));
      const to = stateOf(made?.get(field));
      return from === to ? [] : [{ field, from, to }];
    });
  }
}

function stateOf(view: FieldView | undefined): string {
  if (view === undefined) return 'HIDDEN';
  return view.mask === null ? view.state : `${view.state} ${view.mask}`;
}

const OPENNESS = ['NOT REACHED', 'HIDDEN', 'MASKED', 'CLEAR', 'REACHED'];
const opennessOf = (state: string) => OPENNESS.findIndex((one) => state.startsWith(one));

/** Whether the accounts see more than before, less, or something else as open as before, such as by another mask. */
export type Direction = 'GAINS' | 'LOSES' | 'OTHERWISE';

export function directionOf({ from, to }: Pick<PolicyChange, 'from' | 'to'>): Direction {
  const more = opennessOf(to) - opennessOf(from);
  if (more === 0) return 'OTHERWISE';
  return more > 0 ? 'GAINS' : 'LOSES';
}

const VERBS: Readonly<Record<Direction, readonly [one: string, several: string]>> = {
  GAINS: ['gains', 'gain'],
  LOSES: ['loses', 'lose'],
  OTHERWISE: ['sees otherwise', 'see otherwise'],
};

/**
 * A change in words: `12 call_center_agent accounts gain clear phone on 48210 patients (HOPERAT, read; before: MASKED M_PHONE)`.
 * Where accounts see different rows, the least and the most are given, and the sum over the accounts.
 */
export function sentenceOf(change: PolicyChange): string {
  const { role, purpose, action, type, field, from, to, accounts, rows, sum, coarse } = change;
  const direction = directionOf(change);
  const shown = to.replace('CLEAR', 'clear').replace('MASKED', 'masked');
  const what = field === null ? `${action} of` : direction === 'GAINS' ? `${shown} ${field} on` : `${field} on`;
  const one = accounts === 1;
  const verb = VERBS[direction][one ? 0 : 1];
  const subjects = type === 'Patient' ? 'patients' : `${type} rows`;
  const number = coarse ? atLeast : String;
  const each = rows.least === rows.most ? number(rows.most) : `${number(rows.least)} to ${number(rows.most)}`;
  const total = coarse || rows.least === rows.most ? '' : `, ${sum} summed over the accounts`;
  return `${accounts} ${role} account${one ? '' : 's'} ${verb} ${what} ${each} ${subjects}${total} (${purpose}, ${action}; ${from} to ${to})`;
}

function atLeast(rows: number): string {
  return rows === 0 ? `fewer than ${SMALLEST_GROUP}` : `at least ${rows}`;
}

/** The same of what does not depend on rows: `2 billing accounts may write phone (HPAYMT, update Patient)`. */
export function grantSentenceOf({ role, purpose, action, type, accounts, grants }: GrantChange): string {
  const who = `${accounts} ${role} account${accounts === 1 ? '' : 's'}`;
  return `${who} ${grants.join(', ')} (${purpose}, ${action} ${type})`;
}
