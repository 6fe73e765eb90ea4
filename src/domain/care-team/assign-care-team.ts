import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export interface AssignCareTeamArguments {
  readonly patientId: string;
  readonly careTeamId: string;
}

/** Makes a care team responsible for a patient: its members see the patient from the next request on. */
export const assignCareTeam = defineOperation<AssignCareTeamArguments, View>({
  name: 'assignCareTeam',
  kind: 'CREATE',
  action: 'create',
  type: 'CareTeamAssignment',
  mode: 'write',
  handler: async (scope, { patientId, careTeamId }) => {
    const subject = await scope.write.subject('Patient', patientId);
    const values = { careTeamId, assignedAt: scope.now.toISOString() };
    return scope.write.create('CareTeamAssignment', values, { subject }).view;
  },
});
