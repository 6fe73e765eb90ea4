import { Refusal } from '../src/config/refusal.js';
import { syntheticPatient, type SyntheticPatient } from './patients.js';

export type Field = keyof SyntheticPatient | 'id' | 'birthYear';

/** What the generator sends. Plain data: it crosses a process boundary. */
export type Work =
  | {
      readonly kind: 'list';
      /** Each is one page; null is the first. */
      readonly cursors: readonly (string | null)[];
      readonly fields: readonly Field[];
      /** The fields that the caller must not see in clear. */
      readonly masked: readonly Field[];
      /** How many patients there are: an answer must be one of them. */
      readonly patients: number;
      /** `random`: for as long as it takes. `each`: every page once. */
      readonly order: 'random' | 'each';
    }
  | {
      readonly kind: 'create';
      /** The patients of these numbers, from the first up to before the last. */
      readonly from: number;
      readonly to: number;
      readonly fields: readonly Field[];
      readonly masked: readonly Field[];
    };

export interface Request {
  readonly body: string;
  /** Throws when the answer is not the one that policy and data demand. */
  check(answer: Answer): void;
}

export interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

interface Page {
  readonly edges: readonly { readonly node: Readonly<Record<string, unknown>> }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export const PAGE_SIZE = 20;

/** The requests of a work, one at a time; null when there are no more. */
export function requestsOf(work: Work, random: () => number): { next(): Request | null } {
  return work.kind === 'list' ? pages(work, random) : creations(work);
}

export function listBody(fields: readonly string[], after: string | null): string {
  const query = `query Patients($after: String) { patients(first: ${PAGE_SIZE}, after: $after) { edges { node { ${fields.join(' ')} } } pageInfo { hasNextPage endCursor } } }`;
  return JSON.stringify({ query, variables: { after } });
}

/** The page in an answer. Throws when there is an error instead. */
export function pageOf(answer: Answer): Page {
  return dataOf(answer, 'patients') as Page;
}

function pages(work: Extract<Work, { kind: 'list' }>, random: () => number): { next(): Request | null } {
  const bodies = work.cursors.map((cursor) => listBody(work.fields, cursor));
  const byName = new Map(Array.from({ length: work.patients }, (_, index) => named(syntheticPatient(index))));
  let at = 0;
  const check = (answer: Answer) => {
    const { edges } = pageOf(answer);
    if (edges.length !== PAGE_SIZE) throw new Refusal(`A page had ${edges.length} patients instead of ${PAGE_SIZE}.`);
    for (const { node } of edges) checkNode(node, byName.get(String(node['name'])), work.fields, work.masked);
  };
  return {
    next() {
      const index = work.order === 'each' ? at++ : Math.floor(random() * bodies.length);
      const body = bodies[index];
      return body === undefined ? null : { body, check };
    },
  };
}

function creations(work: Extract<Work, { kind: 'create' }>): { next(): Request | null } {
  const query = `mutation Create($input: CreatePatientInput!) { createPatient(input: $input) { ${work.fields.join(' ')} } }`;
  let index = work.from;
  return {
    next() {
      if (index >= work.to) return null;
      const patient = syntheticPatient(index++);
      return {
        body: JSON.stringify({ query, variables: { input: patient } }),
        check(answer) {
          checkNode(dataOf(answer, 'createPatient') as Record<string, unknown>, patient, work.fields, work.masked);
        },
      };
    },
  };
}

function named(patient: SyntheticPatient): [string, SyntheticPatient] {
  return [patient.name, patient];
}

function dataOf(answer: Answer, field: string): object {
  const error = answer.errors?.[0];
  if (error !== undefined) throw new Refusal(`The server answered ${error.extensions?.code ?? ''} ${error.message}`);
  const value = answer.data?.[field];
  if (typeof value !== 'object' || value === null) throw new Refusal(`The answer has no ${field}.`);
  return value;
}

function checkNode(
  node: Readonly<Record<string, unknown>>,
  patient: SyntheticPatient | undefined,
  fields: readonly Field[],
  masked: readonly Field[],
): void {
  if (patient === undefined) throw new Refusal('The answer has a patient that is none of ours.');
  for (const field of fields) {
    const value = node[field];
    if (masked.includes(field)) checkMasked(field, value, String(patient[field as keyof SyntheticPatient]));
    else if (field === 'id') {
      if (typeof value !== 'string' || value.length !== 36)
        throw new Refusal('The answer has a patient without an id.');
    } else {
      const expected = field === 'birthYear' ? Number(patient.birthDate.slice(0, 4)) : patient[field];
      if (value !== expected) throw new Refusal(`${field} should be in clear and is not what was stored.`);
    }
  }
}

/** A masked value is there, and what lies between the first two and the last three characters of the clear one is not. */
function checkMasked(field: Field, value: unknown, clear: string): void {
  const hides = typeof value === 'string' && value !== '' && !value.includes(clear.slice(2, -3));
  if (!hides) throw new Refusal(`${field} should be masked and is not.`);
}
