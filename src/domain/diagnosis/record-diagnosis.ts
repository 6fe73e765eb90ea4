import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { Subject, Writing } from '../../operation/writing.js';
import type { View } from '../../operation/view.js';
import { compartmentOf, icdChapterOf } from '../terminology/compartment.js';

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
    return stageDiagnosis(scope.write, subject, { ...values, recordedAt }).view;
  },
});

/** Stages a diagnosis in a unit; also the import's way. */
export function stageDiagnosis(
  write: Writing,
  subject: Subject,
  values: DiagnosisValues,
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
  const label = compartmentOf(codeSystem, values.code);
  const chapter = label === 'NONE' ? icdChapterOf(values.code) : null;
  return write.create(
    'Diagnosis',
    { ...values, codeSystem, clinicalStatus },
    { subject, internal: { compartment: label, icd_chapter: chapter, ...internal } },
  );
}
