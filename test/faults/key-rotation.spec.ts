import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SEALED_FILES } from '../../src/cli/keys-access.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { newId, newReference } from '../../src/kernel/identifier.js';
import { KeyDestruction } from '../../src/operation/key-destruction.js';
import { KeyRotation, type KeyRotationParts } from '../../src/operation/key-rotation.js';
import { keySession, type KeySession } from '../../src/operation/key-session.js';
import { SealedContents } from '../../src/operation/sealed-content.js';
import { FileBlobStore } from '../../src/persistence/blob-store.js';
import { Database } from '../../src/persistence/database.js';
import { FileRootKeyProvider } from '../../src/vault/root-key.js';
import { RotationStore, type RotationKind } from '../../src/vault/rotation.store.js';
import { SubjectRotationStore } from '../../src/vault/subject-rotation.store.js';
import { Vault } from '../../src/vault/vault.js';
import { attach, content } from '../support/files.js';
import { testSystem, type Answer, type TestSystem } from '../support/system.js';

const TENANT = 'T-CN';
/** Long enough that the system has looked once. */
const HEARD_MILLISECONDS = 2_600;
const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id version } }';
const UPDATE =
  'mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: $version, input: $input) { email } }';
const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name } }';
const READ = 'query($id: ID!) { patient(id: $id) { id version name phone email } }';
const LIST = '{ patients(first: 50) { edges { node { id name phone birthDate } } } }';
const FINDINGS = 'ECG without findings';

let system: TestSystem;
let owner: Database;
let counting: KeySession;
let file: { readonly path: string };

beforeAll(async () => {
  system = await testSystem();
  owner = await Database.connect(system.database.urls.owner, { maximum: 3 });
  counting = await keySession(system.database.urls.owner);
  file = await attach(system, 'physician', system.demo.patients[TENANT]?.['PT1'], Buffer.from(FINDINGS));
}, 120_000);
afterAll(async () => {
  await counting.close();
  await owner.close();
  await system.close();
});
afterEach(() => {
  system.composition.vault.stop();
  system.composition.vault.start();
});

/** What a command stands on, as a process of its own has it. */
async function parts(more: Partial<KeyRotationParts> = {}): Promise<KeyRotationParts> {
  const { app, directory } = system.database;
  const vault = await Vault.withFileRoot(app, path.join(directory, 'keys'));
  const blobs = await FileBlobStore.open(path.join(directory, 'data', 'blobs'), new SystemClock());
  return {
    owner,
    store: new RotationStore(owner),
    subjectKeys: new SubjectRotationStore(owner),
    vault,
    root: await FileRootKeyProvider.open(path.join(directory, 'keys'), true),
    contents: new SealedContents(vault, blobs, 1_000_000),
    files: SEALED_FILES,
    indexes: () => true,
    record: (draft) => system.composition.ledger.writer.append(draft),
    counting,
    pause: (milliseconds) => pause(Math.min(milliseconds, HEARD_MILLISECONDS)),
    assertAlone: () => counting.assertAlone(),
    throttle: null,
    progress: () => undefined,
    ...more,
  };
}

async function fileOpens(): Promise<void> {
  const { status, bytes } = await content(system, 'physician', file.path, null);
  expect([status, bytes.toString()]).toEqual([200, FINDINGS]);
}

/** Patients that one load makes. */
const MOST_MADE = 90;

/** Creates, changes, reads, lists and looks patients up until it is stopped; keeps every answer that was not right. */
class Load {
  readonly wrong: string[] = [];
  readonly patients = new Map<string, { name: string; phone: string }>();
  requests = 0;
  private stopped = false;
  private readonly workers: Promise<void>[];

