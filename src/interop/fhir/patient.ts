import type { PatientValues } from '../../domain/patient/patient-values.js';
import { addressOf } from './address.js';
import type { Element } from './element.js';
import { nameOf } from './human-name.js';
import { identifiersOf, insuranceNumber, nationalNumber } from './identifier.js';
import { dateOf } from './moment.js';

export interface MappedPatient {
  readonly values: PatientValues;
  readonly status: 'active' | 'inactive';
}

/** FHIR R4 Patient. Race, language, marital status, contacts, links and the date of death are left out. */
export function mapPatient(resource: Element): MappedPatient {
  const identifiers = identifiersOf(resource);
  const telecoms = resource.children('telecom');
  return {
    values: {
      name: nameOf(resource.children('name')),
      gender: resource.text('gender'),
      birthDate: dateOf(resource, 'birthDate'),
      phone: contactOf(telecoms, 'phone')?.replace(/^tel:/iu, '') ?? null,
      email: contactOf(telecoms, 'email')?.replace(/^mailto:/iu, '') ?? null,
      address: addressOf(resource.children('address')),
      nationalId: nationalNumber(identifiers),
      insuranceNumber: insuranceNumber(identifiers),
    },
    status: resource.flag('active') === false ? 'inactive' : 'active',
  };
}

/** The contact that is to be used first: by rank, then the mobile one, then as they stand. Old ones are left out. */
function contactOf(telecoms: readonly Element[], system: 'phone' | 'email'): string | null {
  const [first] = telecoms
    .filter((telecom) => telecom.text('system') === system && telecom.text('use') !== 'old')
    .map((telecom) => ({
      value: telecom.line('value'),
      rank: telecom.count('rank') ?? Number.MAX_SAFE_INTEGER,
      mobile: telecom.text('use') === 'mobile' ? 0 : 1,
    }))
    .filter((contact) => contact.value !== null)
    .sort((a, b) => a.rank - b.rank || a.mobile - b.mobile);
  return first?.value ?? null;
}
