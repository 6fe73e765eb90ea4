import type { VisitValues } from '../../domain/visit/create-visit.js';
import { codingOf } from './coding.js';
import type { Element } from './element.js';
import { endOf, instantOf } from './moment.js';
import type { References } from './reference.js';
import type { TakenType } from './resource-types.js';

/** References of a visit, by source key. */
export interface VisitReferences {
  readonly subject: string;
  readonly practitioner: string | null;
  readonly organization: string | null;
}
export interface MappedVisit {
  readonly values: VisitValues;
  readonly references: VisitReferences;
}

/** HL7 v3 ParticipationType of whoever answers for the encounter: primary performer, attender. */
const RESPONSIBLE = ['PPRF', 'ATND'];

/** FHIR R4 Encounter. Types, locations, hospitalisation and all but one reason and one participant are left out. */
export function mapEncounter(resource: Element, references: References): MappedVisit {
  const period = resource.child('period');
  const start = period === null ? null : instantOf(period, 'start');
  if (period === null || start === null) throw resource.refuse('period.start', 'is missing');
  const status = resource.text('status');
  if (status === null) throw resource.refuse('status', 'is missing');
  const reason = codingOf(resource.children('reasonCode'));
  const service = codingOf([resource.child('serviceType')].filter((concept) => concept !== null));
  const serviceText = resource.child('serviceType')?.line('text');
  return {
    values: {
      status,
      class: resource.child('class')?.text('code') ?? null,
      start,
      end: endOf(period, 'end'),
      department: serviceText ?? service?.display ?? null,
      reasonCode: reason?.code ?? null,
      reasonCodeSystem: reason?.system ?? null,
      reason: reason?.display ?? null,
    },
    references: {
      subject: subjectOf(resource, references),
      practitioner: practitionerOf(resource, references),
      organization: keyOf(references, resource.child('serviceProvider'), 'Organization'),
    },
  };
}

/** The source key of the patient that a resource is about. A group or a device as subject is no patient. */
export function subjectOf(resource: Element, references: References): string {
  const subject = references.resolve(resource.child('subject'), 'Patient');
  if (subject === null) throw resource.refuse('subject', 'is missing');
  if (subject.type !== 'Patient') throw resource.refuse('subject', 'is not a patient');
  return subject.key;
}

/** The source key of what a reference means, when it may be of this type. */
export function keyOf(references: References, reference: Element | null, type: TakenType): string | null {
  const resolved = references.resolve(reference, type);
  return resolved?.type === type ? resolved.key : null;
}

function practitionerOf(resource: Element, references: References): string | null {
  const participants = resource.children('participant').map((participant) => ({
    key: keyOf(references, participant.child('individual'), 'Practitioner'),
    responsible: participant
      .children('type')
      .flatMap((type) => type.children('coding'))
      .some((coding) => RESPONSIBLE.includes(coding.text('code') ?? '')),
  }));
  const known = participants.filter((participant) => participant.key !== null);
  return (known.find((participant) => participant.responsible) ?? known[0])?.key ?? null;
}
