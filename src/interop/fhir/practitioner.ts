import type { Element } from './element.js';
import { nameOf } from './human-name.js';
import { identifiersOf, professionalNumber } from './identifier.js';

export interface NamedValues {
  readonly name: string;
  readonly identifier: string | null;
}

/** FHIR R4 Practitioner: name and professional number. Private numbers, addresses and birth dates are left out. */
export function mapPractitioner(resource: Element): NamedValues {
  const name = nameOf(resource.children('name'));
  if (name === null) throw resource.refuse('name', 'is missing');
  return { name, identifier: professionalNumber(identifiersOf(resource)) };
}
