import { registry, type NounDeclaration } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { isId, newId, newReference } from '../kernel/identifier.js';
import type { RecordDraft } from '../ledger/record.js';
import { sealedColumn } from '../persistence/attribute.js';
import type { Decision, PolicyAction } from '../policy/decision.js';
import type { RowChange } from './detail-text.js';
import { checkInput } from './input.js';
import { refuseEcho } from './masked-echo.js';
import { asParent, newFacts, readFacts, type Facts } from './row-facts.js';
import { indexesOf } from './row-indexes.js';
import { subjectErased } from './erasure-failures.js';
import { sealAddress } from './noun-table.js';
import type { AnyOperation } from './operation.js';
import { countAnswered, ownRow } from './own-row.js';
import type { Scope } from './scope.js';
import {
  changedFacts,
  changedValues,
  openAll,
  plainColumns,
  sealedColumns,
  sealedGroups,
  namedKeys,
  subjectKeyRow,
} from './sealed-row.js';
import { fetchStored, StoredRow } from './stored-row.js';
import { Unit } from './unit.js';
import type { Pattern, Row, View } from './view.js';
import { WriteRecord } from './write-record.js';
import type { SubjectKeyRow } from '../vault/vault.js';

/** The patient that a write concerns: key, name in the ledger, and the facts that child policies inherit. */
export interface Subject {
  readonly id: string;
  readonly reference: string;
  readonly facts: Facts;
}
export interface CreateOptions {
  readonly subject?: Subject;
  /** Of a row that is a subject of its own: see `Writing.newSubject`. */
  readonly key?: SubjectKeyRow;
  /** Columns without a class: labels, references, source keys. Set by the domain, never by a client. */
  readonly internal?: Readonly<Record<string, unknown>>;
}
export interface Created {
  readonly id: string;
  readonly view: View;
  readonly facts: Facts;
  /** The new subject, when the row is one. */
  readonly subject: Subject | null;
}

type Values = Readonly<Record<string, unknown>>;

/** Whose row it is: both empty where it is nobody's. */
interface Owner {
  readonly reference: string;
  readonly subjectId: string;
}

/** The writes of one operation: checked against the policy before and after, sealed by group, staged in one unit. */
export class Writing {
  readonly unit = new Unit();
  /** What the ledger says of this unit. */
  readonly record = new WriteRecord();
  private readonly answers: {
    readonly pattern: Pattern;
    readonly reference: string | null;
    readonly subjectId: string;
  }[] = [];
  private readonly grounds = { ruleIds: [] as string[], consents: [] as string[] };
  /** What the record of this unit says of a file. */
  detail: RecordDraft['detail'];
  /** What a caller hears whose change came second, where that is more than another version. */
  conflict: Failure | null = null;

  constructor(private readonly scope: Scope) {}

  /** Notes in the document what the answers show. Once the unit is committed: before that, nobody sees them. */
  showAnswers(operation: AnyOperation): void {
    const { document, services } = this.scope;
    if (this.answers.length > 0) document.beginRead(operation, services.policy.hash, this.grounds);
    for (const { pattern, reference, subjectId } of this.answers) document.gather(pattern, reference, subjectId);
  }

  /** Id, name in the ledger and key for a row that is a subject of its own, to be created by this unit. */
  newSubject(): Promise<SubjectKeyRow> {
    const { actor, services, now } = this.scope;
    return services.vault.createSubjectKey(actor.tenant, newId(now.getTime()), newReference());
  }

