import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/**
 * The register of what left about a patient, newest first: also what is excluded from the accounting or suspended. For
 * those who keep it; the patient gets the accounting.
 */
export const listDisclosures = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.disclosures',
  kind: 'SEARCH',
  action: 'read',
  type: 'Disclosure',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('Disclosure', patient, page),
});

/** The accountings that were given out about a patient, newest first. */
export const listAccountingRequests = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.accountingRequests',
  kind: 'SEARCH',
  action: 'read',
  type: 'AccountingRequest',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('AccountingRequest', patient, page),
});
