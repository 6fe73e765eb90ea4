import type { Actor } from '../kernel/actor.js';
import { registry, type DataGroup } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import { sealedColumn } from '../persistence/attribute.js';
import type { Access } from '../ledger/record.js';
import type { Decision, PolicyAction, PolicyContext } from '../policy/decision.js';
import { Connection } from './connection.js';
import { Cursors } from './cursor.js';
import type { Document } from './document.js';
import { sealAddress } from './noun-table.js';
import { refuseUnmet } from './obligations.js';
import { ownRow } from './own-row.js';
import { pageSize, positionOf, Reader } from './reader.js';
import type { FetchedRow, ListArguments, Page, PageArguments } from './reader.js';
import { readFacts } from './row-facts.js';
import { namedKeys } from './sealed-row.js';
import type { Selection } from './selection.js';
import type { ScopeServices } from './services.js';
import { Sources } from './sources.js';
import { fetchStored } from './stored-row.js';
import { publicShape, Reading, type Circumstances, type View } from './view.js';
import { Writing } from './writing.js';

const STANDARD_PAGE = 20;
const readings = new WeakMap<Decision['shape'], Map<string, Reading>>();

/** Told to nobody but those who would see the row: to others it would tell that there is one. */
function withoutConsent(denied: boolean): Failure {
  return denied
    ? new Failure('CONSENT_WITHDRAWN', 'The patient does not consent to this purpose.', 'Respect the decision.')
    : new Failure('CONSENT_REQUIRED', 'The patient has not consented to this purpose.', 'Ask the patient for consent.');
}

/**
 * The only handle on data. Bound to one actor, one purpose and one document; every read it makes carries the row predicate
 * and the visibility bits of the policy's decision, and gives out views that are already masked. Lives as long as its operation.
 */
export class Scope {
  readonly actor: Actor;
  /** Set by the door alone, when the second factor that the policy demands for this operation was given. */
  steppedUp = false;
  /** Set by the door alone: the operation has a record that is about nothing else. */
  recordedAlone = false;
  /** What the record of a read that is recorded alone says of it. */
  readonly alone = { accesses: [] as Access[], rules: [] as string[], consents: [] as string[] };
  /** Obligations that the decisions of the operation demanded, for its record. */
  readonly demanded = new Set<string>();
  private writingUnit: Writing | null = null;

  constructor(
    readonly services: ScopeServices,
    readonly document: Document,
    readonly purpose: string,
    readonly selection: Selection,
  ) {
    this.actor = document.requireActor();
  }

  get now(): Date {
    return this.document.turn?.now ?? this.services.clock.now();
  }

  get circumstances(): Circumstances {
    return { now: this.now, country: this.actor.country };
  }

  /** A decision whose obligations are met. An unknown one is not. `smallestGroup`: people of each number that is shown, and no rows. */
  obliged(action: PolicyAction, type: string, smallestGroup: number | null = null): Decision {
    const decision = this.decide(action, type);
    const { steppedUp, recordedAlone, demanded, document } = this;
    refuseUnmet(decision.obligations, { ...document.facts, steppedUp, recordedAlone, smallestGroup, demanded });
    return decision;
  }

  decide(action: PolicyAction, type: string): Decision {
    const environment = { now: this.now, address: this.document.facts.clientAddress };
    return this.services.policy.decide(this.actor, this.purpose, action, type, environment);
  }

  /** A page of a type. `totalCount` costs a second statement and is only asked for when it is selected. */
  async list(type: string, input: ListArguments): Promise<Connection> {
    const reading = this.reading(type);
    const cursors = this.cursors([type, input.filter ?? null, input.sort ?? null]);
    const reader = this.reader(reading);
    const [page, totalCount] = await Promise.all([
      reader.list(input, cursors, STANDARD_PAGE),
      this.selection.totalCount ? reader.count(input) : null,
    ]);
    return this.connection(reading, page, cursors, totalCount);
  }

  /** One record. A missing, a foreign and a forbidden one are the same to the caller; the ledger knows which it was. */
  async get(type: string, id: string): Promise<View> {
    const reading = this.reading(type);
    const row = isId(id) ? await this.reader(reading).one(id) : null;
    if (row === null) throw notFound();
    if (!row.visible) throw row.but_for_consent ? withoutConsent(row.consent_denied) : notFound('NO_CARE_RELATIONSHIP');
    const [view] = await this.show(reading, [row]);
    if (view === undefined) throw notFound();
    return view;
  }

  /** A record that the caller made before: as he may read it today or, where he may not, its public fields alone. */
  async made(type: string, id: string): Promise<View> {
    const decision = this.decide('read', type);
    if (decision.allowed) {
      const reading = this.reading(type);
      const row = await this.reader(reading).one(id);
      const [view] = row?.visible === true ? await this.show(reading, [row]) : [];
      if (view !== undefined) return view;
    }
    const noun = registry.noun(type);
    const reading = new Reading(noun, publicShape(noun), this.selection);
    const own = await this.reader(reading).one(id);
    const stored = own === null ? null : await fetchStored(this, noun, id);
    if (own === null || stored === null) throw notFound();
    const { recorded } = ownRow(this, noun, readFacts(noun, stored));
    this.document.gather(recorded, own.subject_reference, own.subject_id);
    return reading.render(reading.pattern(0), own, {}, this.circumstances);
  }

