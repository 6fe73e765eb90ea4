import { Parameters } from '../../operation/parameters.js';
import type { Scope } from '../../operation/scope.js';
import type { AccountedDisclosure } from './accounting.js';
import type { AccountingMode, AccountingPeriod } from './accounting-period.js';
import { DisclosureChannel, DisclosureConsent, OWN_USES, type DisclosureCategory } from './disclosure-category.js';

/** A protocol as it is stored. Instants in UTC. */
export interface StoredProtocol {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly criteria: string;
  readonly types: string;
  readonly disclosedFrom: Date;
  readonly disclosedTo: Date;
  readonly sponsorName: string;
  readonly sponsorAddress: string;
  readonly sponsorPhone: string;
  readonly researcherName: string;
  readonly researcherAddress: string;
  readonly researcherPhone: string;
}

/** A suspension, whether or not it still counts. */
export interface StoredSuspension {
  readonly agency: string;
  readonly oral: boolean;
  readonly ended: boolean;
  readonly until: Date;
}

interface DisclosureRow {
  readonly id: string;
  readonly disclosed_at: Date;
  readonly category: DisclosureCategory;
  readonly sealed_access: Buffer;
}

/**
 * The disclosures of a patient that an accounting of this mode is about, oldest first; `limit` at most. The patient's key
 * must be loaded: a value that was changed or moved is INTEGRITY_FAILED, and then there is no accounting.
 */
export async function accountableDisclosures(
  scope: Scope,
  patientId: string,
  mode: AccountingMode,
  period: AccountingPeriod,
  limit: number,
): Promise<AccountedDisclosure[]> {
  const { tenant } = scope.actor;
  const { database, vault } = scope.services;
  const parameters = new Parameters();
  const { bind } = parameters;
  const named = bind(tenant);
  const [patient, from, to] = [bind(patientId), bind(period.from), bind(period.to)];
  // 42 CFR 2.25(b): of treatment, payment and operations only what left through an electronic health record.
  const asked =
    mode === 'HIPAA'
      ? `exclusion IS NULL`
      : `consent = ${bind(DisclosureConsent.WITH_CONSENT)}::text ` +
        `AND (category <> ALL (${bind(OWN_USES)}::text[]) OR channel = ${bind(DisclosureChannel.EHR)}::text)`;
  const rows = await database.query<DisclosureRow>(
    tenant,
    parameters.statement(
      `SELECT id, disclosed_at, category, sealed_access FROM disclosure WHERE assert_tenant(${named}) ` +
        `AND tenant_id = ${named} AND patient_id = ${patient}::uuid AND disclosed_at >= ${from}::timestamptz ` +
        `AND disclosed_at <= ${to}::timestamptz AND ${asked} ORDER BY disclosed_at, id LIMIT ${bind(limit)}::integer`,
    ),
  );
  return rows.map(({ id, disclosed_at, category, sealed_access }) => {
    const address = { tenant, type: 'Disclosure', rowId: id, version: 0, subjectId: patientId };
    const opened = vault.open(address, 'access', sealed_access);
    const text = (field: string) => (typeof opened[field] === 'string' ? opened[field] : null);
    return {
      id,
      category,
      disclosedAt: disclosed_at.toISOString(),
      recipientName: text('recipientName') ?? '',
      recipientAddress: text('recipientAddress'),
      description: text('description') ?? '',
      purpose: text('purpose') ?? '',
      disclosedBy: text('disclosedBy'),
    };
  });
}

/** Every suspension that was recorded about a patient, with the name of its agency opened. */
export async function suspensionsAbout(scope: Scope, patientId: string): Promise<StoredSuspension[]> {
  const { tenant } = scope.actor;
  const { database, vault } = scope.services;
  const rows = await database.query<{
    id: string;
    statement: string;
    status: string;
    until_at: Date;
    version: number;
    sealed_access: Buffer;
  }>(tenant, {
    name: 'accounting_suspensions',
    text:
      `SELECT id, statement, status, until_at, version, sealed_access FROM accounting_suspension ` +
      `WHERE tenant_id = $1 AND patient_id = $2::uuid AND assert_tenant($1)`,
    values: [tenant, patientId],
  });
  await vault.loadSubjectKeys(
    tenant,
    rows.map((row) => row.id),
    scope.document.keyUse,
  );
  return rows.map(({ id, statement, status, until_at, version, sealed_access }) => {
    const address = { tenant, type: 'AccountingSuspension', rowId: id, version, subjectId: id };
    const { agency } = vault.open(address, 'access', sealed_access);
    return { agency: String(agency), oral: statement === 'ORAL', ended: status !== 'active', until: until_at };
  });
}

/** The protocols for which records were disclosed in the period, oldest first; `limit` at most. */
export async function protocolsIn(scope: Scope, period: AccountingPeriod, limit: number): Promise<StoredProtocol[]> {
  const { tenant } = scope.actor;
  return scope.services.database.query<StoredProtocol>(tenant, {
    name: 'accounting_protocols',
    text:
      `SELECT id, name, description, criteria, types, disclosed_from AS "disclosedFrom", disclosed_to AS "disclosedTo", ` +
      `sponsor_name AS "sponsorName", sponsor_address AS "sponsorAddress", sponsor_phone AS "sponsorPhone", ` +
      `researcher_name AS "researcherName", researcher_address AS "researcherAddress", ` +
      `researcher_phone AS "researcherPhone" FROM research_protocol WHERE tenant_id = $1 AND assert_tenant($1) ` +
      `AND disclosed_to >= $2::timestamptz AND disclosed_from <= $3::timestamptz ORDER BY disclosed_from, id LIMIT $4`,
    values: [tenant, period.from, period.to, limit],
  });
}

/** True where an accounting of this mode was given to the patient, or for him, since an instant. */
export async function accountedSince(
  scope: Scope,
  patientId: string,
  mode: AccountingMode,
  since: Date,
): Promise<boolean> {
  const { tenant } = scope.actor;
  const rows = await scope.services.database.query(tenant, {
    name: 'accounting_since',
    text:
      `SELECT 1 FROM accounting_request WHERE tenant_id = $1 AND patient_id = $2::uuid AND mode = $3 ` +
      `AND requester <> 'COMPLIANCE' AND requested_at >= $4::timestamptz AND assert_tenant($1) LIMIT 1`,
    values: [tenant, patientId, mode, since],
  });
  return rows.length > 0;
}