  /** Stages a new row. FORBIDDEN when the policy does not let the actor write one of the fields or make such a row. */
  create(type: string, values: Values, options: CreateOptions = {}): Created {
    const { actor, services, now } = this.scope;
    const noun = registry.noun(type);
    const decision = this.permission('create', type);
    const checked = this.checked(noun, decision, values);
    const isSubject = noun.subject === 'self';
    const id = isSubject ? newSubject(options).subjectId : newId(now.getTime());
    const reference = isSubject ? newSubject(options).reference : (options.subject?.reference ?? '');
    const subjectId = isSubject ? id : (options.subject?.id ?? '');
    const row: Record<string, unknown> = { id, tenant_id: actor.tenant };
    const version = noun.attributes.has('version') ? 1 : 0;
    if (version > 0) row['version'] = version;
    if (noun.attributes.has('createdAt')) row['created_at'] = now;
    if (isSubject) Object.assign(row, { subject_reference: reference, care_team_ids: [] });
    if (typeof noun.subject === 'object') row[noun.subject.foreignKey] = subjectId;
    if (isSubject) this.unit.insert('subject_key', subjectKeyRow(newSubject(options)));
    Object.assign(
      row,
      options.internal,
      plainColumns(noun, checked, checked, actor.country),
      indexesOf(this.scope, noun, checked),
    );
    const address = { tenant: actor.tenant, type, rowId: id, version, subjectId };
    for (const [group, members] of sealedGroups(noun, checked)) {
      row[sealedColumn(group)] = services.vault.seal(address, group, members);
    }
    const facts = { ...newFacts(noun, row, actor, services.policy.consentScopes, now), ...options.subject?.facts };
    if (!decision.matches(facts)) throw this.refusal(type, options.subject);
    this.unit.insert(noun.table, row);
    if (noun.maintains !== null && options.subject !== undefined) {
      const parent = registry.noun(typeof noun.subject === 'object' ? noun.subject.parent : type);
      const value = String(checked[noun.maintains.from]);
      this.unit.include(parent.table, { tenant: actor.tenant, id: subjectId }, noun.maintains.column, value);
    }
    this.note({ type, id, after: checked }, checked, { reference, subjectId }, decision);
    const subject = isSubject ? { id, reference, facts: asParent(facts) } : null;
    return { id, facts, subject, view: this.answer(noun, row, checked, facts, { reference, subjectId }) };
  }

  /** Stages a patch: absent fields stay. VERSION_CONFLICT: not at `version`. BULK_LIMIT: the answer would show too much. */
  async update(
    type: string,
    id: string,
    version: number,
    changes: Values,
    options: { action?: PolicyAction } = {},
  ): Promise<View> {
    const { actor, services } = this.scope;
    const noun = registry.noun(type);
    const decision = this.permission(options.action ?? 'update', type);
    const checked = this.checked(noun, decision, changes);
    const { row: current, facts: before } = await this.found(type, id);
    if (!decision.matches(before)) throw this.refusal(type, undefined);
    if (current['version'] !== version) throw versionConflict(type);
    if (Object.keys(checked).length === 0) {
      throw new Failure('BAD_USER_INPUT', 'The change changes nothing.', 'Send at least one field.');
    }
    const address = sealAddress(actor.tenant, type, current);
    await countAnswered(this.scope, noun, before, address.subjectId);
    const sealed = namedKeys(current, address.subjectId);
    await services.vault.loadSubjectKeysOf(actor.tenant, [sealed], this.scope.document.keyUse);
    const opened = openAll(noun, current, (group, sealed) => services.vault.open(address, group, sealed));
    refuseEcho(this.scope, noun, before, { ...current, ...opened }, checked);
    const merged = { ...opened, ...checked };
    const columns: Record<string, unknown> = {
      ...plainColumns(noun, merged, checked, actor.country),
      ...indexesOf(this.scope, noun, merged),
    };
    // Every group, because each is bound to the version that the row has after this change.
    const next = { ...address, version: version + 1 };
    for (const column of sealedColumns(noun)) if (current[column] !== null) columns[column] = null;
    for (const [group, members] of sealedGroups(noun, merged)) {
      columns[sealedColumn(group)] = services.vault.seal(next, group, members);
    }
    const after = { ...before, ...changedFacts(noun, columns, this.scope.now) };
    if (!decision.matches(after)) throw this.refusal(type, undefined);
    this.unit.update(noun.table, { tenant: actor.tenant, id, version }, columns);
    const owner = { reference: String(current['subject_reference']), subjectId: address.subjectId };
    const change = { type, id, ...changedValues(noun, { ...current, ...opened }, checked) };
    this.note(change, checked, owner, decision);
    return this.answer(noun, { ...current, ...columns, version: version + 1 }, merged, after, owner);
  }

  /** Refuses, as `update` would, who may not change a row: before work that is in vain without the change. */
  async allowUpdate(type: string, id: string): Promise<void> {
    const decision = this.permission('update', type);
    if (!decision.matches((await this.found(type, id)).facts)) throw this.refusal(type, undefined);
  }

  /** Stages the membership of an account in a care team that this unit creates. */
  join(careTeamId: string, accountId: string): void {
    const { tenant } = this.scope.actor;
    this.unit.insert('care_team_member', { tenant_id: tenant, care_team_id: careTeamId, account_id: accountId });
  }

