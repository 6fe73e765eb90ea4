import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { Subject, Writing } from '../../operation/writing.js';
import type { View } from '../../operation/view.js';
import { compartmentOf, compartmentOfDepartment, icdChapterOf } from '../terminology/compartment.js';

export interface VisitValues {
  readonly status?: string | null;
  readonly class?: string | null;
  readonly start: string;
  readonly end?: string | null;
  readonly department?: string | null;
  readonly reasonCode?: string | null;
  readonly reasonCodeSystem?: string | null;
  readonly reason?: string | null;
  readonly practitionerId?: string | null;
  readonly organizationId?: string | null;
}
export type CreateVisitArguments = VisitValues & { readonly patientId: string };

/** Encounter status of FHIR R4. */
const STATUSES = [
  'planned',
  'arrived',
  'triaged',
  'in-progress',
  'onleave',
  'finished',
  'cancelled',
  'entered-in-error',
  'unknown',
];

/** Registers a visit of a patient. The label of its compartment follows from department and reason, never from the caller. */
export const createVisit = defineOperation<CreateVisitArguments, View>({
  name: 'createVisit',
  kind: 'CREATE',
  action: 'create',
  type: 'Visit',
  mode: 'write',
  handler: async (scope, { patientId, ...values }) => {
    const subject = await scope.write.subject('Patient', patientId);
    return stageVisit(scope.write, subject, values).view;
  },
});

/** Stages a visit in a unit; also the import's way. */
export function stageVisit(
  write: Writing,
  subject: Subject,
  values: VisitValues,
  internal: Record<string, unknown> = {},
) {
  const { reasonCodeSystem, ...fields } = values;
  const status = fields.status ?? 'planned';
  if (!STATUSES.includes(status)) {
    throw new Failure('BAD_USER_INPUT', `Visit.status is one of ${STATUSES.join(', ')}.`, 'Send one of them.');
  }
  if (fields.end && Date.parse(fields.end) < Date.parse(fields.start)) {
    throw new Failure('BAD_USER_INPUT', 'Visit.end is not before its start.', 'Correct the times.');
  }
  const label = visitLabel(values.department, reasonCodeSystem ?? 'ICD-10', fields.reasonCode);
  const chapter = fields.reasonCode && label === 'NONE' ? icdChapterOf(fields.reasonCode) : null;
  return write.create(
    'Visit',
    { ...fields, status },
    { subject, internal: { compartment: label, reason_chapter: chapter, ...internal } },
  );
}

/** The stricter of the labels of department and reason. A visit without a reason is not unmapped. */
function visitLabel(department: string | null | undefined, system: string, code: string | null | undefined): string {
  const ofDepartment = department ? compartmentOfDepartment(department) : 'NONE';
  if (ofDepartment !== 'NONE') return ofDepartment;
  return code ? compartmentOf(system, code) : 'NONE';
}
