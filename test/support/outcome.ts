import type { Answer, Loose } from './system.js';

/** The bytes of an answer without what must differ between any two: the receipt's number and hash, the decision's id. */
export function bytesOf(answer: Answer): string {
  return answer.text
    .replace(/"number":\d+/g, '"number":0')
    .replace(/"recordHash":"[0-9a-f]{64}"/g, '"recordHash":""')
    .replace(/"decisionId":"[0-9a-f-]{36}"/g, '"decisionId":""');
}

/** The code of the only error of an answer; `none` when there is no error. More than one error: all codes. */
export function codeOf(answer: Answer): string {
  return answer.errors.map((error) => error.extensions.code).join(' ') || 'none';
}

/** The nodes of a Relay connection. */
export function nodesOf(connection: Loose): Loose[] {
  return (connection['edges'] as Loose[]).map((edge) => edge['node'] as Loose);
}

/** The ids of a connection's nodes, in order. */
export function idsOf(connection: Loose): string[] {
  return nodesOf(connection).map((node) => String(node['id']));
}
