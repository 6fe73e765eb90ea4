import { compose } from '../src/composition.js';
import { readConfiguration } from '../src/config/configuration.js';
import { eraseSubject } from '../src/domain/erasure/erase-subject.js';
import { erasureReceipt } from '../src/domain/erasure/erasure-receipt.js';
import { createPatient } from '../src/domain/patient/create-patient.js';
import type { Actor, Role } from '../src/kernel/actor.js';
import { newId } from '../src/kernel/identifier.js';
import { Document } from '../src/operation/document.js';
import type { OperationDefinition } from '../src/operation/operation.js';
import { selectFields } from '../src/operation/selection.js';
import { ensureTenants } from '../src/persistence/tenant.store.js';
import type { Installation } from './installation.js';
import { median, print, rounded, type Pace } from './rounds.js';

const TENANT = 'T-CN';
const ROWS = 10_000;
const OTHERS = 50_000;

/** Rows about one patient among those of others: visits, a diagnosis of each, consents. Without sealed values. */
const SEED = `
  WITH visits AS (
    INSERT INTO visit (id, version, status, start_at, tenant_id, patient_id)
    SELECT gen_random_uuid(), 1, 'finished', now() - number * interval '1 hour', '${TENANT}', $1
      FROM generate_series(1, $2 * 2 / 5) AS number RETURNING id
  ), diagnoses AS (
    INSERT INTO diagnosis (id, version, code_system, recorded_at, visit_id, tenant_id, patient_id)
    SELECT gen_random_uuid(), 1, 'ICD-10', now(), id, '${TENANT}', $1 FROM visits
  )
  INSERT INTO consent (id, version, purpose, decision, status, recorded_at, recorded_by_role, tenant_id, patient_id)
  SELECT gen_random_uuid(), 1, 'TREAT', 'PERMIT', 'active', now(), 'patient', '${TENANT}', $1
    FROM generate_series(1, $2 / 5)`;

/**
 * A person with 10,000 rows is erased through the door: checks, transaction, record, tombstone, receipt; a second factor
 * aside. Against a bare DELETE of as many rows, one statement over an index. Gives how the throughputs compare.
 */
export async function erasure(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  const urls = await installation.migrated();
  const tenant = { id: TENANT, name: TENANT, country: 'CN', timeZone: 'Asia/Shanghai' };
  await ensureTenants(urls.owner, [tenant], new Date());
  const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: `${installation.directory}/data` });
  const logins = { appUrl: urls.app, sequencerUrl: urls.sequencer, auditorUrl: urls.auditor };
  const composition = await compose(configuration, logins);
  try {
    const { operations, answering, identity } = composition;
    identity.challenges.consume = () => Promise.resolve(true);
    const actor = async (role: Role): Promise<Actor> => {
      const account = { tenant: TENANT, email: `${role}@bench.example`, password: newId(), role };
      const { id } = await identity.createAccount(account);
      const found = await identity.actorOf(TENANT, id, newId());
      if (found === null) throw new Error(`There is no ${role}.`);
      return found;
    };
    const [desk, officer] = [await actor('front_desk'), await actor('privacy_officer')];
    const run = async <Input, Result>(
      who: Actor,
      purpose: string,
      operation: OperationDefinition<Input, Result>,
      input: Input,
    ): Promise<Result> => {
      const facts = {
        requestId: newId(),
        purpose,
        reason: 'asked to be forgotten',
        idempotencyKey: null,
        clientAddress: null,
      };
      const document = new Document(who, facts, null);
      const result = await operations.run(operation, document, input, selectFields('id'));
      await answering.settle(document, null);
      return result;
    };
    const admitted = async (rows: number) => {
      const { id } = await run(desk, 'PATADMIN', createPatient, { name: '王小明', phone: '13812345678' });
      await installation.alter(SEED.replaceAll('$1', `'${id}'::uuid`).replaceAll('$2', String(rows)));
      return id;
    };
    await installation.alter(`CREATE TABLE bare (id uuid PRIMARY KEY, patient_id uuid, status text, at timestamptz)`);
    await installation.alter(`CREATE INDEX ON bare (patient_id)`);
    await admitted(OTHERS);
    // As autovacuum would: without statistics, references are looked for through the wrong index.
    await installation.settle();
    const ratios: number[] = [];
    print(['round', 'side', 'milliseconds', 'of rows']);
    for (let round = 0; round <= pace.rounds; round += 1) {
      const patientId = await admitted(ROWS);
      await installation.alter(
        `INSERT INTO bare SELECT gen_random_uuid(), '${patientId}', 'finished', now() FROM generate_series(1, ${ROWS})`,
      );
      const start = performance.now();
      const id = await run(officer, 'PATRQT', eraseSubject, { patientId, challengeId: 'given' });
      await run(officer, 'PATRQT', erasureReceipt, { id });
      const ours = performance.now() - start;
      const begun = performance.now();
      await installation.alter(`DELETE FROM bare WHERE patient_id = '${patientId}'`);
      const theirs = performance.now() - begun;
      if (round === 0) continue;
      ratios.push(theirs / ours);
      print([String(round), 'eraseSubject', rounded(ours), String(ROWS)]);
      print([String(round), 'bare DELETE', rounded(theirs), String(ROWS)]);
    }
    return median(ratios);
  } finally {
    await composition.close();
  }
}
