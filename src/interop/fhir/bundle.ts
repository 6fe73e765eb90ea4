import { mapCondition, isDenied, type MappedDiagnosis } from './condition.js';
import { stableJson } from './content.js';
import { Element, rejection } from './element.js';
import { mapEncounter, type MappedVisit } from './encounter.js';
import { identifiersOf, sourceKey } from './identifier.js';
import { mapOrganization } from './organization.js';
import { mapPatient, type MappedPatient } from './patient.js';
import { mapPractitioner, type NamedValues } from './practitioner.js';
import { References, type Referable } from './reference.js';
import { isTaken, reportedType, type TakenType } from './resource-types.js';

interface Said {
  /** Where it stands in the bundle, for reasons: `entry 12 (Encounter)`. */
  readonly place: string;
  readonly key: string;
  /** What is compared when the resource comes again. */
  readonly content: string;
}
export type MappedResource =
  | (Said & { readonly type: 'Organization' | 'Practitioner'; readonly mapped: NamedValues })
  | (Said & { readonly type: 'Patient'; readonly mapped: MappedPatient })
  | (Said & { readonly type: 'Encounter'; readonly mapped: MappedVisit })
  | (Said & { readonly type: 'Condition'; readonly mapped: MappedDiagnosis });

export interface MappedBundle {
  readonly resources: readonly MappedResource[];
  /** Resources by type that are left out, and those that are said twice. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly repeated: Readonly<Record<string, number>>;
}

interface Entry {
  readonly resource: Element;
  readonly referable: Referable;
}

const BUNDLE_TYPES = ['transaction', 'collection'];
/** What a transaction may ask for: everything else changes or deletes, which an import does not. */
const METHODS = ['POST', 'PUT'];

/**
 * Reads a FHIR R4 bundle from JSON text. Pure: the same text gives the same bundle. Throws BAD_USER_INPUT with the place
 * and the reason for a bundle that cannot be taken as a whole.
 */
export function readBundle(text: string): MappedBundle {
  const bundle = bundleOf(text);
  const skipped: Record<string, number> = {};
  const entries: Entry[] = [];
  for (const [index, entry] of bundle.children('entry').entries()) {
    const place = `entry ${index + 1}`;
    const resource = entry.child('resource');
    if (resource === null) throw rejection(place, 'has no resource');
    const method = entry.child('request')?.text('method') ?? 'POST';
    if (!METHODS.includes(method)) throw rejection(place, 'asks for something else than to create its resource');
    const type = resource.text('resourceType');
    const reported = reportedType(type);
    const named = resource.at(`${place} (${reported})`);
    if (type === null || !isTaken(type) || (type === 'Condition' && isDenied(named))) {
      skipped[reported] = (skipped[reported] ?? 0) + 1;
    } else entries.push({ resource: named, referable: referableOf(named, type, entry.line('fullUrl')) });
  }
  if (entries.length === 0 && Object.keys(skipped).length === 0) throw rejection('bundle', 'has no entries');
  const references = new References();
  for (const { referable } of entries) references.add(referable);
  return { ...distinct(entries.map((entry) => mapEntry(entry, references))), skipped };
}

function bundleOf(text: string): Element {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw rejection('file', 'is not JSON');
  }
  const bundle = Element.of(value, 'bundle');
  if (bundle.text('resourceType') !== 'Bundle') throw rejection('file', 'is not a Bundle of FHIR');
  if (BUNDLE_TYPES.includes(bundle.text('type') ?? '')) return bundle;
  throw rejection('bundle', `is not of type ${BUNDLE_TYPES.join(' or ')}`);
}

function referableOf(resource: Element, type: TakenType, fullUrl: string | null): Referable {
  const identifiers = identifiersOf(resource);
  const resourceId = resource.line('id') ?? /^urn:(?:uuid|oid):(.+)$/.exec(fullUrl ?? '')?.[1] ?? null;
  const key = sourceKey(identifiers, resourceId);
  if (key === null) throw resource.refuse('id', 'is missing, and there is no identifier with a system');
  return { type, place: resource.place, key, fullUrl, resourceId, identifiers };
}

function mapEntry({ resource, referable }: Entry, references: References): MappedResource {
  const { key, place, type } = referable;
  const said = <Mapped>(mapped: Mapped) => ({ place, key, content: stableJson(mapped), mapped });
  switch (type) {
    case 'Organization':
      return { type, ...said(mapOrganization(resource)) };
    case 'Practitioner':
      return { type, ...said(mapPractitioner(resource)) };
    case 'Patient':
      return { type, ...said(mapPatient(resource)) };
    case 'Encounter':
      return { type, ...said(mapEncounter(resource, references)) };
    case 'Condition':
      return { type, ...said(mapCondition(resource, references)) };
  }
}

/** Each resource once. The same source key with another content rejects the bundle: nobody can tell which one is true. */
function distinct(all: readonly MappedResource[]): Pick<MappedBundle, 'resources' | 'repeated'> {
  const byKey = new Map<string, MappedResource>();
  const repeated: Record<string, number> = {};
  for (const resource of all) {
    const name = `${resource.type} ${resource.key}`;
    const earlier = byKey.get(name);
    if (earlier === undefined) byKey.set(name, resource);
    else if (earlier.content === resource.content) repeated[resource.type] = (repeated[resource.type] ?? 0) + 1;
    else throw rejection(resource.place, `has the source key of ${earlier.place}, but says something else`);
  }
  const resources = [...byKey.values()];
  checkSubjects(resources);
  return { resources, repeated };
}

/** A diagnosis made in somebody else's visit would tell one patient's data to another's team. */
function checkSubjects(resources: readonly MappedResource[]): void {
  const subjectOfVisit = new Map<string, string>();
  for (const one of resources) if (one.type === 'Encounter') subjectOfVisit.set(one.key, one.mapped.references.subject);
  for (const one of resources) {
    if (one.type !== 'Condition' || one.mapped.references.visit === null) continue;
    const subject = subjectOfVisit.get(one.mapped.references.visit);
    if (subject !== undefined && subject !== one.mapped.references.subject) {
      throw rejection(one.place, 'encounter is the encounter of another patient');
    }
  }
}
