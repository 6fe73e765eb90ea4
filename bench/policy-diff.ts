import '../src/domain/nouns.js';
import { registry } from '../src/kernel/attribute.js';
import { policyDifference, sentenceOf } from '../src/operation/policy-difference.js';
import { Database } from '../src/persistence/database.js';
import { ensureTenants } from '../src/persistence/tenant.store.js';
import { PolicyEngine } from '../src/policy/engine.js';
import { PolicySource } from '../src/policy/source.js';
import type { Installation } from './installation.js';
import { median, print, rounded, type Pace } from './rounds.js';

const TENANT = 'T-CN';
const WANTED_MILLISECONDS = 10_000;
const FILE = 'patient.yaml';
const BEFORE = '      clear: [public]\n      masked: [identity, contact]\n';
const AFTER = `${BEFORE}    fields: { clear: [phone] }\n`;

/**
 * "The call centre sees phones in clear" over a million patients: what the difference of two policies costs on live data,
 * against a bare count of the same rows. Gives how much faster than ten seconds it is.
 */
export async function policyDiff(installation: Installation, patients: number, pace: Pace): Promise<number> {
  const { app, owner } = await installation.migrated();
  await ensureTenants(owner, [{ id: TENANT, name: TENANT, country: 'CN', timeZone: 'Asia/Shanghai' }], new Date());
  // Columns that conditions read, and no sealed ones: no value is read.
  await installation.alter(
    `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference, care_team_ids, consents)
     SELECT gen_random_uuid(), 1, 'active', now(), '${TENANT}', md5(number::text), ARRAY[gen_random_uuid()],
            jsonb_build_object('CAREMGT', jsonb_build_object('decision', 'PERMIT', 'until', NULL))
       FROM generate_series(1, ${patients}) AS number;
     INSERT INTO account (tenant_id, id, email_index, reference, role, password_hash, created_at)
     SELECT '${TENANT}', gen_random_uuid(), decode(md5(number::text), 'hex'), md5(number::text), 'call_center_agent',
            '$argon2id$none', now() FROM generate_series(1, 12) AS number`,
  );
  await installation.settle();
  const source = PolicySource.directory('policies');
  const before = PolicyEngine.load(source, registry, { lazy: true });
  const changed = source.with(FILE, (source.texts.get(FILE) ?? '').replace(BEFORE, AFTER));
  const after = PolicyEngine.load(changed, registry, { lazy: true });
  const database = await Database.connect(app, { maximum: 1, name: 'custodia bench' });
  try {
    const times: number[] = [];
    print(['round', 'side', 'milliseconds', 'of rows']);
    for (let round = 0; round <= pace.rounds; round += 1) {
      const start = performance.now();
      const { changes } = await policyDifference(database, TENANT, { before, after }, new Date());
      const middle = performance.now();
      await database.query(TENANT, {
        text: 'SELECT count(*) FROM patient WHERE tenant_id = $1 AND assert_tenant($1)',
        values: [TENANT],
      });
      if (round === 0) console.log(changes.map(sentenceOf).join('\n'));
      else {
        times.push(middle - start);
        print([String(round), 'difference', rounded(middle - start), String(patients)]);
        print([String(round), 'bare count', rounded(performance.now() - middle), String(patients)]);
      }
    }
    return WANTED_MILLISECONDS / median(times);
  } finally {
    await database.close();
  }
}
