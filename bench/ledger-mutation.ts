import path from 'node:path';
import { compose, type Composition } from '../src/composition.js';
import { readConfiguration } from '../src/config/configuration.js';
import { DEMO_TENANTS } from '../src/demo/people.js';
import { createPatient } from '../src/domain/patient/create-patient.js';
import type { Actor } from '../src/kernel/actor.js';
import { newId } from '../src/kernel/identifier.js';
import { LedgerWriter } from '../src/ledger/writer.js';
import { Document } from '../src/operation/document.js';
import { Operations } from '../src/operation/run.js';
import { selectFields } from '../src/operation/selection.js';
import { ensureTenants } from '../src/persistence/tenant.store.js';
import type { Installation } from './installation.js';
import { syntheticPatient } from './patients.js';
import { median, print, rounded, type Pace } from './rounds.js';
import { throughput } from './throughput.js';

const TENANT = 'T-CN';
const CALLERS = 32;

/**
 * createPatient through the door with the ledger on, against the same without its record: no bytes, no hash, no MAC, no row,
 * no sequencing. What the rest costs (policy, seals, blind indexes, the row itself) is in both.
 */
export async function ledgerMutation(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  const composition = await composed(installation);
  try {
    const { id } = await composition.identity.createAccount({
      tenant: TENANT,
      email: 'bench@t-cn.example',
      role: 'front_desk',
      password: newId(),
    });
    const actor = await composition.identity.actorOf(TENANT, id, newId());
    if (actor === null) throw new Error('The account that was just made is not there.');
    const services = composition.operations['services'];
    const off = new Operations({ ...services, ledger: new NoLedger(composition.ledger.writer['options']) });
    let next = 0;
    const create = (operations: Operations) =>
      operations.run(createPatient, documentOf(actor), syntheticPatient(next++), SELECTION);
    print(['round', 'ledger', 'creations/s', 'p50 ms', 'p99 ms']);
    const ratios: number[] = [];
    for (let round = 0; round <= pace.rounds; round++) {
      const without = await throughput(CALLERS, pace.seconds, () => create(off));
      const withLedger = await throughput(CALLERS, pace.seconds, () => create(composition.operations));
      // The next round begins with nothing left to sequence.
      await composition.ledger.settle(60_000);
      if (round === 0) continue;
      print([String(round), 'on', ...withLedger.map(rounded)]);
      print([String(round), 'off', ...without.map(rounded)]);
      ratios.push(withLedger[0] / without[0]);
    }
    return median(ratios);
  } finally {
    await composition.close();
  }
}

const SELECTION = selectFields('id');

/** A writer that writes nothing: what a statement of the system would be without a ledger. */
class NoLedger extends LedgerWriter {
  override prepare(draft: Parameters<LedgerWriter['prepare']>[0]) {
    return {
      log: draft.log,
      writer: this.writer,
      number: 0,
      bytes: EMPTY,
      hash: EMPTY,
      mac: EMPTY,
      recordedAt: EPOCH,
      sealed: null,
    };
  }

  override insertion(): string {
    return 'SELECT 1';
  }

  override detailInsertion(): null {
    return null;
  }

  override void(): void {}
}

const EMPTY = Buffer.alloc(0);
const EPOCH = new Date(0);

async function composed(installation: Installation): Promise<Composition> {
  const { owner, app, sequencer, auditor } = await installation.migrated();
  await ensureTenants(owner, DEMO_TENANTS, new Date());
  const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: path.join(installation.directory, 'mutation') });
  return compose(configuration, { appUrl: app, sequencerUrl: sequencer, auditorUrl: auditor });
}

function documentOf(actor: Actor): Document {
  const facts = { requestId: newId(), purpose: 'PATADMIN', reason: null, idempotencyKey: null, clientAddress: null };
  return new Document(actor, facts, null);
}
