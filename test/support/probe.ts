import { newId } from '../../src/kernel/identifier.js';
import type { Answer, Loose, TestSystem } from './system.js';

/** The bytes of an answer without what is new in every answer: receipts, and the id of the decision. */
export function bytesOf(answer: Answer): string {
  const body = JSON.parse(answer.text) as Loose;
  delete body['extensions']?.['ledger'];
  delete body['extensions']?.['policy']?.['decisionId'];
  return `${answer.status} ${JSON.stringify(body)}`;
}

/** The nodes of the list that the document asked for under this root field. */
export function nodesOf(answer: Answer, field = 'patients'): Loose[] {
  return answer.data[field].edges.map((edge: { node: Loose }) => edge.node);
}

export function codesOf(answer: Answer): string[] {
  return answer.errors.map((error) => error.extensions.code);
}

/** The id of a patient of the demo organisation. */
export function patientId(system: TestSystem, key: string, tenant = 'T-CN'): string {
  const id = system.demo.patients[tenant]?.[key];
  if (id === undefined) throw new Error(`There is no ${key} in ${tenant}.`);
  return id;
}

/** An id of the right form that no row has. */
export function missingId(): string {
  return newId();
}
