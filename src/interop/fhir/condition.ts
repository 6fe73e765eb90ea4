import type { DiagnosisValues } from '../../domain/diagnosis/record-diagnosis.js';
import { codeOf, codingOf } from './coding.js';
import type { Element } from './element.js';
import { keyOf, subjectOf } from './encounter.js';
import { dateOf, instantOf } from './moment.js';
import type { References } from './reference.js';

/** References of a diagnosis, by source key. */
export interface DiagnosisReferences {
  readonly subject: string;
  readonly visit: string | null;
}
export interface MappedDiagnosis {
  readonly values: DiagnosisValues;
  readonly references: DiagnosisReferences;
}

/** Verification statuses that say: this patient does not have it. */
const NOT_THE_CASE = ['refuted', 'entered-in-error'];

/** True for a condition that is no diagnosis: recording it would say the opposite of what its source says. */
export function isDenied(resource: Element): boolean {
  return NOT_THE_CASE.includes(codeOf(resource.child('verificationStatus')) ?? '');
}

/** FHIR R4 Condition. Severity, stage, evidence, body site, category and who recorded it are left out. */
export function mapCondition(resource: Element, references: References): MappedDiagnosis {
  const coding = codingOf([resource.child('code')].filter((concept) => concept !== null));
  if (coding === null) throw resource.refuse('code', 'is missing');
  const onsetPeriod = resource.child('onsetPeriod');
  const onsetDate = dateOf(resource, 'onsetDateTime') ?? (onsetPeriod === null ? null : dateOf(onsetPeriod, 'start'));
  return {
    values: {
      code: coding.code ?? '',
      codeSystem: coding.system,
      display: coding.display,
      clinicalStatus: codeOf(resource.child('clinicalStatus')) ?? (hasAbated(resource) ? 'resolved' : 'active'),
      onsetDate,
      recordedAt: instantOf(resource, 'recordedDate') ?? instantOf(resource, 'onsetDateTime'),
    },
    references: {
      subject: subjectOf(resource, references),
      visit: keyOf(references, resource.child('encounter'), 'Encounter'),
    },
  };
}

function hasAbated(resource: Element): boolean {
  return ['DateTime', 'Age', 'Period', 'Range', 'String'].some((kind) => resource.has(`abatement${kind}`));
}
