import { compartmentOfDepartment, type Compartment } from '../../domain/terminology/compartment.js';
import { stageDiagnosis, storedLabel } from '../../domain/diagnosis/record-diagnosis.js';
import { checkPatient } from '../../domain/patient/patient-values.js';
import { stageVisit, type VisitValues } from '../../domain/visit/create-visit.js';
import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import type { Imported } from '../../operation/sources.js';
import type { Subject } from '../../operation/writing.js';
import { readBundle, type MappedBundle, type MappedResource } from './bundle.js';
import { rejection } from './element.js';
import { TAKEN_TYPES, type TakenType } from './resource-types.js';

export interface ImportBundleArguments {
  /** The bundle as it came: JSON text. */
  readonly text: string;
  /** The team that becomes responsible for the patients that are new. */
  readonly careTeamId: string | null;
}

/** Number of resources by FHIR type. */
export type Counts = Readonly<Record<string, number>>;

export interface ImportedBundle {
  readonly created: Counts;
  readonly unchanged: Counts;
  readonly skipped: Counts;
  /** Ids of the patients of the bundle that were there before. */
  readonly knownPatients: readonly string[];
}

type Of<Type extends TakenType> = Extract<MappedResource, { readonly type: Type }>;

/** One record of the ledger names the patients of a bundle. */
const MOST_PATIENTS = 150;
/** PostgreSQL takes 65,535 parameters in one statement, and no row has more than twenty. */
const MOST_ROWS = 2_500;
const NOUNS: Record<TakenType, string> = {
  Organization: 'Organization',
  Practitioner: 'Practitioner',
  Patient: 'Patient',
  Encounter: 'Visit',
  Condition: 'Diagnosis',
};

/**
 * Takes one FHIR R4 bundle: all of it in one statement with its ledger record, or nothing. What was imported before with
 * the same content is left alone. Throws BAD_USER_INPUT with the place and the reason for a bundle that is not taken.
 */
export const importBundle = defineOperation<ImportBundleArguments, ImportedBundle>({
  name: 'importBundle',
  kind: 'CREATE',
  action: 'create',
  type: 'Patient',
  mode: 'write',
  brings: ['Visit', 'Diagnosis'],
  withheld: ['text'],
  handler: async (scope, { text, careTeamId }) => new BundleImport(scope, readBundle(text), careTeamId).run(),
});

/** The import of one bundle. Owned by one scope; nothing is written before its operation ends. */
class BundleImport {
  /** Rows by FHIR type and source key: those of earlier imports, and those that are staged here. */
  private readonly ids = new Map<string, string>();
  private readonly subjects = new Map<string, Subject>();
  /** Of the visits that are staged here, by their ids. */
  private readonly labels = new Map<string, Compartment>();

  constructor(
    private readonly scope: Scope,
    private readonly bundle: MappedBundle,
    private readonly careTeamId: string | null,
  ) {}

  async run(): Promise<ImportedBundle> {
    const { resources, skipped, repeated } = this.bundle;
    if (resources.length > MOST_ROWS) throw rejection('bundle', `has more than ${MOST_ROWS} resources to take`);
    if (patientKeys(resources).size > MOST_PATIENTS)
      throw rejection('bundle', `has more than ${MOST_PATIENTS} patients`);
    const fresh: MappedResource[] = [];
    for (const type of TAKEN_TYPES) fresh.push(...(await this.unknown(type)));
    const isFresh = new Set(fresh);
    const known = resources.filter((one) => !isFresh.has(one));
    const knownPatients = known.filter((one) => one.type === 'Patient').map((one) => this.id('Patient', one.key) ?? '');
    await this.loadSubjects(fresh);
    for (const one of fresh) this.ids.set(nameOf(one.type, one.key), await at(one.place, () => this.stage(one)));
    return { created: count(fresh), unchanged: sum(count(known), repeated), skipped, knownPatients };
  }

  /** The resources of a type that no earlier import brought. Rejects the bundle when one was brought with another content. */
  private async unknown(type: TakenType): Promise<MappedResource[]> {
    const resources = this.bundle.resources.filter((one) => one.type === type);
    const keys = new Set([...resources.map((one) => one.key), ...this.bundle.resources.flatMap(referred(type))]);
    if (keys.size === 0) return [];
    const indexes = new Map([...keys].map((key) => [key, this.source(type, key, '').source_index]));
    const imported = await this.scope.sources.known(NOUNS[type], [...indexes.values()]);
    const earlier = new Map<string, Imported>();
    for (const [key, index] of indexes) {
      const row = imported.get(index.toString('hex'));
      if (row === undefined) continue;
      earlier.set(key, row);
      this.ids.set(nameOf(type, key), row.id);
    }
    return resources.filter((one) => {
      const row = earlier.get(one.key);
      if (row === undefined) return true;
      if (row.content.equals(this.source(type, one.key, one.content).source_content)) return false;
      throw rejection(one.place, 'changed at the source since it was imported; updating by import is not offered yet');
    });
  }

