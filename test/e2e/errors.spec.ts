import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  buildClientSchema,
  getIntrospectionQuery,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';
import type { GraphQLArgument, GraphQLInputType, GraphQLSchema, IntrospectionQuery } from 'graphql';
import { FAILURE_STATUS } from '../../src/kernel/failure.js';
import type { Role } from '../../src/kernel/actor.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const CANARY = 'CANARYe7a1';
const TEXT = `${CANARY} 13911112222`;
const AT_ONCE = 8;
const LONGEST_RUN = 240_000;

let system: TestSystem;
let schema: GraphQLSchema;
beforeAll(async () => {
  system = await testSystem();
  schema = buildClientSchema((await system.send(getIntrospectionQuery())).data as IntrospectionQuery);
});
afterAll(() => system.close());

/** Values that do not fit the type, or only just: each holds the canary somewhere. */
function misfits(type: GraphQLInputType): unknown[] {
  if (isNonNullType(type)) return misfits(type.ofType);
  if (isListType(type)) return misfits(type.ofType).flatMap((value) => [value, [value]]);
  const anything = [TEXT, [TEXT], { [CANARY]: TEXT }, { value: TEXT }, `${CANARY}\u0000`];
  if (isEnumType(type)) return [CANARY, ...anything];
  if (!isInputObjectType(type)) return anything;
  const fields = Object.values(type.getFields());
  const nested = fields.filter((field) => !['and', 'or', 'not'].includes(field.name));
  return [
    ...anything,
    { [CANARY]: TEXT },
    Object.fromEntries(fields.map((field) => [field.name, TEXT])),
    ...nested.flatMap((field) => misfits(field.type).map((value) => ({ [field.name]: value }))),
    ...(type.name.endsWith('Filter')
      ? [{ not: { [CANARY]: TEXT } }, { and: [{ or: [{ status: { eq: [TEXT] } }] }] }]
      : []),
  ];
}

interface Probe {
  readonly document: string;
  readonly variables?: Record<string, unknown>;
}

/** Every argument of every root field, given by variable and as a literal in turn; the other arguments have values that fit. */
function probes(): Probe[] {
  const roots = [schema.getQueryType(), schema.getMutationType()];
  return roots.flatMap((root) =>
    Object.values(root?.getFields() ?? {}).flatMap((field) => {
      const kind = root === schema.getMutationType() ? 'mutation' : 'query';
      const selection = String(field.type).startsWith('Boolean') ? '' : '{ __typename }';
      return field.args.flatMap((argument) => {
        const others = field.args.filter(
          (one) => one !== argument && isNonNullType(one.type) && one.defaultValue === undefined,
        );
        const rest = others.map((one) => `, ${one.name}: ${filler(one)}`).join('');
        return misfits(argument.type).map((value, index) =>
          index % 2 === 0
            ? {
                document: `${kind}($v: ${String(argument.type)}) { ${field.name}(${argument.name}: $v${rest}) ${selection} }`,
                variables: { v: value },
              }
            : { document: `${kind} { ${field.name}(${argument.name}: ${literal(value)}${rest}) ${selection} }` },
        );
      });
    }),
  );
}

function filler(argument: GraphQLArgument): string {
  const type = String(argument.type);
  return type === 'Int!' ? '1' : type.endsWith('Input!') ? '{}' : '"x"';
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${key}: ${literal(one)}`)
      .join(', ')} }`;
  }
  return value === CANARY ? CANARY : JSON.stringify(value);
}

function complain(answer: Answer): string[] {
  return answer.errors.flatMap((error) => {
    const { code, nextStep } = error.extensions;
    const known = code in FAILURE_STATUS || /^GRAPHQL_|^OPERATION_|^BAD_REQUEST$/.test(code);
    return known && code !== 'INTERNAL_SERVER_ERROR' && typeof nextStep === 'string' ? [] : [JSON.stringify(error)];
  });
}

