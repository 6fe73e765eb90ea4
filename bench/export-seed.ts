import path from 'node:path';
import '../src/domain/nouns.js';
import { registry } from '../src/kernel/attribute.js';
import { newId, newReference } from '../src/kernel/identifier.js';
import { indexColumns } from '../src/operation/row-indexes.js';
import { plainColumns, sealedGroups } from '../src/operation/sealed-row.js';
import { sealedColumn } from '../src/persistence/attribute.js';
import { Database } from '../src/persistence/database.js';
import { Vault } from '../src/vault/vault.js';
import type { Installation } from './installation.js';
import { syntheticPatient } from './patients.js';

const BATCH = 500;
const SEALED = ['identity', 'contact', 'government'] as const;

const INSERT = `
  WITH keys AS (
    INSERT INTO subject_key (tenant_id, subject_id, key_id, subject_reference, state, wrap_key_id, wrapped, commitment)
    SELECT $1, id, 1, reference, 'primary', 1, wrapped, commitment
    FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $11::text[]) AS key(id, wrapped, commitment, reference)
  )
  INSERT INTO patient (tenant_id, id, version, gender, birth_year, region, status, created_at, subject_reference,
                       sealed_identity, sealed_contact, sealed_government,
                       phone_index, national_id_index, index_key, search_tokens)
  SELECT $1, id, version, gender, birth_year, region, status, created_at, reference, identity, contact, government,
         phone, national, key, tokens::smallint[]
  FROM unnest($2::uuid[], $5::int[], $6::text[], $7::int[], $8::text[], $9::text[], $10::timestamptz[],
                               $11::text[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[], $17::int[], $18::text[])
       AS row (id, version, gender, birth_year, region, status, created_at, reference, identity, contact, government,
               phone, national, key, tokens)`;

/**
 * Synthetic patients a second apart, sealed by the vault as the system seals them, but inserted in bulk and without records:
 * a hundred thousand through the door would take longer than what is measured.
 */
export async function seedSealed(
  installation: Installation,
  tenant: string,
  patients: number,
  patientOf = syntheticPatient,
): Promise<void> {
  const { app } = await installation.migrated();
  const database = await Database.connect(app, { maximum: 2, name: 'custodia bench' });
  const vault = await Vault.withFileRoot(database, path.join(installation.directory, 'keys'));
  const noun = registry.noun('Patient');
  const oldest = Date.now() - patients * 1000;
  try {
    for (let from = 0; from < patients; from += BATCH) {
      const columns: unknown[][] = Array.from({ length: 17 }, () => []);
      for (let number = from; number < Math.min(patients, from + BATCH); number += 1) {
        const id = newId();
        const values = { ...patientOf(number) };
        const key = await vault.createSubjectKey(tenant, id, newReference());
        const plain = plainColumns(noun, values, values, 'CN');
        const address = { tenant, type: 'Patient', rowId: id, version: 1, subjectId: id };
        const groups = sealedGroups(noun, values);
        const sealed = SEALED.map((group) => [
          sealedColumn(group),
          vault.seal(address, group, groups.get(group) ?? {}),
        ]);
        const createdAt = new Date(oldest + number * 1000);
        const row = [
          id,
          key.wrapped,
          key.commitment,
          1,
          plain['gender'],
          plain['birth_year'],
          plain['region'],
          'active',
        ];
        const indexes = indexColumns(vault, tenant, noun, values, 'CN', () => true);
        const cells = [
          ...[...row, createdAt, key.reference, ...sealed.map(([, value]) => value)],
          ...[indexes['phone_index'], indexes['national_id_index'], indexes['index_key']],
          arrayText(indexes['search_tokens']),
        ];
        cells.forEach((cell, at) => columns[at]?.push(cell));
      }
      await database.query(tenant, { name: 'seed', text: INSERT, values: [tenant, ...columns] });
    }
  } finally {
    await database.close();
  }
}

/** An array in the spelling of PostgreSQL: several arrays of different lengths are no array that a driver could send. */
function arrayText(tokens: unknown): string | null {
  return Array.isArray(tokens) ? `{${tokens.join(',')}}` : null;
}
