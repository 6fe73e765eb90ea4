import { defineOperation } from '../../operation/operation.js';
import type { Connection } from '../../operation/connection.js';
import type { ListArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** The care teams of the tenant. */
export const listCareTeams = defineOperation<ListArguments, Connection>({
  name: 'careTeams',
  kind: 'SEARCH',
  action: 'read',
  type: 'CareTeam',
  mode: 'read',
  handler: (scope, input) => scope.list('CareTeam', input),
});

/** The care relationships of a patient, latest first. */
export const listAssignments = defineOperation<{ readonly patient: View }, View[]>({
  name: 'Patient.careTeam',
  kind: 'SEARCH',
  action: 'read',
  type: 'CareTeamAssignment',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: async (scope, { patient }) => {
    const assignments = await scope.children('CareTeamAssignment', patient, { first: 50 });
    return assignments.edges.map((edge) => edge.node);
  },
});

/** The team of a care relationship. */
export const assignedTeam = defineOperation<{ readonly id: string | null }, View | null>({
  name: 'CareTeamAssignment.careTeam',
  kind: 'READ',
  action: 'read',
  type: 'CareTeam',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { id }) => scope.reference('CareTeam', id),
});
