import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { ListArguments } from '../../operation/reader.js';

/** The forms of the tenant, newest first unless sorted otherwise. */
export const listConsentForms = defineOperation<ListArguments, Connection>({
  name: 'consentForms',
  kind: 'SEARCH',
  action: 'read',
  type: 'ConsentForm',
  mode: 'read',
  handler: (scope, input) => scope.list('ConsentForm', input),
});