  /**
   * The parent of a row that is to be created: facts for the policy, reference for the ledger. One that the caller may not
   * see is told like a missing one, before anything else of the request is looked at. `unseen`: for a row whose creation is
   * the way to see the parent.
   */
  async subject(type: string, id: string, unseen = false): Promise<Subject> {
    const { row, facts } = await this.found(type, id, unseen);
    const { services, actor, document } = this.scope;
    await services.vault.loadSubjectKeys(actor.tenant, [id], document.keyUse);
    return { id, reference: String(row['subject_reference']), facts: asParent(facts) };
  }

  /** The row as it is stored, for a rule of the domain. One that the caller may not see is told like a missing one. */
  async stored(type: string, id: string): Promise<StoredRow> {
    const { row } = await this.found(type, id);
    const { actor, document, services } = this.scope;
    const stored = new StoredRow(services.vault, actor.tenant, registry.noun(type), row);
    await services.vault.loadSubjectKeysOf(actor.tenant, [namedKeys(row, stored.subjectId)], document.keyUse);
    return stored;
  }

  private async found(
    type: string,
    id: string,
    unseen = false,
  ): Promise<{ row: Record<string, unknown>; facts: Facts }> {
    const row = isId(id) ? await fetchStored(this.scope, registry.noun(type), id) : null;
    if (row === null) throw notFound();
    const facts = readFacts(registry.noun(type), row);
    if (!unseen && !this.readable(type, facts)) throw notFound('NO_CARE_RELATIONSHIP');
    if (row['erased'] === true) throw subjectErased();
    return { row, facts };
  }

  private permission(action: PolicyAction, type: string): Decision {
    const decision = this.scope.obliged(action, type);
    if (decision.allowed) return decision;
    throw new Failure(
      'FORBIDDEN',
      `You may not ${action} ${type} for this purpose.`,
      'State another purpose, or ask the security team.',
    );
  }

  private readable(type: string, facts: Facts): boolean {
    const decision = this.scope.decide('read', type);
    return decision.allowed && decision.matches(facts);
  }

  private checked(noun: NounDeclaration, decision: Decision, values: Values): Record<string, unknown> {
    const writable = decision.writableFields();
    const checked: Record<string, unknown> = {};
    for (const [field, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const attribute = registry.attribute(noun.type, field);
      if (!writable.has(field)) {
        throw new Failure(
          'FORBIDDEN',
          `You may not write ${noun.type}.${field} for this purpose.`,
          'Leave the field out.',
        );
      }
      checked[field] = checkInput(noun.type, attribute, value);
    }
    return checked;
  }

  private note(change: RowChange, written: Values, { reference, subjectId }: Owner, decision: Decision): void {
    this.record.note(change, Object.keys(written), reference, decision);
    if (reference !== '') this.scope.document.know(reference, subjectId);
  }

  /**
   * The payload of a write is a read like any other: under the read decision, masked, in the document's read record. Of a
   * row that the caller made and may not see, it has the public fields alone: they come from him or from the clock.
   */
  private answer(noun: NounDeclaration, row: Values, opened: Values, facts: Facts, owner: Owner): View {
    const { reference, subjectId } = owner;
    const { selection, circumstances } = this.scope;
    const { reading, bits, recorded, grounds } = ownRow(this.scope, noun, facts);
    if (selection.fields.size > 0 || selection.fieldAccess) {
      this.answers.push({ pattern: recorded, reference: reference === '' ? null : reference, subjectId });
      this.grounds.ruleIds.push(...grounds.ruleIds);
      this.grounds.consents.push(...grounds.consents);
    }
    return reading.render(reading.pattern(bits), { ...row, bits } as Row, opened, circumstances);
  }

  private refusal(type: string, subject: Subject | undefined): Failure {
    if (subject !== undefined) return notFound('NO_CARE_RELATIONSHIP');
    return new Failure(
      'FORBIDDEN',
      `You may not write this ${type} for this purpose.`,
      'State another purpose, or ask the security team.',
    );
  }
}

function newSubject({ key }: CreateOptions): SubjectKeyRow {
  if (key === undefined) throw new Error('A new subject has a key: see Writing.newSubject.');
  return key;
}

export function versionConflict(type: string): Failure {
  return new Failure(
    'VERSION_CONFLICT',
    `The ${type} was changed by somebody else.`,
    'Read it again and repeat the change.',
  );
}
