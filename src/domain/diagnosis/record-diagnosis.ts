import { registry } from '../../kernel/attribute.js';
import { Failure } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import { fetchStored } from '../../operation/stored-row.js';
import type { Subject, Writing } from '../../operation/writing.js';
import type { View } from '../../operation/view.js';
import { compartmentOf, icdChapterOf, stricterLabel, type Compartment } from '../terminology/compartment.js';

export interface DiagnosisValues {
  readonly code: string;
  /** `ICD-10` unless stated; any other system has no chapter and stays with the treating team. */
  readonly codeSystem?: string | null;
  readonly display?: string | null;
  readonly clinicalStatus?: string | null;
  readonly onsetDate?: string | null;
  readonly recordedAt?: string | null;
  readonly visitId?: string | null;
}
export type RecordDiagnosisArguments = DiagnosisValues & { readonly patientId: string };

/** Condition clinical status of FHIR R4. */
const STATUSES = ['active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved'];

/** Records a diagnosis. Chapter and compartment follow from the code, never from the caller. */
export const recordDiagnosis = defineOperation<RecordDiagnosisArguments, View>({
  name: 'recordDiagnosis',
  kind: 'CREATE',
  action: 'create',
  type: 'Diagnosis',
  mode: 'write',
  handler: async (scope, { patientId, ...values }) => {
    const subject = await scope.write.subject('Patient', patientId);
    if (!values.code.trim()) throw new Failure('BAD_USER_INPUT', 'Diagnosis.code is required.', 'Send a code.');
    const recordedAt = values.recordedAt ?? scope.now.toISOString();
    const ofVisit = await storedLabel(scope, values.visitId ?? null);
    return stageDiagnosis(scope.write, subject, { ...values, recordedAt }, ofVisit).view;
  },
});

/** The label of a visit, whether or not the caller may see it; NONE where there is no such visit. */
export async function storedLabel(scope: Scope, visitId: string | null): Promise<Compartment> {
  const row = visitId !== null && isId(visitId) ? await fetchStored(scope, registry.noun('Visit'), visitId) : null;
  return row === null ? 'NONE' : (String(row['compartment']) as Compartment);
}

/**
 * Stages a diagnosis in a unit; also the import's way. What was found at a visit lies in the compartment of the visit: else
 * the diagnosis would name it to everybody from whom it is withheld. A code of another compartment keeps its own, which no
 * visit may widen, and then the visit is not named.
 */
export function stageDiagnosis(
  write: Writing,
  subject: Subject,
  values: DiagnosisValues,
  ofVisit: Compartment,
  internal: Record<string, unknown> = {},
) {
  const codeSystem = values.codeSystem ?? 'ICD-10';
  const clinicalStatus = values.clinicalStatus ?? 'active';
  if (!STATUSES.includes(clinicalStatus)) {
    throw new Failure(
      'BAD_USER_INPUT',
      `Diagnosis.clinicalStatus is one of ${STATUSES.join(', ')}.`,
      'Send one of them.',
    );
  }
  const ofCode = compartmentOf(codeSystem, values.code);
  const label = stricterLabel(ofCode, ofVisit);
  const chapter = label === 'NONE' ? icdChapterOf(values.code) : null;
  const named = stricterLabel(ofVisit, label) === label ? {} : { visitId: null };
  return write.create(
    'Diagnosis',
    { ...values, ...named, codeSystem, clinicalStatus },
    { subject, internal: { compartment: label, icd_chapter: chapter, ...internal } },
  );
}
