import { registry, type NounDeclaration } from '../kernel/attribute.js';
import { sealedColumn } from '../persistence/attribute.js';
import type { Vault } from '../vault/vault.js';
import { aliasesOf, fromClause, sealAddress, subjectColumns } from './noun-table.js';
import { Parameters } from './parameters.js';
import { factColumns } from './row-facts.js';
import type { Scope } from './scope.js';

/** A row of the tenant with its facts (`fact_<name>`), before any policy was asked; null where there is none. */
export async function fetchStored(
  scope: Scope,
  noun: NounDeclaration,
  id: string,
): Promise<Record<string, unknown> | null> {
  const parameters = new Parameters();
  const { bind } = parameters;
  const tenant = bind(scope.actor.tenant);
  const { database, policy } = scope.services;
  const facts = factColumns(noun, aliasesOf(noun), scope.actor, bind, scope.context(), policy.consentScopes);
  const [row] = await database.query<Record<string, unknown>>(
    scope.actor.tenant,
    parameters.statement(
      `SELECT s.*, ${subjectColumns(noun)}, ${facts} FROM ${fromClause(noun)} ` +
        `WHERE assert_tenant(${tenant}) AND s.tenant_id = ${tenant} AND s.id = ${bind(id)}::uuid`,
    ),
  );
  return row ?? null;
}

/**
 * A row that a write concerns, for the rules of the domain: what is stored decides there, whatever the caller may see. Its
 * values never become an answer. The key of its subject must be loaded.
 */
export class StoredRow {
  constructor(
    private readonly vault: Vault,
    private readonly tenant: string,
    private readonly noun: NounDeclaration,
    private readonly row: Readonly<Record<string, unknown>>,
  ) {}

  get version(): number {
    return Number(this.row['version']);
  }

  /** The id of the patient whom the row is about. */
  get subjectId(): string {
    return String(this.row['subject_id']);
  }

  /** The stored value of a field, opened where it is sealed; null where there is none. */
  value(field: string): unknown {
    const { column, group } = registry.attribute(this.noun.type, field);
    if (column !== null) return this.row[column] ?? null;
    const sealed = this.row[sealedColumn(group)];
    if (!(sealed instanceof Buffer)) return null;
    return this.vault.open(sealAddress(this.tenant, this.noun.type, this.row), group, sealed)[field] ?? null;
  }
}
