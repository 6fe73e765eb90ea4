import { isObjectType, type GraphQLSchema } from 'graphql';
import { Refusal } from '../config/refusal.js';
import { UNGOVERNED_FIELDS } from '../domain/governed.js';
import { registry } from '../kernel/attribute.js';
import { declaredOperations } from '../operation/operation.js';
import { SESSION_OPERATIONS } from '../operation/sessions.js';
import type { Policies } from '../policy/policies.js';

/**
 * Object types that hold no patient's data, or what an operation of its own decided to show; each with all its fields. What is
 * not in here is a noun, or is refused.
 */
const UNGOVERNED_TYPES: Readonly<Record<string, readonly string[]>> = {
  FieldAccess: ['field', 'state', 'mask'],
  AccessReport: ['entries', 'pageInfo'],
  AccessEntry: [
    'at',
    'organization',
    'role',
    'agent',
    'purpose',
    'operation',
    'kind',
    'outcome',
    'emergency',
    'categories',
    'fields',
  ],
  AccessedField: ['type', 'field', 'state'],
  Accounting: [
    'id',
    'mode',
    'period',
    'generatedAt',
    'entries',
    'protocols',
    'protocolStatement',
    'feeMayApply',
    'sha256',
  ],
  LedgerDetail: ['index', 'state', 'address', 'variables', 'changes'],
  LedgerDetailChange: ['type', 'id', 'field', 'state', 'before', 'after'],
  AccountingPeriod: ['from', 'to'],
  AccountingEntry: [
    'id',
    'disclosedAt',
    'recipientName',
    'recipientAddress',
    'description',
    'purpose',
    'category',
    'disclosedBy',
    'times',
  ],
  AccountingTimes: ['first', 'last', 'count'],
  AccountingProtocol: [
    'id',
    'name',
    'description',
    'criteria',
    'types',
    'disclosedFrom',
    'disclosedTo',
    'sponsorName',
    'sponsorAddress',
    'sponsorPhone',
    'researcherName',
    'researcherAddress',
    'researcherPhone',
  ],
  LedgerEntry: [
    ...['index', 'leaf', 'recordHash', 'record', 'writer', 'number', 'incarnation', 'time', 'request', 'operation'],
    ...['kind', 'outcome', 'code', 'actor', 'role', 'session', 'purpose', 'document', 'policy', 'rules', 'reason'],
    ...['accesses', 'decision', 'acr', 'consents', 'obligations'],
  ],
  LedgerAccess: ['type', 'rows', 'fields', 'subjects'],
  LedgerAccessedField: ['field', 'state'],
  LedgerEntryConnection: ['edges', 'pageInfo'],
  LedgerEntryEdge: ['node', 'cursor'],
  LedgerPageInfo: ['hasNextPage', 'hasPreviousPage', 'startCursor', 'endCursor', 'partial'],
  LedgerCheckpoint: ['origin', 'size', 'root', 'note', 'vkey'],
  LedgerProof: ['index', 'size', 'leaf', 'recordHash', 'record', 'hashes', 'checkpoint', 'proof'],
  LedgerConsistency: ['from', 'to', 'hashes'],
  PageInfo: ['hasNextPage', 'hasPreviousPage', 'startCursor', 'endCursor'],
  ErasureReceipt: [
    ...['id', 'ledgerReference', 'erasedAt', 'legalBasis', 'replayOf', 'stores', 'columns', 'keys', 'exclusions'],
    ...['note', 'verifierKey'],
  ],
  ErasureStore: ['store', 'count'],
  ErasedKey: ['subject', 'key', 'wrapped', 'detail'],
  ErasureExclusion: ['what', 'ground', 'until'],
  ErasureNotice: [
    ...['id', 'erasureId', 'patientId', 'kind', 'state', 'recipientName', 'recipientAddress', 'disclosedAt'],
    ...['sourceReferences', 'personName', 'personBirthDate', 'exportId', 'accountId', 'dueAt', 'completedAt'],
  ],
  ErasureNoticeConnection: ['edges', 'pageInfo'],
  ErasureNoticeEdge: ['node', 'cursor'],
  LegalHold: ['id', 'patientId', 'matter', 'from', 'placedAt', 'placedBy', 'releasedAt', 'releasedBy'],
  Revealed: ['id', 'type', 'fields'],
  RevealedField: ['field', 'value'],
  PatientCounts: ['k', 'cells', 'total', 'suppressedCells'],
  PatientCountCell: ['values', 'count'],
  PatientCountValue: ['dimension', 'value'],
  Session: ['accessToken', 'refreshToken', 'expiresAt'],
  Me: ['id', 'tenant', 'role', 'purposes', 'patientIds', 'factorMissing'],
  TotpEnrolment: ['secret', 'uri'],
  RecoveryCodes: ['codes'],
  ExportJob: ['id', 'status', 'rowCount', 'sha256', 'downloadUrl', 'progress'],
  PolicyRelease: [
    ...['hash', 'version', 'state', 'note', 'author', 'proposedAt', 'approver', 'approvedAt', 'files', 'problems'],
    'notices',
  ],
  PolicyReleaseConnection: ['edges', 'pageInfo'],
  PolicyReleaseEdge: ['node', 'cursor'],
  PolicyFile: ['name', 'text'],
  PolicyProblem: ['file', 'line', 'message'],
  DecisionExplanation: [
    ...['index', 'time', 'operation', 'outcome', 'code', 'role', 'purpose', 'policy', 'version', 'rules', 'accesses'],
    ...['decision', 'acr', 'consents', 'obligations', 'lacking', 'differences'],
  ],
  ExplainedRule: ['id', 'effect', 'subject', 'file', 'line', 'consent', 'onMissing', 'onDeny'],
  LackingRule: ['id', 'effect', 'subject', 'file', 'line', 'consent', 'onMissing', 'onDeny', 'lacks'],
  DecisionLack: ['kind', 'names'],
  ExplainedAccess: ['type', 'rows', 'fields'],
  ExplainedField: ['field', 'state', 'masks'],
  PolicyProof: [
    ...['hash', 'version', 'proof', 'rule', 'state', 'done', 'total', 'passed', 'failed', 'equivalent', 'refused'],
    ...['score', 'minimum', 'holds', 'findings'],
  ],
  PolicyFinding: ['text', 'file', 'line', 'rule'],
  PolicyDiff: ['before', 'after', 'changes', 'grants', 'notices'],
  PolicyChange: [
    ...['role', 'purpose', 'action', 'type', 'field', 'direction', 'from', 'to', 'accounts', 'rows', 'sum', 'sentence'],
  ],
  PolicyChangedRows: ['least', 'most', 'atLeast'],
  PolicyGrantChange: ['role', 'purpose', 'action', 'type', 'accounts', 'grants', 'sentence'],
  SimulatedField: ['purpose', 'action', 'type', 'field', 'state'],
  AccessExplanation: [
    ...['role', 'purpose', 'policy', 'version', 'allowed', 'reached', 'keptBack', 'rules', 'fields', 'obligations'],
  ],
  AccessRule: ['id', 'verdict', 'effect', 'file', 'line', 'consent', 'onMissing', 'onDeny'],
  AccessFieldState: ['field', 'state', 'mask'],
};
const CONNECTION_FIELDS = ['edges', 'pageInfo', 'totalCount'];
const EDGE_FIELDS = ['node', 'cursor'];

