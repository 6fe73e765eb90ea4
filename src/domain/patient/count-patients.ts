import { countPatients, type CountArguments, type Counts } from '../../operation/aggregate.js';
import { defineOperation } from '../../operation/operation.js';

/** How many patients there are, in groups that are large enough; no row and no patient is shown. */
export const patientCounts = defineOperation<CountArguments, Counts>({
  name: 'patientCounts',
  kind: 'SEARCH',
  action: 'aggregate',
  type: 'Patient',
  mode: 'read',
  handler: countPatients,
});
