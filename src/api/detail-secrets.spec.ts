import { describe, expect, it } from '@jest/globals';
import { buildSchema, getNamedType, isInputObjectType, isListType, isNonNullType } from 'graphql';
import type { GraphQLInputType } from 'graphql';
import { readFileSync } from 'node:fs';
import { detailText } from '../operation/detail-text.js';
import { SESSION_OPERATIONS } from '../operation/sessions.js';

/** What a name of an input must not look like, unless it is one of those below. */
const SUSPICIOUS =
  /pass|pwd|secret|token|code|pin|otp|challenge|credential|recover|key|answer|hash|content|file|bytes|base64|blob|signature/i;
/**
 * Names that look like it and are none: codes of illnesses and forms, media types, the digests of a public text and of a
 * record, policies and what names them.
 */
const HARMLESS = new Set([
  'AttachFileInput.contentType',
  'BreakGlassInput.reasonCode',
  'CompartmentGrantFilter.reasonCode',
  'ConsentFormFilter.code',
  'CreateVisitInput.reasonCode',
  'CreateVisitInput.reasonCodeSystem',
  'GrantCompartmentInput.reasonCode',
  'ProposePolicyInput.files',
  'PublishConsentFormInput.code',
  'RecordDiagnosisInput.code',
  'RecordDiagnosisInput.codeSystem',
  'SignInformedConsentInput.textHash',
  'activatePolicy.hash',
  'approvePolicy.hash',
  'ledgerReceipt.recordHash',
  'policyExplanation.hash',
  'policyProof.hash',
  'policyRelease.hash',
  'policySimulation.hash',
  'rollbackPolicy.toHash',
  'shadowPolicy.hash',
]);

const schema = buildSchema(readFileSync('src/api/schema.graphql', 'utf8'));
const CANARY = 'CANARY-5d1e';

interface Place {
  readonly coordinate: string;
  readonly name: string;
  /** An input of the operation with the canary at this place and nowhere else. */
  readonly input: Record<string, unknown>;
}

/** Every place of an input of this type, with what to send to reach it; a type within itself is entered once. */
function placesIn(type: GraphQLInputType, owner: string, name: string, inside: readonly string[]): Place[] {
  const bare = isNonNullType(type) ? type.ofType : type;
  const wrap = (value: unknown) => (isListType(bare) ? [value] : value);
  const named = getNamedType(type);
  const here = { coordinate: `${owner}.${name}`, name, input: { [name]: wrap(CANARY) } };
  if (!isInputObjectType(named)) return [here];
  if (inside.includes(named.name)) return [];
  const members = Object.values(named.getFields()).flatMap((field) =>
    placesIn(field.type, named.name, field.name, [...inside, named.name]),
  );
  return [
    { ...here, input: { [name]: wrap({ member: CANARY }) } },
    ...members.map((one) => ({ ...one, input: { [name]: wrap(one.input) } })),
  ];
}

const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
const fields = roots.flatMap((root) => Object.values(root?.getFields() ?? {}));
const nested = Object.values(schema.getTypeMap()).flatMap((type) =>
  'getFields' in type && !roots.includes(type as never) && !isInputObjectType(type)
    ? Object.values(type.getFields()).filter((field) => 'args' in field && field.args.length > 0)
    : [],
);
const places = [...fields, ...(nested as typeof fields)]
  .filter((field) => !(SESSION_OPERATIONS as readonly string[]).includes(field.name))
  .flatMap((field) => field.args.flatMap((argument) => placesIn(argument.type, field.name, argument.name, [])));
const kept = ({ input }: Place) =>
  detailText({ address: null, asked: [{ operation: { name: 'any' }, input }], changes: [] })?.includes(CANARY) === true;

describe('of everything that the schema lets a client send', () => {
  it('what is named like a secret never enters the details', () => {
    const suspicious = places.filter((place) => SUSPICIOUS.test(place.name));
    expect(suspicious.length).toBeGreaterThan(5);
    expect(suspicious.filter((place) => kept(place) && !HARMLESS.has(place.coordinate))).toEqual([]);
  });

  it('everything else does: nothing is lost by accident', () => {
    const lost = places.filter((place) => !kept(place)).map(({ name }) => name);
    expect([...new Set(lost)]).toEqual(['challengeId']);
  });

  it('the exceptions exist', () => {
    const coordinates = new Set(places.map(({ coordinate }) => coordinate));
    expect([...HARMLESS].filter((one) => !coordinates.has(one))).toEqual([]);
  });
});
