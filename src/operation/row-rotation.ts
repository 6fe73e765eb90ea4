import { registry, type NounDeclaration } from '../kernel/attribute.js';
import { newId, newReference } from '../kernel/identifier.js';
import { bareDraft, type Access, type RecordDraft } from '../ledger/record.js';
import { INDEX_KEY, isIndexed, sealedColumn } from '../persistence/attribute.js';
import type { Database } from '../persistence/database.js';
import type { RotationStore } from '../vault/rotation.store.js';
import type { OutdatedSubject, SubjectRotationStore } from '../vault/subject-rotation.store.js';
import type { KeyUse, Vault } from '../vault/vault.js';
import { fromClause, sealAddress, subjectColumns } from './noun-table.js';
import { storeResealed, type ResealedRow } from './resealed-row.js';
import { indexColumns, type IndexChoice } from './row-indexes.js';
import type { ContentPlace, SealedContents } from './sealed-content.js';
import { openAll, sealedColumns, sealedGroups, namedKeys } from './sealed-row.js';

const PAGE = 500;
/** Rows whose values one record explains. */
const CHUNK = 150;

/** A sealed field that has the name of a sealed file. */
export interface FileField {
  readonly type: string;
  readonly field: string;
  place(tenant: string, subjectId: string, rowId: string, name: string): ContentPlace;
}

export interface RowRotationParts {
  readonly owner: Database;
  readonly store: RotationStore;
  readonly subjectKeys: SubjectRotationStore;
  readonly vault: Vault;
  readonly contents: SealedContents;
  readonly files: readonly FileField[];
  /** Which indexes the policies in force name. */
  readonly indexes: IndexChoice;
  /** Durable when it resolves. */
  readonly record: (draft: RecordDraft) => Promise<unknown>;
}

const RESEALED: Access['fields'] = Object.freeze({ key: 'WRITTEN' });

/**
 * Opens values of rows and stores them again under the keys that are the primary ones now. Neither a value nor the version of
 * a row changes. Whose values are opened is in the ledger before they are.
 */
export class RowRotation {
  constructor(private readonly parts: RowRotationParts) {}

  /** Seals every value of these subjects again, with their primaries. What somebody writes meanwhile is left as he wrote it. */
  async reseal(tenant: string, subjects: readonly OutdatedSubject[]): Promise<void> {
    const use = await this.explained(
      tenant,
      'keys.reseal',
      'SubjectKey',
      subjects.map(({ reference }) => reference),
    );
    const ids = subjects.map(({ subjectId }) => subjectId);
    await this.parts.vault.loadSubjectKeys(tenant, ids, use);
    for (const noun of registry.all()) {
      if (noun.subject === 'none' || sealedColumns(noun).length === 0) continue;
      const of = noun.subject === 'self' ? 's.id' : `s.${noun.subject.foreignKey}`;
      let after: string | null = null;
      do {
        const rows: ResealedRow[] = await this.rows(tenant, noun, `${of} = ANY($2::uuid[])`, ids, after, PAGE);
        await this.resealRows(tenant, noun, rows, use);
        after = rows.length === PAGE ? (rows.at(-1)?.id ?? null) : null;
      } while (after !== null);
    }
  }

  /** How many rows name an index key other than this one. */
  async indexedOtherwise(tenant: string, keyId: number): Promise<number> {
    let found = 0;
    for (const noun of indexedNouns()) {
      const [row] = await this.parts.owner.query<{ found: number }>(tenant, {
        text:
          `SELECT count(*)::integer AS found FROM ${noun.table} WHERE tenant_id = $1 AND ${INDEX_KEY} IS NOT NULL ` +
          `AND ${INDEX_KEY} <> $2`,
        values: [tenant, keyId],
      });
      found += row?.found ?? 0;
    }
    return found;
  }