/**
 * Silence means no: refuses to start when a root field has no declared operation, when the policy does not list an
 * operation with the same question, or when a field of any type has no class and is not known to need none.
 */
export function refuseUndeclared(schema: GraphQLSchema, policy: Policies): void {
  const problems = [...undeclaredRootFields(schema, policy), ...unclassifiedFields(schema), ...unknownFields(schema)];
  if (problems.length === 0) return;
  const next =
    policy.releases === null
      ? ''
      : ' After an upgrade of the software, put its policies in force: npm run policy -- propose.';
  throw new Refusal(`The API is not declared in full: ${problems.join('; ')}.${next}`);
}

function undeclaredRootFields(schema: GraphQLSchema, policy: Policies): string[] {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const names = roots.flatMap((root) => Object.keys(root?.getFields() ?? {}));
  const declared = declaredOperations();
  return names.flatMap((name) => {
    if ((SESSION_OPERATIONS as readonly string[]).includes(name)) return [];
    const operation = declared.get(name);
    if (operation === undefined) return [`${name} is no declared operation`];
    const grant = policy.operations.get(name);
    if (grant?.action === operation.action && grant.type === operation.type) return [];
    return [`the policies do not list ${name} as ${operation.action} ${operation.type}`];
  });
}

/** Every leaf of a governed type is an attribute; every other field of it leads to an operation of its own. */
function unclassifiedFields(schema: GraphQLSchema): string[] {
  const declared = declaredOperations();
  return registry.all().flatMap((noun) => {
    const type = schema.getType(noun.type);
    if (type === undefined || !('getFields' in type)) return [];
    return Object.keys(type.getFields())
      .filter(
        (field) =>
          !noun.attributes.has(field) && !UNGOVERNED_FIELDS.has(field) && !declared.has(`${noun.type}.${field}`),
      )
      .map((field) => `${noun.type}.${field} has no class (UNCLASSIFIED_FIELD)`);
  });
}

/** Every field of the types around the nouns is one of those that are known to carry nothing governed. */
function unknownFields(schema: GraphQLSchema): string[] {
  const nouns = new Set(registry.all().map((noun) => noun.type));
  const known = new Map(Object.entries(UNGOVERNED_TYPES));
  for (const noun of nouns) {
    known.set(`${noun}Connection`, CONNECTION_FIELDS);
    known.set(`${noun}Edge`, EDGE_FIELDS);
  }
  const roots = new Set([schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]);
  return Object.values(schema.getTypeMap()).flatMap((type) => {
    if (!isObjectType(type) || type.name.startsWith('__') || nouns.has(type.name) || roots.has(type)) return [];
    const fields = known.get(type.name);
    if (fields === undefined) return [`${type.name} is no declared type`];
    return Object.keys(type.getFields())
      .filter((field) => !fields.includes(field))
      .map((field) => `${type.name}.${field} has no class (UNCLASSIFIED_FIELD)`);
  });
}