  /** The patients of earlier imports to whom something is added now. Those that are new become subjects when staged. */
  private async loadSubjects(fresh: readonly MappedResource[]): Promise<void> {
    const newPatients = new Set(fresh.filter((one) => one.type === 'Patient').map((one) => one.key));
    for (const one of fresh) {
      if (one.type !== 'Encounter' && one.type !== 'Condition') continue;
      const key = one.mapped.references.subject;
      if (this.subjects.has(key) || newPatients.has(key)) continue;
      const id = this.id('Patient', key);
      if (id === null) throw rejection(one.place, 'subject is neither in the bundle nor imported before');
      this.subjects.set(key, await this.scope.write.subject('Patient', id));
    }
  }

  /** Stages one row and gives its id. The order of types is the order of `fresh`: parents come first. */
  private async stage(resource: MappedResource): Promise<string> {
    const { write } = this.scope;
    const source = this.source(resource.type, resource.key, resource.content);
    switch (resource.type) {
      case 'Organization':
      case 'Practitioner':
        return write.create(resource.type, present(resource.mapped), { internal: { ...source } }).id;
      case 'Patient':
        return await this.stagePatient(resource, source);
      case 'Encounter': {
        const { subject, practitioner, organization } = resource.mapped.references;
        const values = {
          ...present(resource.mapped.values),
          ...present({ practitionerId: this.id('Practitioner', practitioner) }),
          ...present({ organizationId: this.id('Organization', organization) }),
        } as VisitValues;
        const made = stageVisit(write, this.subject(subject), values, { ...source, ...uncodedReason(values) });
        this.labels.set(made.id, String(made.facts['compartment']) as Compartment);
        return made.id;
      }
      case 'Condition': {
        const { subject, visit } = resource.mapped.references;
        const values = {
          recordedAt: this.scope.now.toISOString(),
          ...present({ ...resource.mapped.values, visitId: this.id('Encounter', visit) }),
          code: resource.mapped.values.code,
        };
        const visitId = values.visitId ?? '';
        const ofVisit = this.labels.get(visitId) ?? (await storedLabel(this.scope, visitId));
        return stageDiagnosis(write, this.subject(subject), values, ofVisit, { ...source }).id;
      }
    }
  }

  private async stagePatient({ key, mapped }: Of<'Patient'>, source: object): Promise<string> {
    const { write, now } = this.scope;
    const values = present(mapped.values);
    const { birthDate, ...others } = values;
    // Who types a birth date must know the day; a source system may know no more than the year.
    checkPatient(birthDate?.length === 10 ? values : others, now);
    const created = write.create('Patient', values, {
      key: await write.newSubject(),
      internal: { status: mapped.status, ...source, ...(this.careTeamId && { care_team_ids: [this.careTeamId] }) },
    });
    const { subject } = created;
    if (subject === null) throw new Error('A patient is a subject.');
    this.subjects.set(key, subject);
    if (this.careTeamId !== null) {
      const assignment = { careTeamId: this.careTeamId, assignedAt: now.toISOString() };
      write.create('CareTeamAssignment', assignment, { subject });
    }
    return created.id;
  }

  private source(type: TakenType, key: string, content: string) {
    return this.scope.sources.columns(NOUNS[type], key, content);
  }

  private subject(key: string): Subject {
    const subject = this.subjects.get(key);
    if (subject === undefined) throw new Error('The subjects of a bundle are loaded before its rows are staged.');
    return subject;
  }

  private id(type: TakenType, key: string | null): string | null {
    return key === null ? null : (this.ids.get(nameOf(type, key)) ?? null);
  }
}

/** A reason in words that no code backs: nobody can tell that it is outside the compartments. */
function uncodedReason({ reason, reasonCode, department }: VisitValues): { compartment: string } | null {
  if (!reason || reasonCode || (department && compartmentOfDepartment(department) !== 'NONE')) return null;
  return { compartment: 'UNMAPPED' };
}

function referred(type: TakenType): (resource: MappedResource) => string[] {
  return (resource) => {
    if (resource.type !== 'Encounter' && resource.type !== 'Condition') return [];
    const { references } = resource.mapped;
    const { subject, practitioner, organization, visit } = {
      practitioner: null,
      organization: null,
      visit: null,
      ...references,
    };
    const keys = {
      Patient: subject,
      Practitioner: practitioner,
      Organization: organization,
      Encounter: visit,
      Condition: null,
    };
    return keys[type] === null ? [] : [keys[type]];
  };
}

function patientKeys(resources: readonly MappedResource[]): Set<string> {
  const keys = resources.filter((one) => one.type === 'Patient').map((one) => one.key);
  return new Set([...keys, ...resources.flatMap(referred('Patient'))]);
}

/** Says where in the bundle it is that a rule of the domain refused. */
async function at<Result>(place: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'BAD_USER_INPUT') throw error;
    throw rejection(place, error.message.replace(/\.$/, ''));
  }
}

/** Without the members that say nothing: a field that was not there is not recorded as written. */
function present<Values extends object>(values: Values): { [Field in keyof Values]?: NonNullable<Values[Field]> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as never;
}

function nameOf(type: TakenType, key: string): string {
  return `${type} ${key}`;
}

function count(resources: readonly MappedResource[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type } of resources) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

export function sum(a: Counts, b: Counts): Record<string, number> {
  const total: Record<string, number> = { ...a };
  for (const [type, number] of Object.entries(b)) total[type] = (total[type] ?? 0) + number;
  return total;
}