  /**
   * Makes the indexes of the next rows again, with the primary index key. @returns where to go on: `<type> <id>`; null: there
   * were none
   */
  async reindex(
    tenant: string,
    country: string,
    keyId: number,
    position: string | null,
  ): Promise<{ readonly position: string; readonly rows: number } | null> {
    const [from = '', id = null] = position?.split(' ') ?? [];
    const nouns = indexedNouns();
    const start = Math.max(
      0,
      nouns.findIndex((noun) => noun.type === from),
    );
    for (const noun of nouns.slice(start)) {
      const after = noun.type === from ? id : null;
      const where = `s.${INDEX_KEY} IS NOT NULL AND s.${INDEX_KEY} <> $2`;
      const rows = await this.rows(tenant, noun, where, keyId, after, CHUNK);
      const last = rows.at(-1);
      if (last === undefined) continue;
      await this.reindexRows(tenant, country, noun, rows);
      return { position: `${noun.type} ${last.id}`, rows: rows.length };
    }
    return null;
  }

  /** Whether a file of the tenant is still sealed with a version of this id that is not its subject's primary. */
  async filesUnder(tenant: string, keyId: number): Promise<number> {
    let found = 0;
    for (const file of this.parts.files) {
      const noun = registry.noun(file.type);
      let after: string | null = null;
      do {
        const where = `s.${sealedColumn(fieldOf(noun, file).group)} IS NOT NULL AND $2::integer IS NOT NULL`;
        const rows: ResealedRow[] = await this.rows(tenant, noun, where, keyId, after, CHUNK);
        const use = await this.explained(tenant, 'keys.count', file.type, referencesOf(rows));
        await this.parts.vault.loadSubjectKeysOf(
          tenant,
          rows.map((row) => namedKeys(row, row.subject_id)),
          use,
        );
        for (const row of rows) {
          const place = this.placeOf(tenant, noun, file, row);
          if (place === null || this.parts.vault.primaryVersion(tenant, row.subject_id) === keyId) continue;
          if ((await this.parts.contents.keyIdOf(place)) === keyId) found += 1;
        }
        after = rows.length === CHUNK ? (rows.at(-1)?.id ?? null) : null;
      } while (after !== null);
    }
    return found;
  }

  private async resealRows(
    tenant: string,
    noun: NounDeclaration,
    rows: readonly ResealedRow[],
    use: KeyUse,
  ): Promise<void> {
    const { vault, files } = this.parts;
    const living = rows.filter((row) => vault.hasSubjectKey(tenant, row.subject_id));
    const file = files.find(({ type }) => type === noun.type);
    const moved = new Set<ResealedRow>();
    for (const row of file === undefined ? [] : living) {
      if (await this.resealFile(tenant, noun, file as FileField, row, use)) moved.add(row);
    }
    const outdated = living.filter((row) => {
      const primary = vault.primaryVersion(tenant, row.subject_id);
      return !moved.has(row) && namedKeys(row, row.subject_id).keyIds.some((keyId) => keyId !== primary);
    });
    const again = outdated.map((row) => ({ row, columns: this.sealedAgain(tenant, noun, row, {}) }));
    await this.parts.owner.transaction(tenant, (transaction) => storeResealed(transaction, tenant, noun, again));
  }

  /**
   * Seals the file of a row again, under another name, and with it the row. The old file stays for those who are about to
   * open it; whichever of the two is not named by the row after a crash is among the retired ones.
   */
  private async resealFile(
    tenant: string,
    noun: NounDeclaration,
    file: FileField,
    row: ResealedRow,
    use: KeyUse,
  ): Promise<boolean> {
    const { contents, vault, owner } = this.parts;
    const place = this.placeOf(tenant, noun, file, row);
    if (place === null) return false;
    const keyId = await contents.keyIdOf(place);
    if (keyId === null || keyId === vault.primaryVersion(tenant, row.subject_id)) return false;
    const name = newReference();
    await this.parts.store.retire([name]);
    await contents.keep({ ...place, name }, contents.open(place, use), use);
    const columns = this.sealedAgain(tenant, noun, row, { [file.field]: name });
    return owner.transaction(tenant, async (transaction) => {
      if ((await storeResealed(transaction, tenant, noun, [{ row, columns }])) === 0) return false;
      await transaction.query({
        text: 'INSERT INTO retired_file (name) VALUES ($1) ON CONFLICT DO NOTHING',
        values: [place.name],
      });
      await transaction.query({ text: 'DELETE FROM retired_file WHERE name = $1', values: [name] });
      return true;
    });
  }

