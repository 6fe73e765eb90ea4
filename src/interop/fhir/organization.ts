import type { Element } from './element.js';
import { identifiersOf } from './identifier.js';
import type { NamedValues } from './practitioner.js';

/** FHIR R4 Organization: name and official identifier. */
export function mapOrganization(resource: Element): NamedValues {
  const name = resource.line('name');
  if (name === null) throw resource.refuse('name', 'is missing');
  const identifiers = identifiersOf(resource);
  const chosen = identifiers.find((one) => one.use === 'official') ?? identifiers[0];
  return { name, identifier: chosen?.value ?? null };
}
