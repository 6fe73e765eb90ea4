import { accessReport, type AccessReport } from '../../operation/access-report.js';
import { defineOperation } from '../../operation/operation.js';
import type { PageArguments } from '../../operation/reader.js';

/** Who saw or changed a patient's data: for the patient himself and his guardian. */
export const reportAccesses = defineOperation<PageArguments & { readonly patientId: string }, AccessReport>({
  name: 'accessReport',
  kind: 'LEDGER_READ',
  action: 'accessReport',
  type: 'Patient',
  mode: 'read',
  handler: (scope, { patientId, ...page }) => accessReport(scope, patientId, page),
});
