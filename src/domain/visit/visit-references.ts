import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

/** Who saw the patient. Null where it is not known or not shown. */
export const visitPractitioner = defineOperation<{ readonly id: string | null }, View | null>({
  name: 'Visit.practitioner',
  kind: 'READ',
  action: 'read',
  type: 'Practitioner',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { id }) => scope.reference('Practitioner', id),
});

/** Where the patient was seen. Null where it is not known or not shown. */
export const visitOrganization = defineOperation<{ readonly id: string | null }, View | null>({
  name: 'Visit.organization',
  kind: 'READ',
  action: 'read',
  type: 'Organization',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { id }) => scope.reference('Organization', id),
});