describe('an error', () => {
  it(
    'never echoes what was sent, in any argument, by variable or literal, nor does the log',
    async () => {
      const all = probes();
      expect(all.length).toBeGreaterThan(500);
      const seen = { errors: 0, echoes: [] as unknown[], complaints: [] as unknown[] };
      const probe = async (role: Role, { document, variables }: Probe) => {
        const answer = await system.ask(role, document, { variables });
        seen.errors += answer.errors.length;
        if (JSON.stringify([answer.errors, answer.extensions]).includes(CANARY))
          seen.echoes.push([document, answer.errors]);
        const complaints = complain(answer);
        if (complaints.length > 0) seen.complaints.push([document, variables, complaints]);
      };
      for (const role of ['front_desk', 'physician'] as const) {
        const asked = all.filter(({ document }) => role !== 'physician' || /Visit|Diagnosis|signIn/.test(document));
        for (let at = 0; at < asked.length; at += AT_ONCE) {
          await Promise.all(asked.slice(at, at + AT_ONCE).map((one) => probe(role, one)));
        }
      }
      expect(seen.echoes.slice(0, 5)).toEqual([]);
      expect(seen.complaints.slice(0, 5)).toEqual([]);
      expect(seen.errors).toBeGreaterThan(all.length / 2);
      expect(system.logged()).not.toContain(CANARY);
      const { rows } = await system.database.owner.query(
        'SELECT count(*) FROM ledger_entry WHERE position($1::bytea in record) > 0',
        [Buffer.from(CANARY)],
      );
      expect(rows[0].count).toBe('0');
    },
    LONGEST_RUN,
  );

  it('never echoes what no schema knows: syntax, operation names, headers, bodies', async () => {
    const token = await system.token('front_desk');
    const post = async (body: string, headers: Record<string, string> = {}) => {
      const response = await fetch(system.endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
          'x-purpose-of-use': 'PATADMIN',
          ...headers,
        },
        body,
      });
      return { status: response.status, text: await response.text() };
    };
    const valid = { query: 'query a { me { id } } query b { me { id } }' };
    for (const [body, headers] of [
      [JSON.stringify({ query: `{ me { id } "${TEXT}"` })],
      [JSON.stringify({ query: `{ me { id } } # ${TEXT}\n ${CANARY}` })],
      [JSON.stringify({ ...valid, operationName: TEXT })],
      [JSON.stringify({ query: '{ me { id } }', variables: TEXT })],
      [JSON.stringify({ query: { [CANARY]: TEXT } })],
      [JSON.stringify({ query: '{ me { id } }', extensions: { persistedQuery: { version: 1, sha256Hash: TEXT } } })],
      [JSON.stringify(TEXT)],
      [JSON.stringify({ query: '{ patients { totalCount } }' }), { 'x-purpose-of-use': TEXT }],
      [JSON.stringify({ query: '{ patients { totalCount } }' }), { authorization: `Bearer ${CANARY}` }],
    ] as [string, Record<string, string>?][]) {
      const { status, text } = await post(body, headers);
      expect([body, text.includes(CANARY)]).toEqual([body, false]);
      expect([body, status < 500]).toEqual([body, true]);
      const error = (JSON.parse(text) as Loose)['errors'][0] as Loose;
      expect([body, typeof error['extensions'].code, typeof error['extensions'].nextStep]).toEqual([
        body,
        'string',
        'string',
      ]);
    }
    const broken = await post(`{"query": "${TEXT}`);
    expect([broken.status, broken.text.includes(CANARY)]).toEqual([400, false]);
    expect(system.logged()).not.toContain(CANARY);
  });

  it('survives variables that are nested beyond reason', async () => {
    const deep = `${'{"not":'.repeat(20_000)}{}${'}'.repeat(20_000)}`;
    const response = await fetch(system.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await system.token('front_desk')}`,
        'x-purpose-of-use': 'PATADMIN',
      },
      body: `{"query":"query($f: PatientFilter) { patients(filter: $f) { totalCount } }","variables":{"f":${deep}}}`,
    });
    expect(response.status).toBeLessThan(500);
    const { errors } = (await response.json()) as Loose;
    expect(errors.map((error: Loose) => error['extensions'].code)).toEqual(['QUERY_COST_EXCEEDED']);
  });
});
