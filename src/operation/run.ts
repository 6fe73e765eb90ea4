import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { databaseFault } from '../persistence/sqlstate.js';
import type { BegunRead, Document } from './document.js';
import { asFailure } from './failures.js';
import { IdempotencyStore, type IdempotentRequest } from './idempotency.store.js';
import { underLivingKeys } from './living-keys.js';
import { noteDemanded } from './obligations.js';
import type { AnyOperation, OperationDefinition } from './operation.js';
import { Scope } from './scope.js';
import type { Selection } from './selection.js';
import type { RecordDraft } from '../ledger/record.js';
import type { Decision } from '../policy/decision.js';
import type { DecidingPolicy } from '../policy/shadow.js';
import type { DoorServices, ScopeServices } from './services.js';
import { askedFor, StepUp } from './step-up.js';
import { Reading, type View } from './view.js';
import type { Grounds } from './write-record.js';
import { versionConflict, type Writing } from './writing.js';

/**
 * The door. GraphQL, imports, jobs and commands enter here and nowhere else: decide, begin, handle, record, commit.
 * The only place where policy, transaction and ledger meet. A refused or failed operation leaves a record too.
 */
export class Operations {
  private readonly stepUp: StepUp;

  private readonly served = new WeakMap<DecidingPolicy, ScopeServices>();

  constructor(private readonly services: DoorServices) {
    this.stepUp = new StepUp(services.challenges);
  }

  /**
   * Runs one operation for the document's actor. Reads are recorded with their document; a write is recorded in the
   * statement that makes it. Throws a Failure; whatever else goes wrong inside becomes one without its cause.
   */
  async run<Arguments, Result>(
    operation: OperationDefinition<Arguments, Result>,
    document: Document,
    input: Arguments,
    selection: Selection,
  ): Promise<Result> {
    let begun: BegunRead | null = null;
    let scope: Scope | null = null;
    let decision: Decision | null = null;
    try {
      const services = this.servicesOf(document);
      const purpose = this.purpose(document, services.policy);
      scope = new Scope(services, document, purpose, selection);
      decision = scope.decide(operation.action, operation.type);
      if (!decision.allowed && operation.refusal === 'HIDDEN') {
        document.hide(operation, new Reading(registry.noun(operation.type), decision.shape, selection).pattern(0));
        return null as Result;
      }
      if (!decision.allowed) throw this.refused(operation);
      noteDemanded(decision.obligations, scope.demanded);
      const stepUp = decision.obligations.find((one) => one.type === 'stepUp');
      if (stepUp !== undefined) {
        if (!operation.continues) await this.stepUp.demand(operation, scope, input, stepUp.maxAge);
        scope.steppedUp = true;
      }
      scope.recordedAlone = operation.alone || operation.mode === 'write';
      if (operation.alone) return await this.readAlone(operation, scope, input);
      if (operation.mode === 'read') {
        begun = document.beginRead(operation, services.policy.hash, decision, input, scope.demanded);
        return await operation.handler(scope, input);
      }
      return await underLivingKeys(scope, (living) => this.write(operation, (scope = living), input));
    } catch (error) {
      const failure = asFailure(error, operation.mode);
      if (begun !== null) document.refuseRead(begun);
      this.recordRefusal(operation, document, failure, input, saidOf(decision, scope));
      throw failure;
    }
  }

  /** The record of what was shown is queued when it is known; like every other it is durable before the answer leaves. */
  private async readAlone<Arguments, Result>(
    operation: OperationDefinition<Arguments, Result>,
    scope: Scope,
    input: Arguments,
  ): Promise<Result> {
    const result = await operation.handler(scope, input);
    const { document, services, alone } = scope;
    const { name, kind } = operation;
    const draft = { operation: name, kind, outcome: 'success', code: null, accesses: alone.accesses } as const;
    const asked = { operation, input: { ...Object(input), reason: document.facts.reason } as unknown };
    const { rules, consents } = alone;
    const said = { policy: services.policy.hash, rules, consents, obligations: [...scope.demanded].sort() };
    document.record({ ...document.frame(), ...said, ...draft }, [asked]);
    return result;
  }