  constructor(private readonly at = Date.now() % 1_000_000) {
    this.workers = [0, 1, 2].map((worker) => this.work(worker));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.workers);
    expect(this.wrong.slice(0, 5)).toEqual([]);
    expect(this.requests).toBeGreaterThan(20);
  }

  private made = 0;

  private async work(worker: number): Promise<void> {
    for (let turn = 0; !this.stopped; turn += 1) {
      if (this.made >= MOST_MADE) {
        await this.readAgain(turn);
        continue;
      }
      this.made += 1;
      const phone = `13${worker}${String((this.at * 100 + turn) % 100_000_000).padStart(8, '0')}`;
      const name = `Turn ${worker} ${turn}`;
      const input = { name, birthDate: '1960-01-02', phone, email: 'a@example.org', gender: 'male' };
      const created = this.checked('create', await system.ask('front_desk', CREATE, { variables: { input } }));
      const { id, version } = created['createPatient'] ?? {};
      const email = `b${turn}@example.org`;
      const change = { id, version, input: { email } };
      this.checked('update', await system.ask('front_desk', UPDATE, { variables: change }));
      const read = this.checked('read', await system.ask('front_desk', READ, { variables: { id } }));
      if (read['patient']?.name !== name) this.wrong.push(`read ${JSON.stringify(read)}`);
      const [known = null] = this.patients.values();
      for (const sought of [phone, ...(known === null ? [] : [known.phone])]) {
        const answer = await system.ask('front_desk', LOOKUP, { variables: { input: { phone: sought } } });
        if (answer.errors[0]?.extensions.code === 'RATE_LIMITED') continue;
        this.checked('lookup', answer);
      }
      this.checked('list', await system.ask('front_desk', LIST));
      this.patients.set(String(id), { name, phone });
    }
  }

  /** What is left to do when there are enough patients: one account sees no more than 500 in an hour. */
  private async readAgain(turn: number): Promise<void> {
    const [id = '', known] = [...this.patients][turn % Math.max(1, this.patients.size)] ?? [];
    const read = this.checked('read', await system.ask('front_desk', READ, { variables: { id } }));
    if (read['patient']?.name !== known?.name) this.wrong.push(`read ${JSON.stringify(read)}`);
    this.checked('list', await system.ask('front_desk', LIST));
  }

  private checked(what: string, answer: Answer) {
    this.requests += 1;
    if (answer.status !== 200 || answer.errors.length > 0) this.wrong.push(`${what} ${answer.text}`.slice(0, 200));
    return answer.data;
  }
}

/** Rotates under load: every request succeeds, nothing is left under older keys, and everything opens in a new process. */
async function rotated(kind: RotationKind) {
  const load = new Load();
  const rotation = new KeyRotation(await parts());
  const tenant = kind === 'root' ? 'system' : TENANT;
  const done = await rotation.rotate(kind, tenant).finally(() => load.stop());
  const counts = await rotation.count(kind, tenant);
  expect(done.step).toBe('finished');
  expect(counts.filter(({ state }) => state === 'primary').length).toBeGreaterThan(0);
  expect(counts.filter(({ state, values }) => state !== 'primary' && values > 0)).toEqual([]);
  await everythingOpens(load.patients);
  return { load, rotation, done, counts };
}

async function everythingOpens(patients: Load['patients'] = new Map()): Promise<void> {
  for (const [id, { name }] of [...patients].slice(0, 20)) {
    const { data } = await system.ask('front_desk', READ, { variables: { id } });
    expect(data['patient']).toMatchObject({ name, email: 'b***@example.org' });
  }
  await fileOpens();
}

/** The id of the key that a rotation made superfluous is destroyed; another destruction finds none. */
async function destroyed(kind: RotationKind, keyId: number): Promise<void> {
  const destruction = new KeyDestruction(await parts(), new SystemClock());
  const tenant = kind === 'root' ? 'system' : TENANT;
  await destruction.destroy(kind, tenant, keyId);
  await expect(destruction.destroy(kind, tenant, keyId)).rejects.toThrow(/no key/);
}

async function metric(tenant: string, purpose: RotationKind, keyId: number, state: string): Promise<number | null> {
  const text = await (await fetch(system.endpoint.replace('/graphql', '/metrics'))).text();
  const name = `custodia_sealed_values{tenant="${tenant}",purpose="${purpose}",key_id="${keyId}",state="${state}"}`;
  const line = text.split('\n').find((one) => one.startsWith(name));
  return line === undefined ? null : Number(line.slice(name.length));
}

