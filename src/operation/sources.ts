import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { Parameters } from './parameters.js';
import type { Scope } from './scope.js';

export interface SourceColumns {
  readonly source_index: Buffer;
  readonly source_content: Buffer;
}
export interface Imported {
  readonly id: string;
  readonly content: Buffer;
}

/** Where imported rows come from: keyed digests of source keys and contents. What an importer needs to be repeatable. */
export class Sources {
  constructor(private readonly scope: Scope) {}

  /** The keyed index of a row's key in the system it comes from, and the keyed digest of what was imported. */
  columns(type: string, key: string, content: string): SourceColumns {
    const { tenant } = this.scope.actor;
    const digest = (label: string, text: string) => this.scope.services.vault.keyedDigest(tenant, label, text);
    return {
      source_index: digest(`source-key ${type}`, key),
      source_content: digest(`source-content ${type}`, content),
    };
  }

  /** Rows that were imported before under these source indexes, by index in hexadecimal. For importers only. */
  async known(type: string, indexes: readonly Buffer[]): Promise<Map<string, Imported>> {
    const noun = registry.noun(type);
    if (!noun.imported) throw new Error(`${type} is never imported.`);
    if (!this.scope.decide('create', type).allowed) {
      throw new Failure('FORBIDDEN', `You may not create ${type} for this purpose.`, 'Import as the integrator.');
    }
    const parameters = new Parameters();
    const tenant = parameters.bind(this.scope.actor.tenant);
    const rows = await this.scope.services.database.query<{ id: string; source_index: Buffer; source_content: Buffer }>(
      this.scope.actor.tenant,
      parameters.statement(
        `SELECT id, source_index, source_content FROM ${noun.table} ` +
          `WHERE assert_tenant(${tenant}) AND tenant_id = ${tenant} AND source_index = ANY(${parameters.bind(indexes)}::bytea[])`,
      ),
    );
    return new Map(rows.map((row) => [row.source_index.toString('hex'), { id: row.id, content: row.source_content }]));
  }
}