  /** What a scope stands on: the policies are the document's. */
  private servicesOf(document: Document): ScopeServices {
    const policy = document.governedBy(this.services.policies);
    const known = this.served.get(policy);
    if (known !== undefined) return known;
    const made = { ...this.services, policy };
    this.served.set(policy, made);
    return made;
  }

  /** The purpose of the request: one the vocabulary knows and the actor's role may state. */
  private purpose(document: Document, policy: DecidingPolicy): string {
    const actor = document.requireActor();
    const { purpose } = document.facts;
    if (actor.factorMissing) {
      throw new Failure(
        'STEP_UP_REQUIRED',
        'Your organisation demands a second factor of your role.',
        'Enrol one with enrolTotp and confirmTotp, then sign in with its code.',
      );
    }
    if (purpose === null || purpose === '') {
      throw new Failure(
        'PURPOSE_REQUIRED',
        'The request states no purpose of use.',
        'Send the header X-Purpose-Of-Use.',
      );
    }
    if (policy.knowsPurpose(purpose) && policy.purposesOf(actor.role).includes(purpose)) return purpose;
    throw new Failure(
      'PURPOSE_NOT_PERMITTED',
      'Your role may not act for this purpose.',
      'Send one of the purposes that the query "me" lists.',
    );
  }

  private refused(operation: Pick<OperationDefinition<never, unknown>, 'refusal' | 'action' | 'type'>): Failure {
    if (operation.refusal === 'NOT_FOUND') {
      return new Failure('NOT_FOUND', 'There is no such record.', 'Check the id, or list what you may see.', {
        recordedAs: 'FORBIDDEN',
      });
    }
    return new Failure(
      'FORBIDDEN',
      `You may not ${operation.action} ${operation.type} for this purpose.`,
      'State another purpose, or ask the security team.',
    );
  }

  private async write<Arguments, Result>(
    operation: OperationDefinition<Arguments, Result>,
    scope: Scope,
    input: Arguments,
  ): Promise<Result> {
    const asked = this.idempotent(operation, scope, input);
    if (asked !== null) {
      const earlier = await this.services.idempotency.find(scope.actor, asked, scope.now);
      if (earlier !== null) return (await this.repeat(operation, scope, earlier, input)) as Result;
    }
    const result = await operation.handler(scope, input);
    const writing = scope.written;
    if (writing === null || writing.unit.empty) {
      this.recordNothing(operation, scope, input);
      return result;
    }
    const created = asked === null ? null : (result as View).id;
    if (asked !== null && created !== null) {
      const row = this.services.idempotency.row(scope.actor, asked, created, scope.now);
      writing.unit.insert('idempotency_key', row);
    }
    try {
      await this.commit(operation, scope, writing, input);
    } catch (error) {
      if (asked === null || databaseFault(error).constraint !== IdempotencyStore.constraint) throw error;
      const winner = await this.services.idempotency.find(scope.actor, asked, scope.now);
      if (winner === null) throw error;
      return (await this.repeat(operation, scope, winner, input)) as Result;
    }
    return result;
  }

  /**
   * Commits rows and record in one statement. When the statement failed, whether or not it happened, its number is
   * closed by a VOID record: the unique key of the ledger lets only one of the two exist.
   */
  private async commit(operation: AnyOperation, scope: Scope, writing: Writing, input: unknown): Promise<void> {
    const { ledger, database, policy, details } = scope.services;
    const draft = {
      ...scope.document.frame(),
      policy: policy.hash,
      rules: [...writing.record.rules].sort(),
      consents: [...writing.record.consents].sort(),
      obligations: [...scope.demanded].sort(),
      operation: operation.name,
      kind: operation.kind,
      outcome: 'success',
      code: null,
      accesses: writing.record.accesses(),
      ...(writing.detail === undefined ? {} : { detail: writing.detail }),
    } as const;
    const record = ledger.prepare(
      scope.document.detailed(draft, { operation, input }, writing.record.changes, details),
    );
    const statement = writing.unit.statement(
      (bind, from) => ledger.insertion(record, bind, from),
      (bind, from) => ledger.detailInsertion(record, bind, from),
    );
    let happened: boolean | undefined;
    try {
      const [row] = await database.query<{ happened: boolean }>(scope.actor.tenant, statement);
      happened = row?.happened;
    } catch (error) {
      ledger.void(record);
      throw error;
    }
    if (happened !== true) {
      ledger.void(record);
      throw writing.conflict ?? versionConflict(operation.type);
    }
    const receipt = { writer: record.writer, number: record.number, recordHash: record.hash.toString('hex') };
    scope.document.committed(operation, receipt, draft.accesses);
    writing.showAnswers(operation);
  }