describe('a rotation under load', () => {
  it('of the key that wraps subject keys wraps all of them anew; the old one is then destroyed', async () => {
    const { done, load } = await rotated('tenant');
    expect([done.fromKey, done.toKey]).toEqual([1, 2]);
    expect(await metric(TENANT, 'tenant', 1, 'decrypt-only')).toBe(0);
    await destroyed('tenant', 1);
    system.composition.vault.forget(TENANT, [...load.patients.keys()][0] ?? '');
    await everythingOpens(load.patients);
  }, 90_000);

  it('of the subjects’ keys seals every value and file again; the old versions are then destroyed', async () => {
    const { load, counts } = await rotated('subject');
    expect(counts.find(({ keyId, state }) => keyId === 2 && state === 'primary')?.values).toBeGreaterThan(0);
    const destruction = new KeyDestruction(await parts(), new SystemClock());
    await expect(destruction.destroy('subject', TENANT, 1)).rejects.toThrow(/still hold/);
    await owner.query(TENANT, { text: "UPDATE key_rotation SET promoted_at = now() - interval '1 hour'", values: [] });
    await destroyed('subject', 1);
    const left = await owner.query<{ wrapped: Buffer | null; detail: Buffer | null }>(TENANT, {
      text: "SELECT wrapped, detail FROM subject_key WHERE tenant_id = $1 AND state = 'destroyed'",
      values: [TENANT],
    });
    expect(left.length).toBeGreaterThan(0);
    expect(left.every(({ wrapped, detail }) => wrapped === null && detail !== null)).toBe(true);
    await pause(HEARD_MILLISECONDS);
    await everythingOpens(load.patients);
  }, 120_000);

  it('of the index key makes every index again; the old one is then destroyed and everybody is found', async () => {
    const { load, done } = await rotated('index');
    await destroyed('index', Number(done.fromKey));
    await pause(HEARD_MILLISECONDS);
    const { vault } = system.composition;
    expect(vault.indexKeys(TENANT).map((key) => key.keyId)).toEqual([done.toKey]);
    for (const [id, { phone }] of [...load.patients].slice(0, 3)) {
      const { data } = await system.ask('front_desk', LOOKUP, { variables: { input: { phone } } });
      if (data['patientLookup'] !== null) expect(data['patientLookup'].id).toBe(id);
    }
  }, 90_000);

  it('of the root key wraps the keys of all tenants anew; the old one is then destroyed', async () => {
    const { done, load } = await rotated('root');
    expect([done.fromKey, done.toKey]).toEqual([0, 1]);
    await destroyed('root', 0);
    await parts();
    await everythingOpens(load.patients);
  }, 90_000);
});

describe('a rotation that was interrupted', () => {
  class Killed extends Error {}

  /** Dies at the n-th thing that it does to the database or the ledger. */
  async function killedAt(kind: RotationKind, step: number): Promise<boolean> {
    let steps = 0;
    const real = await parts({ pause: () => Promise.resolve() });
    const dying = <Of extends object>(of: Of): Of =>
      new Proxy(of, {
        get: (target, name) => {
          const member = Reflect.get(target, name) as unknown;
          if (typeof member !== 'function') return member;
          return (...input: unknown[]) => {
            if (steps++ >= step) throw new Killed();
            return (member as (...all: unknown[]) => unknown).apply(target, input);
          };
        },
      });
    const rotation = new KeyRotation({
      ...real,
      store: dying(real.store),
      subjectKeys: dying(real.subjectKeys),
      record: dying({ record: real.record }).record,
    });
    try {
      await rotation.rotate(kind, TENANT);
      return false;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return true;
    }
  }

  it.each(['tenant', 'subject', 'index'] as const)(
    'of kind %s goes on where it stopped, whatever the step',
    async (kind) => {
      const before = await new RotationStore(owner).latest(kind, TENANT);
      let killed = 0;
      const finished = async () => {
        const latest = await new RotationStore(owner).latest(kind, TENANT);
        return latest?.step === 'finished' && latest.id !== before?.id;
      };
      for (let step = 0; (await killedAt(kind, step)) && !(await finished()); step += 1) killed += 1;
      expect(killed).toBeGreaterThan(3);
      const { rows } = await system.database.owner.query<{ step: string }>(
        'SELECT step FROM key_rotation WHERE kind = $1 AND tenant_id = $2 AND id > $3',
        [kind, TENANT, before?.id ?? 0],
      );
      // One version was made, however often it was killed: a second rotation would be a second row.
      expect(rows.map((row) => row.step)).toEqual(['finished']);
      const counts = await new KeyRotation(await parts()).count(kind, TENANT);
      expect(counts.filter(({ state, values }) => state !== 'primary' && values > 0)).toEqual([]);
      await system.composition.vault.reloadKeys(TENANT);
      await everythingOpens();
    },
    120_000,
  );
});

