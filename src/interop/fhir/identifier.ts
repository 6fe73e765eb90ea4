import type { Element } from './element.js';

/** Types of identifiers by HL7 v2 table 0203, and what they are here. */
const MEDICAL_RECORD = ['MR'];
const NATIONAL = ['SS', 'NI'];
/** `NN` and the three letters of a country: `NNCHN`. */
const NATIONAL_OF_COUNTRY = /^NN[A-Z]{3}$/;
const INSURANCE = ['NIIP', 'MB', 'MC', 'MA', 'HC'];
const PROFESSIONAL = ['NPI', 'PRN', 'MD', 'LN'];

/** Systems that say the same without a type: US social security number by URL and OID, Chinese resident number by OID. */
const NATIONAL_SYSTEMS = [
  'http://hl7.org/fhir/sid/us-ssn',
  'urn:oid:2.16.840.1.113883.4.1',
  'urn:oid:2.16.156.10011.1.3',
];
const INSURANCE_SYSTEMS = ['http://hl7.org/fhir/sid/us-mbi', 'http://hl7.org/fhir/sid/us-medicare'];
const PROFESSIONAL_SYSTEMS = ['http://hl7.org/fhir/sid/us-npi', 'urn:oid:2.16.840.1.113883.4.6'];

export interface Identifier {
  readonly system: string | null;
  readonly value: string;
  readonly use: string | null;
  readonly types: readonly string[];
}

/** The identifiers of a resource that have a value. */
export function identifiersOf(resource: Element): Identifier[] {
  const identifiers: Identifier[] = [];
  for (const element of resource.children('identifier')) {
    const value = element.line('value');
    if (value === null) continue;
    const codings = element.child('type')?.children('coding') ?? [];
    const types = codings.map((coding) => coding.text('code')).filter((code) => code !== null);
    identifiers.push({ system: element.line('system'), value, use: element.text('use'), types });
  }
  return identifiers;
}

/** Resident or social security number. */
export function nationalNumber(identifiers: readonly Identifier[]): string | null {
  const found = current(identifiers).find(
    (one) => isOf(one, NATIONAL, NATIONAL_SYSTEMS) || one.types.some((type) => NATIONAL_OF_COUNTRY.test(type)),
  );
  return found?.value ?? null;
}

/** Number of the patient as an insured person. */
export function insuranceNumber(identifiers: readonly Identifier[]): string | null {
  return current(identifiers).find((one) => isOf(one, INSURANCE, INSURANCE_SYSTEMS))?.value ?? null;
}

/** Number by which a profession is exercised. Any other number of a practitioner is a private one. */
export function professionalNumber(identifiers: readonly Identifier[]): string | null {
  return current(identifiers).find((one) => isOf(one, PROFESSIONAL, PROFESSIONAL_SYSTEMS))?.value ?? null;
}

/**
 * What the source system knows a resource by: its medical record number, else its official identifier, else its first one,
 * else the id of the resource. Only an identifier with a system is unique beyond its bundle.
 */
export function sourceKey(identifiers: readonly Identifier[], resourceId: string | null): string | null {
  const unique = identifiers.filter((one) => one.system !== null && one.use !== 'old');
  const chosen =
    unique.find((one) => isOf(one, MEDICAL_RECORD, [])) ?? unique.find((one) => one.use === 'official') ?? unique[0];
  if (chosen !== undefined) return identifierKey(chosen);
  return resourceId === null ? null : resourceKey(resourceId);
}

export function identifierKey(identifier: Pick<Identifier, 'system' | 'value'>): string {
  return `${identifier.system ?? ''}|${identifier.value}`;
}

export function resourceKey(resourceId: string): string {
  return `urn:resource-id|${resourceId}`;
}

function current(identifiers: readonly Identifier[]): Identifier[] {
  return identifiers.filter((one) => one.use !== 'old');
}

function isOf(identifier: Identifier, types: readonly string[], systems: readonly string[]): boolean {
  const { system } = identifier;
  return (system !== null && systems.includes(system)) || identifier.types.some((type) => types.includes(type));
}