  /**
   * The page of children of one parent. Parents of the same document are asked for together: the number of statements
   * depends on the nested lists of the document, not on the number of parents. `asOf` (RFC 3339): what was in force then.
   */
  children(type: string, parent: View, input: PageArguments, asOf: string | null = null): Promise<Connection> {
    const { subject } = registry.noun(type);
    if (typeof subject !== 'object') throw new Error(`${type} has no parent.`);
    const reading = this.reading(type);
    const size = pageSize(input.first, STANDARD_PAGE);
    const after = input.after ?? null;
    const cursors = this.cursors([type, subject.foreignKey, asOf]);
    const key = JSON.stringify([type, size, after, asOf, [...this.selection.fields], this.selection.fieldAccess]);
    const load = async (parents: readonly string[]): Promise<Connection[]> => {
      const rows = await this.reader(reading).children(parents, subject.foreignKey, size, after, cursors, asOf);
      const byParent = Map.groupBy(rows, (row) => row.parent_id ?? '');
      await this.loadKeys(rows);
      return Promise.all(
        parents.map((id) => {
          const found = byParent.get(id) ?? [];
          const page = {
            rows: found.slice(0, size),
            hasNextPage: found.length > size,
            hasPreviousPage: after !== null,
          };
          return this.connection(reading, page, cursors, null);
        }),
      );
    };
    return this.document.loader<Connection>(key, load).load(parent.id);
  }

  /** The record that another one refers to, or null where there is none for the caller. Asked for together, like children. */
  reference(type: string, id: string | null): Promise<View | null> {
    if (id === null) return Promise.resolve(null);
    const reading = this.reading(type);
    const key = JSON.stringify([type, 'reference', [...this.selection.fields], this.selection.fieldAccess]);
    const load = async (ids: readonly string[]): Promise<(View | null)[]> => {
      const views = await this.show(reading, await this.reader(reading).byIds(ids));
      const byId = new Map(views.map((view) => [view.id, view]));
      return ids.map((one) => byId.get(one) ?? null);
    };
    return this.document.loader<View | null>(key, load).load(id);
  }

  /** What this operation writes. One statement per operation; nothing is written before the operation ends. */
  get write(): Writing {
    this.writingUnit ??= new Writing(this);
    return this.writingUnit;
  }

  /** Which rows came from another system, and whether they changed there. For importers. */
  get sources(): Sources {
    return new Sources(this);
  }

  get written(): Writing | null {
    return this.writingUnit;
  }

  reading(type: string): Reading {
    const decision = this.obliged('read', type);
    if (!decision.allowed) {
      throw new Failure(
        'FORBIDDEN',
        `You may not read ${type} for this purpose.`,
        'State another purpose, or ask the security team.',
      );
    }
    const key = `${[...this.selection.fields].join(' ')}${this.selection.fieldAccess ? ' +' : ''}`;
    let known = readings.get(decision.shape);
    if (known === undefined) readings.set(decision.shape, (known = new Map()));
    let reading = known.get(key);
    if (reading === undefined)
      known.set(key, (reading = new Reading(registry.noun(type), decision.shape, this.selection)));
    return reading;
  }

  context(): PolicyContext {
    return { now: this.now, timeZone: this.actor.timeZone };
  }

  /** Of the rows that the caller may read. `extra`: columns beside the selected ones. */
  reader(reading: Reading, extra: readonly string[] = []): Reader {
    const decision = this.decide('read', reading.noun.type);
    const reads = this.document.turn ?? this.services.database;
    return new Reader(reads, this.actor.tenant, reading, decision, this.context(), extra);
  }

  private cursors(list: unknown): Cursors {
    return new Cursors(this.services.vault, {
      account: this.actor.id,
      purpose: this.purpose,
      policy: this.services.policy.hash,
      list,
    });
  }

  private async connection(
    reading: Reading,
    page: Page,
    cursors: Cursors,
    totalCount: number | null,
  ): Promise<Connection> {
    const views = await this.show(reading, page.rows);
    const edges = views.map((view, index) => ({ view, position: positionOf(page.rows[index] as FetchedRow) }));
    return new Connection(edges, cursors, page, totalCount);
  }

  /** The keys of the patients of these rows, for whoever opens a sealed value. */
  async loadKeys(rows: readonly FetchedRow[]): Promise<void> {
    const sealed = rows.flatMap((row) => (row.subject_id === null ? [] : [namedKeys(row, row.subject_id)]));
    if (sealed.length === 0) return;
    await this.services.vault.loadSubjectKeysOf(this.actor.tenant, sealed, this.document.keyUse);
  }

  /** Views of rows, counted and noted for the record of the document. */
  async show(reading: Reading, rows: readonly FetchedRow[]): Promise<View[]> {
    const shown = await this.open(reading, rows);
    for (const row of rows) {
      this.document.gather(reading.patternOf(row), row.subject_reference, row.subject_id);
    }
    return shown;
  }

  /** Views of rows, whose patients are counted before. What is shown is noted by the caller. */
  async open(reading: Reading, rows: readonly FetchedRow[]): Promise<View[]> {
    const { volume } = this.decide('read', reading.noun.type);
    const { volumes } = this.services;
    const subjects = rows.map((row) => row.subject_id);
    const counting = volume === null ? null : volumes.count(this.actor, subjects, volume, this.now);
    if (counting !== null) await counting;
    await this.loadKeys(rows.filter((row) => reading.patternOf(row).groups.length > 0));
    const { circumstances } = this;
    return rows.map((row) => {
      const address = sealAddress(this.actor.tenant, reading.noun.type, row);
      return reading.show(row, address, this.services.vault, circumstances);
    });
  }

  /** The value of a sealed group, of which the subject's key is loaded; empty where the subject was erased. */
  openSealed(type: string, row: FetchedRow, group: DataGroup): Record<string, unknown> {
    const { vault } = this.services;
    const sealed = row[sealedColumn(group)];
    const address = sealAddress(this.actor.tenant, type, row);
    if (!(sealed instanceof Buffer) || !vault.hasSubjectKey(address.tenant, address.subjectId)) return {};
    return vault.open(address, group, sealed);
  }
}
