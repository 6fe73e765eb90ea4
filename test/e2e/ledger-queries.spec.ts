import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { verifyConsistency, verifyInclusion } from '../../audit/merkle.mjs';
import { verifyProof } from '../../audit/proof.mjs';
import { ROLES, type Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { exportedRecords, filesOf, mixedLoad } from '../support/mixed-load.js';
import { bytesOf, codeOf, nodesOf } from '../support/outcome.js';
import { represented, type Person } from '../support/person.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const ENTRIES = `query($filter: LedgerFilter, $first: Int, $after: String) {
  ledgerEntries(filter: $filter, first: $first, after: $after) {
    edges { cursor node {
      index leaf recordHash record time kind operation outcome code actor role purpose request document policy rules reason
      writer number incarnation session accesses { type rows subjects fields { field state } }
    } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor partial }
  }
}`;
const PROOF = 'index size leaf recordHash record hashes checkpoint proof';
const RECEIPT = `query($writer: String!, $number: Int!, $recordHash: String!) {
  ledgerReceipt(writer: $writer, number: $number, recordHash: $recordHash) { ${PROOF} }
}`;

const clock = new ManualClock(Date.now());
let system: TestSystem;
let references: Readonly<Record<string, string>>;
beforeAll(async () => {
  system = await testSystem({ clock });
  await mixedLoad(system, clock);
  const { rows } = await system.database.owner.query<{ id: string; subject_reference: string }>(
    'SELECT id, subject_reference FROM patient',
  );
  references = Object.fromEntries(rows.map((row) => [row.id, row.subject_reference]));
}, 120_000);
afterAll(() => system.close());

const referenceOf = (key: string) => references[system.demo.patients['T-CN']?.[key] ?? ''] ?? '';
const auditor = (document: string, variables: Loose = {}, tenant = 'T-CN') =>
  system.ask('auditor', document, { purpose: 'HCOMPL', variables, tenant });

/** All pages of a search. */
async function search(filter: Loose, first = 7): Promise<Loose[]> {
  const found: Loose[] = [];
  for (let after: string | null = null; ;) {
    const answer: Answer = await auditor(ENTRIES, { filter, first, after });
    expect(codeOf(answer)).toBe('none');
    const { edges, pageInfo } = answer.data['ledgerEntries'] as Loose;
    found.push(...(edges as Loose[]).map((edge) => edge['node'] as Loose));
    if (!pageInfo.hasNextPage) return found;
    after = String(pageInfo.endCursor);
    clock.advance(1_000);
  }
}

/** The log as the database has it, newest first. */
async function log(tenant = 'T-CN'): Promise<Loose[]> {
  await system.composition.ledger.sequencer.drain(5_000);
  const { rows } = await system.database.owner.query<{ idx: string; record: Buffer }>(
    `SELECT idx, record FROM ledger_leaf leaf JOIN ledger_entry entry ON entry.id = leaf.entry_id WHERE leaf.log = $1 ORDER BY idx DESC`,
    [tenant],
  );
  return rows.map((row) => ({ ...(JSON.parse(row.record.toString()) as Loose), index: Number(row.idx) }));
}

const subjectsIn = (record: Loose) => (record['accesses'] as Loose[]).flatMap((one) => one['subjects'] as string[]);

describe('a search of the ledger', () => {
  it('finds by each filter and by several what a scan of the whole log finds, in its order', async () => {
    const records = await log();
    const moments = [...new Set(records.map((one) => String(one['time'])))];
    const middle = String(moments[Math.floor(moments.length / 2)]);
    const local = (time: string) => new Date(Date.parse(time) + 8 * 3_600_000).toISOString().replace('Z', '+08:00');
    const subject = referenceOf('PT1');
    const physician = String(records.find((one) => one['role'] === 'physician')?.['actor']);
    const cases: [Loose, (record: Loose) => boolean][] = [
      [{ subject }, (one) => subjectsIn(one).includes(subject)],
      [{ actor: physician }, (one) => one['actor'] === physician],
      [{ purpose: 'ETREAT' }, (one) => one['purpose'] === 'ETREAT'],
      [{ operation: 'careTeams' }, (one) => one['operation'].split(' ').includes('careTeams')],
      [{ operation: 'Patient.visits' }, (one) => one['operation'].split(' ').includes('Patient.visits')],
      [{ outcome: 'denied' }, (one) => one['outcome'] === 'denied'],
      [{ kind: 'EXPORT' }, (one) => one['kind'] === 'EXPORT'],
      [{ from: local(middle) }, (one) => one['time'] >= middle],
      [{ to: local(middle) }, (one) => one['time'] < middle],
      [{ from: middle, to: middle }, () => false],
      [
        { subject, kind: 'READ', purpose: 'TREAT' },
        (one) => subjectsIn(one).includes(subject) && one['kind'] === 'READ' && one['purpose'] === 'TREAT',
      ],
      [
        { subject, actor: physician, to: middle },
        (one) => subjectsIn(one).includes(subject) && one['actor'] === physician && one['time'] < middle,
      ],
    ];
    const last = Number(records[0]?.['index']);
    for (const [filter, holds] of cases) {
      const found = (await search(filter)).filter((one) => one['index'] <= last);
      const expected = records.filter(holds);
      expect([filter, found.map((one) => one['index'])]).toEqual([filter, expected.map((one) => one['index'])]);
      const empty = filter['from'] === middle && filter['to'] === middle;
      expect([filter, found.length === 0]).toEqual([filter, empty]);
    }
  }, 60_000);

  it('shows each entry as its record says, and the exact text that its hash is of', async () => {
    const [entry] = await search({ subject: referenceOf('PT2'), kind: 'READ' });
    const record = JSON.parse(String(entry?.['record'])) as Loose;
    const { accesses, ...rest } = entry ?? {};
    for (const name of [
      'time',
      'kind',
      'operation',
      'outcome',
      'actor',
      'role',
      'purpose',
      'request',
      'number',
      'policy',
    ]) {
      expect([name, rest[name]]).toEqual([name, record[name]]);
    }
    expect(accesses[0].fields).toContainEqual({ field: 'phone', state: 'MASKED' });
    const one = await auditor(`{ ledgerEntry(index: ${entry?.['index']}) { index recordHash record } }`);
    expect(one.data['ledgerEntry']).toEqual({
      index: rest['index'],
      recordHash: rest['recordHash'],
      record: rest['record'],
    });
    for (const index of [-1, 2_000_000_000]) {
      expect(codeOf(await auditor(`{ ledgerEntry(index: ${index}) { index } }`))).toBe('NOT_FOUND');
    }
  });

  it('goes on page by page while the log grows: nothing twice, nothing left out', async () => {
    const filter = { subject: referenceOf('PT1') };
    const first = (await log()).filter((one) => subjectsIn(one).includes(filter.subject));
    const found = await search(filter, 3);
    const indexes = found.map((one) => Number(one['index']));
    expect(indexes).toEqual([...new Set(indexes)].sort((left, right) => right - left));
    const covered = new Set(indexes);
    expect(first.filter((one) => !covered.has(Number(one['index'])))).toEqual([]);
  });

  it('takes no cursor of another search or account, no filter that is none, and no large page', async () => {
    const page = await auditor(ENTRIES, { filter: { kind: 'READ' }, first: 1 });
    const after = page.data['ledgerEntries'].pageInfo.endCursor as string;
    expect(codeOf(await auditor(ENTRIES, { filter: { kind: 'READ' }, after }))).toBe('none');
    expect(codeOf(await auditor(ENTRIES, { filter: { kind: 'UPDATE' }, after }))).toBe('CURSOR_INVALID');
    expect(codeOf(await auditor(ENTRIES, { filter: { kind: 'READ' }, after }, 'T-US'))).toBe('CURSOR_INVALID');
    expect(codeOf(await auditor(ENTRIES, { after: 'MTAw' }))).toBe('CURSOR_INVALID');
    expect(codeOf(await auditor(ENTRIES, { first: 51 }))).toBe('BAD_USER_INPUT');
    for (const filter of [{ subject: 'PT1' }, { actor: '%' }, { from: '2026-01-01' }, { to: 'yesterday' }]) {
      expect(codeOf(await auditor(ENTRIES, { filter }))).toBe('BAD_USER_INPUT');
    }
  });

  it('is recorded with those whom it was about: it stands in their reports and in the next search', async () => {
    const subject = referenceOf('PT5');
    await auditor(ENTRIES, { filter: { subject, kind: 'VOID' } });
    const [filtered] = await log();
    expect(filtered).toMatchObject({
      kind: 'LEDGER_READ',
      operation: 'ledgerEntries',
      role: 'auditor',
      outcome: 'success',
    });
    expect(filtered?.['accesses']).toEqual([
      expect.objectContaining({ type: 'LedgerEntry', rows: 0, subjects: [subject] }),
    ]);
    const page = await auditor(ENTRIES, { filter: { kind: 'EXPORT' }, first: 50 });
    const shown = nodesOf(page.data['ledgerEntries']).flatMap(subjectsIn);
    const [record] = await log();
    expect(record?.['accesses'][0].subjects.sort()).toEqual([...new Set(shown)].sort());
    expect(shown).toContain(referenceOf('PT1'));
  });
});

describe('the ledger', () => {
  const QUERIES = [
    '{ ledgerEntries { edges { node { index } } } }',
    '{ ledgerEntry(index: 0) { index } }',
    '{ ledgerCheckpoint { size } }',
    '{ ledgerProof(index: 0) { index } }',
    '{ ledgerConsistency(from: 1) { to } }',
    '{ auditEvent(index: 0) }',
  ];

  it('is for those who oversee it, for that purpose, and of their own tenant alone', async () => {
    const staff = ROLES.filter((role) => system.demo.users.some((one) => one.role === role && one.tenant === 'T-CN'));
    for (const role of staff) {
      for (const purpose of system.composition.policy.purposesOf(role)) {
        const allowed = purpose === 'HCOMPL' && (role === 'auditor' || role === 'privacy_officer');
        for (const query of QUERIES) {
          const answer = await system.ask(role, query, { purpose });
          expect([role, purpose, query, codeOf(answer)]).toEqual([
            role,
            purpose,
            query,
            allowed ? 'none' : 'FORBIDDEN',
          ]);
        }
      }
    }
    expect(codeOf(await system.send(QUERIES[0] ?? '', { purpose: 'HCOMPL' }))).toBe('UNAUTHENTICATED');
    const theirs = await auditor(ENTRIES, { first: 50 }, 'T-US');
    const logs = nodesOf(theirs.data['ledgerEntries']).map(
      (one) => (JSON.parse(String(one['record'])) as Loose)['log'],
    );
    expect(new Set(logs)).toEqual(new Set(['T-US']));
    const none = await auditor(ENTRIES, { filter: { subject: referenceOf('PT1') } }, 'T-US');
    expect(none.data['ledgerEntries'].edges).toEqual([]);
  }, 60_000);

  it('proves an entry by its record and the key of the log alone, and a later size by an earlier one', async () => {
    await system.composition.ledger.settle(10_000);
    const head = (await auditor('{ ledgerCheckpoint { origin size root note vkey } }')).data[
      'ledgerCheckpoint'
    ] as Loose;
    expect(head['vkey']).toBe(filesOf(system).vkey('T-CN'));
    const count = Number(head['size']);
    for (const index of [0, 1, Math.floor(count / 2), count - 1]) {
      const answer = await auditor(`{ ledgerProof(index: ${index}) { ${PROOF} } }`);
      const proof = answer.data['ledgerProof'] as Loose;
      const record = Buffer.from(String(proof['record']));
      const proven = verifyProof(String(proof['proof']), { record }, { vkeys: [String(head['vkey'])] });
      expect([proven.index, proven.size, proven.leaf.toString('hex')]).toEqual([index, proof['size'], proof['leaf']]);
      const changed = Buffer.from(record.toString().replace('"v":1', '"v":2'));
      expect(() =>
        verifyProof(String(proof['proof']), { record: changed }, { vkeys: [String(head['vkey'])] }),
      ).toThrow();
    }
    const events = (await auditor(`{ auditEvent(index: ${count - 1}) }`)).data['auditEvent'] as string[];
    expect((JSON.parse(events[0] ?? '') as Loose)['resourceType']).toBe('AuditEvent');
    await system.composition.ledger.settle(10_000);
    const later = (await auditor('{ ledgerCheckpoint { size root } }')).data['ledgerCheckpoint'] as Loose;
    const consistency = (
      await auditor(`{ ledgerConsistency(from: ${count}, to: ${later['size']}) { from to hashes } }`)
    ).data;
    const bytes = (hex: string) => Buffer.from(hex, 'hex');
    verifyConsistency({
      from: count,
      to: Number(later['size']),
      fromRoot: bytes(String(head['root'])),
      toRoot: bytes(String(later['root'])),
      proof: (consistency['ledgerConsistency'].hashes as string[]).map(bytes),
    });
    expect(codeOf(await auditor('{ ledgerConsistency(from: 0) { to } }'))).toBe('BAD_USER_INPUT');
    expect(codeOf(await auditor('{ ledgerConsistency(from: 1, to: 2000000000) { to } }'))).toBe('PROOF_NOT_READY');
    expect(codeOf(await auditor('{ ledgerProof(index: 2000000000) { index } }'))).toBe('NOT_FOUND');
  });

  it('says in FHIR whom an entry was about, one event for each', async () => {
    const entries = await search({ kind: 'SEARCH', outcome: 'success' });
    const entry = entries.find((one) => new Set(subjectsIn(one)).size > 3);
    const events = (await auditor(`{ auditEvent(index: ${entry?.['index']}) }`)).data['auditEvent'] as string[];
    const patients = events.map((text) => {
      const event = JSON.parse(text) as Loose;
      expect(event['meta'].profile[0]).toMatch(/IHE\.BasicAudit\.PatientQuery$/);
      return event['entity'].find((one: Loose) => one['role']?.code === '1').what.identifier.value as string;
    });
    expect(patients.sort()).toEqual([...new Set(subjectsIn(entry ?? {}))].sort());
  });
});

describe('a receipt', () => {
  /** Asked until a checkpoint covers the record. */
  async function redeem(role: Role, receipt: Loose, purpose?: string): Promise<Answer> {
    for (let tries = 0; ; tries += 1) {
      const answer = await system.ask(role, RECEIPT, {
        variables: receipt,
        ...(purpose === undefined ? {} : { purpose }),
      });
      if (codeOf(answer) !== 'PROOF_NOT_READY' || tries > 100) return answer;
      expect(answer.errors[0]?.extensions['retryAfterSeconds']).toBe(1);
      await pause(100);
    }
  }

  it('leads its holder to a proof, at once or a second later; what was recorded is told to the actor alone', async () => {
    const own = await system.ask('nurse', `{ patient(id: "${system.demo.patients['T-CN']?.['PT1']}") { name } }`);
    const receipt = own.extensions['ledger'] as Loose;
    const mine = (await redeem('nurse', receipt)).data['ledgerReceipt'] as Loose;
    const vkeys = [filesOf(system).vkey('T-CN')];
    const proven = verifyProof(String(mine['proof']), { record: Buffer.from(String(mine['record'])) }, { vkeys });
    expect([proven.index, mine['recordHash']]).toEqual([mine['index'], receipt['recordHash']]);
    expect(JSON.parse(String(mine['record']))).toMatchObject({ role: 'nurse', operation: 'patient', kind: 'READ' });
    const [record] = await log();
    expect(record).toMatchObject({ operation: 'ledgerReceipt', kind: 'LEDGER_READ', role: 'nurse', purpose: 'TREAT' });
    expect(subjectsIn(record ?? {})).toEqual([referenceOf('PT1')]);

    for (const role of ['front_desk', 'patient', 'integrator', 'auditor'] as const) {
      const theirs = (await redeem(role, receipt)).data['ledgerReceipt'] as Loose;
      expect([role, theirs['record'], theirs['leaf']]).toEqual([role, null, mine['leaf']]);
      const bytes = (hex: string) => Buffer.from(hex, 'hex');
      const [, size, root] = String(theirs['checkpoint']).split('\n');
      const proof = (theirs['hashes'] as string[]).map(bytes);
      verifyInclusion({
        ...{ index: Number(theirs['index']), size: Number(size), leafHash: bytes(String(theirs['leaf'])), proof },
        root: Buffer.from(root ?? '', 'base64'),
      });
    }
    expect(subjectsIn((await log())[0] ?? {})).toEqual([]);
  });

  it('with anything else in it is one of nothing: the same bytes, whatever is wrong', async () => {
    const own = await system.ask('nurse', `{ patient(id: "${system.demo.patients['T-CN']?.['PT1']}") { name } }`);
    const { writer, number, recordHash } = own.extensions['ledger'] as Loose;
    await redeem('nurse', { writer, number, recordHash });
    const wrong = [
      { writer, number, recordHash: '0'.repeat(64) },
      { writer, number, recordHash: String(recordHash).toUpperCase() },
      { writer, number: Number(number) + 1, recordHash },
      { writer, number: -1, recordHash },
      { writer: '0'.repeat(16), number, recordHash },
      { writer: "' OR true --", number, recordHash },
    ];
    const answers = await Promise.all(wrong.map((variables) => system.ask('nurse', RECEIPT, { variables })));
    answers.push(await system.ask('nurse', RECEIPT, { variables: { writer, number, recordHash }, tenant: 'T-US' }));
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'NOT_FOUND'));
    const texts = answers.map((answer) => bytesOf(answer).replaceAll(/"(writer|requestId)":"[^"]*"/g, ''));
    expect(new Set(texts).size).toBe(1);
  });
});

describe('an access report', () => {
  const REPORT = `query($id: ID!, $after: String) { accessReport(patientId: $id, first: 4, after: $after) {
    entries { at organization role purpose operation kind outcome emergency categories fields { type field state } }
    pageInfo { hasNextPage endCursor }
  } }`;

  const demoPatient = { ask: (document: string, variables?: Loose) => system.ask('patient', document, { variables }) };

  async function reportOf(person: Pick<Person, 'ask'>, id: string): Promise<Loose[]> {
    const entries: Loose[] = [];
    for (let after: string | null = null; ;) {
      const answer: Answer = await person.ask(REPORT, { id, after });
      expect(codeOf(answer)).toBe('none');
      const page = answer.data['accessReport'] as Loose;
      entries.push(...(page['entries'] as Loose[]));
      if (!page['pageInfo'].hasNextPage) return entries;
      after = String(page['pageInfo'].endCursor);
    }
  }

  it('is what a recount of the whole exported log finds, page by page, for every patient', async () => {
    const told = (one: Loose) => [one['role'], one['purpose'], one['operation'], one['kind'], one['outcome']];
    const reports: Loose[] = [];
    for (const key of ['PT1', 'PT4', 'PT5']) {
      const id = system.demo.patients['T-CN']?.[key] ?? '';
      const person = key === 'PT1' ? demoPatient : await represented(system, 'patient', id);
      const entries = await reportOf(person, id);
      reports.push(...entries);
      const records = (await exportedRecords(system))
        .reverse()
        .filter((one) => subjectsIn(one).includes(referenceOf(key)));
      // The pages themselves came after the first of them was answered.
      const since = records.findIndex((one) => !(one['operation'] === 'accessReport' && one['role'] === 'patient'));
      const covered = records.slice(since);
      expect(covered.length).toBeGreaterThan(5);
      expect(entries.map((one) => [one['at'], ...told(one)])).toEqual(
        covered.map((one) => [one['time'], ...told(one)]),
      );
      for (const [index, entry] of entries.entries()) {
        const accesses = ((covered[index]?.['accesses'] ?? []) as Loose[]).filter((one) =>
          one['subjects'].includes(referenceOf(key)),
        );
        const fields = accesses.flatMap((one) => Object.keys(one['fields']).map((field) => `${one['type']}.${field}`));
        const shown = (entry['fields'] as Loose[]).map((one) => `${one['type']}.${one['field']}`);
        expect(shown.sort()).toEqual([...new Set(fields)].sort());
        expect([entry['organization'], entry['emergency']]).toEqual(['北京示范医院', entry['purpose'] === 'ETREAT']);
      }
    }
    const kinds = new Set(reports.map((one) => one['kind']));
    for (const kind of ['SEARCH', 'CREATE', 'EXPORT', 'LEDGER_READ']) expect(kinds).toContain(kind);
    const searched = reports.find((one) => one['role'] === 'call_center_agent');
    expect(searched?.['categories']).toEqual(['identity']);
  }, 60_000);
});
