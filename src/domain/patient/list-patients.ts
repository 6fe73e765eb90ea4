import { defineOperation } from '../../operation/operation.js';
import type { ListArguments } from '../../operation/reader.js';
import type { Connection } from '../../operation/connection.js';

/** The patients that the caller may see for the stated purpose, newest first unless sorted otherwise. */
export const listPatients = defineOperation<ListArguments, Connection>({
  name: 'patients',
  kind: 'SEARCH',
  action: 'read',
  type: 'Patient',
  mode: 'read',
  handler: (scope, input) => scope.list('Patient', input),
});