  private placeOf(tenant: string, noun: NounDeclaration, file: FileField, row: ResealedRow): ContentPlace | null {
    const { vault, files } = this.parts;
    const { group } = fieldOf(noun, file);
    const sealed = row[sealedColumn(group)];
    if (files.length === 0 || !(sealed instanceof Buffer) || !vault.hasSubjectKey(tenant, row.subject_id)) return null;
    const name = vault.open(sealAddress(tenant, noun.type, row), group, sealed)[file.field];
    return typeof name === 'string' ? file.place(tenant, row.subject_id, row.id, name) : null;
  }

  private sealedAgain(
    tenant: string,
    noun: NounDeclaration,
    row: ResealedRow,
    changed: Readonly<Record<string, unknown>>,
  ): Record<string, unknown> {
    const { vault } = this.parts;
    const address = sealAddress(tenant, noun.type, row);
    const opened = openAll(noun, row, (group, sealed) => vault.open(address, group, sealed));
    const columns: Record<string, unknown> = {};
    for (const column of sealedColumns(noun)) columns[column] = null;
    for (const [group, values] of sealedGroups(noun, { ...opened, ...changed })) {
      columns[sealedColumn(group)] = vault.seal(address, group, values);
    }
    return columns;
  }

  private async reindexRows(
    tenant: string,
    country: string,
    noun: NounDeclaration,
    rows: readonly ResealedRow[],
  ): Promise<void> {
    const { vault } = this.parts;
    const use = await this.explained(tenant, 'keys.reindex', noun.type, referencesOf(rows));
    const sealed = rows.map((row) => namedKeys(row, row.subject_id));
    await vault.loadSubjectKeysOf(tenant, sealed, use);
    const again = rows.map((row) => {
      const address = sealAddress(tenant, noun.type, row);
      // Of an erased subject nothing opens, and nothing is to be found.
      const opened = vault.hasSubjectKey(tenant, row.subject_id)
        ? openAll(noun, row, (group, value) => vault.open(address, group, value))
        : {};
      return { row, columns: indexColumns(vault, tenant, noun, opened, country, this.parts.indexes) };
    });
    await this.parts.owner.transaction(tenant, (transaction) => storeResealed(transaction, tenant, noun, again));
  }

  /** Rows with their sealed columns; `condition` is about `$2`. */
  private rows(
    tenant: string,
    noun: NounDeclaration,
    condition: string,
    value: unknown,
    after: string | null,
    limit: number,
  ): Promise<ResealedRow[]> {
    const columns = sealedColumns(noun).map((column) => `s.${column}, `);
    return this.parts.owner.query<ResealedRow>(tenant, {
      text:
        `SELECT s.id, ${columns.join('')}${subjectColumns(noun)} FROM ${fromClause(noun)} WHERE s.tenant_id = $1 ` +
        `AND ${condition} AND ($3::uuid IS NULL OR s.id > $3::uuid) ORDER BY s.id LIMIT ${limit}`,
      values: [tenant, value, after],
    });
  }

  /** Says in the ledger whose values are opened now, and why. */
  private async explained(
    tenant: string,
    operation: string,
    type: string,
    references: readonly string[],
  ): Promise<KeyUse> {
    const id = newId();
    const subjects = [...new Set(references)];
    const accesses = [{ type, rows: subjects.length, fields: RESEALED, subjects }];
    await this.parts.record({ ...bareDraft(tenant, operation, 'KEY', id), decision: id, accesses });
    return { id, used: () => undefined };
  }
}

function indexedNouns(): NounDeclaration[] {
  return registry.all().filter((noun) => [...noun.attributes.values()].some(isIndexed));
}

function fieldOf(noun: NounDeclaration, { field }: FileField) {
  return registry.attribute(noun.type, field);
}

function referencesOf(rows: readonly ResealedRow[]): string[] {
  return rows.map((row) => String(row['subject_reference']));
}