describe('a process that hears of nothing', () => {
  it('opens what was sealed with versions that it does not know', async () => {
    const { vault } = system.composition;
    const { data } = await system.ask('front_desk', LIST);
    const id = String(data['patients'].edges[0].node.id);
    vault.stop();
    await new KeyRotation(await parts({ pause: () => Promise.resolve() })).rotate('subject', TENANT);
    const read = await system.ask('front_desk', READ, { variables: { id } });
    expect([read.errors, read.data['patient'].id]).toEqual([[], id]);
    const { version } = read.data['patient'];
    const change = { id, version, input: { email: 'c@example.org' } };
    const updated = await system.ask('front_desk', UPDATE, { variables: change });
    expect([updated.errors, updated.data['updatePatient'].email]).toEqual([[], 'c***@example.org']);
    await fileOpens();
  }, 60_000);

  it('creates patients although the key that it wraps with was destroyed', async () => {
    const { vault } = system.composition;
    vault.stop();
    const { fromKey } = await new KeyRotation(await parts({ pause: () => Promise.resolve() })).rotate('tenant', TENANT);
    await new KeyDestruction(await parts(), new SystemClock()).destroy('tenant', TENANT, Number(fromKey));
    const input = { name: 'Late', birthDate: '1960-01-02', phone: '13912345678', gender: 'male' };
    const { errors, data } = await system.ask('front_desk', CREATE, { variables: { input } });
    expect(errors).toEqual([]);
    const read = await system.ask('front_desk', READ, { variables: { id: data['createPatient'].id } });
    expect(read.data['patient'].name).toBe('Late');
  }, 60_000);
});

describe('a key', () => {
  it('is not destroyed while one value is left under it', async () => {
    const real = await parts({ pause: () => Promise.resolve() });
    const { fromKey } = await new KeyRotation(real).rotate('tenant', TENANT);
    const subjectId = newId();
    const row = await system.composition.vault.createSubjectKey(TENANT, subjectId, newReference());
    // Wrapped by a process that has not heard of the rotation.
    await system.database.owner.query(
      `INSERT INTO subject_key (tenant_id, subject_id, key_id, subject_reference, state, wrap_key_id, wrapped, commitment)
       VALUES ($1, $2, 1, $3, 'primary', $4, $5, $6)`,
      [TENANT, subjectId, row.reference, fromKey, row.wrapped, row.commitment],
    );
    const destruction = new KeyDestruction(real, new SystemClock());
    await expect(destruction.destroy('tenant', TENANT, Number(fromKey))).rejects.toThrow(/1 values are left/);
    await system.database.owner.query('DELETE FROM subject_key WHERE subject_id = $1', [subjectId]);
    await destruction.destroy('tenant', TENANT, Number(fromKey));
  }, 60_000);

  it('is not changed by two at once', async () => {
    const [one, other] = [await keySession(system.database.urls.owner), await keySession(system.database.urls.owner)];
    try {
      await one.takeLock();
      await expect(other.takeLock()).rejects.toThrow(/Another command/);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });
});