  /** The answer to a repeated creation: what it created, read again under today's decision. */
  private async repeat(operation: AnyOperation, scope: Scope, id: string, input: unknown): Promise<View> {
    const begun = scope.document.beginRead(operation, scope.services.policy.hash, NO_GROUNDS, input);
    try {
      return await scope.made(operation.type, id);
    } catch (error) {
      scope.document.refuseRead(begun);
      throw error;
    }
  }

  private idempotent({ name, kind }: AnyOperation, scope: Scope, input: unknown): IdempotentRequest | null {
    const { idempotencyKey } = scope.document.facts;
    if (idempotencyKey === null || (kind !== 'CREATE' && kind !== 'DISCLOSE')) return null;
    const { tenant } = scope.actor;
    const digest = (label: string, text: string) => this.services.vault.keyedDigest(tenant, label, text);
    return {
      key: digest('idempotency-key', idempotencyKey),
      request: digest('idempotency-request', `${name} ${JSON.stringify(askedFor(input))}`),
    };
  }

  /** A write that found nothing to change was done all the same. */
  private recordNothing(operation: AnyOperation, { document, services, demanded }: Scope, input: unknown): void {
    const { name, kind } = operation;
    const policy = services.policy.hash;
    const done = { operation: name, kind, outcome: 'success', code: null, accesses: [] } as const;
    const obligations = [...demanded].sort();
    document.record({ ...document.frame(), policy, obligations, ...done }, [{ operation, input }]);
  }

  /** Rules are those of the refused operation alone: where there are none, no rule permits it. */
  private recordRefusal(
    operation: AnyOperation,
    document: Document,
    failure: Failure,
    input: unknown,
    said: Pick<RecordDraft, 'rules' | 'consents' | 'obligations'>,
  ): void {
    if (document.actor === null) return;
    const draft = {
      ...document.frame(),
      policy: document.governedBy(this.services.policies).hash,
      operation: operation.name,
      kind: operation.kind,
      outcome: DENIALS.has(failure.code) ? 'denied' : 'failed',
      code: failure.options.recordedAs ?? failure.code,
      accesses: [],
      ...said,
    } as const;
    document.record(draft, [{ operation, input }]);
  }
}

const NO_GROUNDS: Grounds = { ruleIds: [], consents: [] };

/** What a record says of the decision that was refused, or that let through what was refused later. */
function saidOf(decision: Decision | null, scope: Scope | null) {
  const { ruleIds, consents } = decision?.allowed === true ? decision : NO_GROUNDS;
  return { rules: [...ruleIds].sort(), consents, obligations: [...(scope?.demanded ?? [])].sort() };
}

const DENIALS = new Set([
  'FORBIDDEN',
  'NOT_FOUND',
  'PURPOSE_REQUIRED',
  'PURPOSE_NOT_PERMITTED',
  'FIELD_NOT_FILTERABLE',
  'RATE_LIMITED',
  'BULK_LIMIT',
  'QUERY_COST_EXCEEDED',
  'CURSOR_INVALID',
  'STEP_UP_REQUIRED',
  'CONSENT_REQUIRED',
  'CONSENT_WITHDRAWN',
  'GUARDIAN_CONSENT_REQUIRED',
]);
