import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ROLES, type Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { bytesOf, codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, represented, type Person } from '../support/person.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const DAY = 86_400_000;
const START = Date.parse('2026-11-21T04:00:00Z');
const ENTRY =
  'id disclosedAt recipientName recipientAddress description purpose category disclosedBy times { first last count }';
const ACCOUNTING = `query($id: ID!, $from: String, $to: String, $mode: AccountingMode) {
  accountingOfDisclosures(patientId: $id, from: $from, to: $to, mode: $mode) {
    id mode generatedAt feeMayApply sha256 protocolStatement period { from to } entries { ${ENTRY} }
    protocols { name description criteria types disclosedFrom disclosedTo sponsorName sponsorAddress sponsorPhone
      researcherName researcherAddress researcherPhone } } }`;
const RECORD = `mutation($input: RecordDisclosureInput!) { recordDisclosure(input: $input) {
  id disclosedAt recipientName category exclusion consent channel recordedByRole } }`;
const SUSPEND = `mutation($input: SuspendAccountingInput!) { suspendAccounting(input: $input) {
  id version patientId agency statement statedAt until status } }`;
const END = `mutation($id: ID!, $version: Int!) { endAccountingSuspension(id: $id, version: $version) { status endedAt } }`;
const SUSPENSIONS = `query($filter: AccountingSuspensionFilter) {
  accountingSuspensions(filter: $filter) { edges { node { id agency status } } } }`;
const PROTOCOL =
  'mutation($input: RecordResearchProtocolInput!) { recordResearchProtocol(input: $input) { id persons } }';

let clock: ManualClock;
let system: TestSystem;
let own: string;
let patient: Person;
beforeAll(async () => {
  clock = new ManualClock(START);
  system = await testSystem({ clock });
  own = await admit(system, { name: '王小明', birthDate: '1970-01-01' });
  patient = await represented(system, 'patient', own);
});
afterAll(() => system.close());

const instant = (days: number) => new Date(START + days * DAY).toISOString();
const officer = (document: string, variables: Loose, more: Loose = {}): Promise<Answer> =>
  system.ask('privacy_officer', document, { purpose: 'HCOMPL', variables, ...more });
const disclosure = (patientId: string, category: string, more: Loose = {}) => ({
  patientId,
  category,
  disclosedAt: instant(-100),
  recipientName: `Recipient of ${category}`,
  recipientAddress: '1 Main Street, Boston MA 02108',
  description: `What was sent: ${category}`,
  purpose: `Why it was sent: ${category}`,
  ...more,
});
async function recorded(patientId: string, category: string, more: Loose = {}): Promise<Loose> {
  const answer = await officer(RECORD, { input: disclosure(patientId, category, more) });
  expect(codeOf(answer)).toBe('none');
  return answer.data['recordDisclosure'] as Loose;
}
async function accounting(variables: Loose = {}, who: Person = patient, id = own): Promise<Loose> {
  const answer = await who.ask(ACCOUNTING, { id, mode: 'HIPAA', ...variables });
  expect(codeOf(answer)).toBe('none');
  return answer.data['accountingOfDisclosures'] as Loose;
}
const categoriesIn = (one: Loose): string[] => (one['entries'] as Loose[]).map((entry) => String(entry['category']));
async function another(name = '李雷'): Promise<{ id: string; who: Person }> {
  const id = await admit(system, { name, birthDate: '1980-01-01' });
  return { id, who: await represented(system, 'patient', id) };
}

describe('an accounting of disclosures', () => {
  it('lists what is accountable, with all four elements, and nothing that the law excludes', async () => {
    for (const category of [
      'PUBLIC_HEALTH',
      'COURT_ORDER',
      'TREATMENT',
      'AUTHORISED',
      'LIMITED_DATA_SET',
      'MISDIRECTED',
    ]) {
      await recorded(own, category);
    }
    const given = await accounting();
    expect(categoriesIn(given)).toEqual(['PUBLIC_HEALTH', 'COURT_ORDER', 'MISDIRECTED']);
    for (const entry of given['entries'] as Loose[]) {
      expect(entry).toEqual({
        id: expect.any(String),
        disclosedAt: instant(-100),
        recipientName: `Recipient of ${entry['category']}`,
        recipientAddress: '1 Main Street, Boston MA 02108',
        description: `What was sent: ${entry['category']}`,
        purpose: `Why it was sent: ${entry['category']}`,
        category: entry['category'],
        disclosedBy: null,
        times: null,
      });
    }
    expect(given['period']).toEqual({ from: '2020-11-20T16:00:00.000Z', to: instant(0) });
    expect(given['generatedAt']).toBe(instant(0));
  });

  it('of a Part 2 record lists what was disclosed with consent; care and payment only through an EHR; three years', async () => {
    const { id, who } = await another();
    const consent = 'WITH_CONSENT';
    await recorded(id, 'TREATMENT', { consent, channel: 'EHR', recipientName: 'by EHR' });
    await recorded(id, 'PAYMENT', { consent, channel: 'FAX', recipientName: 'by fax' });
    await recorded(id, 'OPERATIONS', { channel: 'EHR', recipientName: 'without consent' });
    await recorded(id, 'AUTHORISED', { consent, channel: 'POST', recipientName: 'by post' });
    await recorded(id, 'AUTHORISED', { consent, disclosedAt: instant(-3.1 * 366), recipientName: 'long ago' });
    await recorded(id, 'PUBLIC_HEALTH', { recipientName: 'authority' });
    const names = (one: Loose) => (one['entries'] as Loose[]).map((entry) => entry['recipientName']);
    const given = await accounting({ mode: 'PART2' }, who, id);
    expect(names(given)).toEqual(['by EHR', 'by post']);
    expect(given['protocols']).toEqual([]);
    expect(given['period'].from).toBe('2023-11-20T16:00:00.000Z');
    expect(names(await accounting({}, who, id))).toEqual(['authority']);
  });

  it('summarises repeated disclosures to one recipient for one purpose, never what was misdirected', async () => {
    const { id, who } = await another();
    const days = [-90, -60, -30];
    for (const day of days) {
      await recorded(id, 'PUBLIC_HEALTH', { disclosedAt: instant(day), description: `Report ${day}` });
      await recorded(id, 'MISDIRECTED', { disclosedAt: instant(day) });
    }
    await recorded(id, 'PUBLIC_HEALTH', { disclosedBy: 'Mailing Service' });
    const entries = (await accounting({}, who, id))['entries'] as Loose[];
    const reports = entries.filter((one) => one['category'] === 'PUBLIC_HEALTH');
    expect(entries.filter((one) => one['category'] === 'MISDIRECTED')).toHaveLength(3);
    expect(reports.map((one) => [one['description'], one['disclosedBy'], one['times']])).toEqual([
      ['What was sent: PUBLIC_HEALTH', 'Mailing Service', null],
      ['Report -90', null, { first: instant(-90), last: instant(-30), count: 3 }],
    ]);
    const shorter = (await accounting({ from: instant(-61) }, who, id))['entries'] as Loose[];
    expect(shorter.find((one) => one['times'] !== null)?.['times']).toEqual({
      first: instant(-60),
      last: instant(-30),
      count: 2,
    });
  });

  it('says from the second one within 12 months on that a fee may apply, whoever asked for the patient', async () => {
    const { id, who } = await another();
    const fee = async (mode = 'HIPAA') => (await accounting({ mode }, who, id))['feeMayApply'];
    const asked = await officer(ACCOUNTING, { id });
    expect(asked.data['accountingOfDisclosures'].feeMayApply).toBe(false);
    // Oversight is no request of the patient.
    expect(await fee()).toBe(false);
    expect(await fee()).toBe(true);
    expect(await fee('PART2')).toBe(false);
    const onBehalf = await officer(ACCOUNTING, { id, mode: 'HIPAA' }, { purpose: 'PATRQT' });
    expect(onBehalf.data['accountingOfDisclosures'].feeMayApply).toBe(true);
    const onFile = await officer(
      `query($id: ID!) { patient(id: $id) { accountingRequests { edges { node { requester mode sha256 } } } } }`,
      { id },
    );
    const requests = nodesOf(onFile.data['patient'].accountingRequests);
    expect(requests.map((one) => one['requester']).sort()).toEqual(
      ['COMPLIANCE', 'PATIENT', 'PATIENT', 'PATIENT', 'PRIVACY_OFFICE'].sort(),
    );
    expect(requests.map((one) => one['sha256'])).toContain(onBehalf.data['accountingOfDisclosures'].sha256);
    await system.database.owner.query(
      `UPDATE accounting_request SET requested_at = requested_at - interval '366 days' WHERE patient_id = $1`,
      [id],
    );
    expect(await fee()).toBe(false);
  });

  it('names research with many persons, and that the patient may or may not be among them', async () => {
    const { id, who } = await another();
    const contact = {
      sponsorName: 'University',
      sponsorAddress: '1 College Road',
      sponsorPhone: '+1 617 555 0100',
      researcherName: 'Dr Grey',
      researcherAddress: '2 College Road',
      researcherPhone: '+1 617 555 0101',
    };
    const input = {
      name: 'Sleep and blood glucose',
      description: 'Whether sleep changes blood glucose',
      criteria: 'Adults with diabetes',
      types: 'Laboratory results',
      disclosedFrom: instant(-50),
      disclosedTo: instant(-40),
      persons: 50,
      ...contact,
    };
    expect(codeOf(await officer(PROTOCOL, { input }))).toBe('none');
    for (const wrong of [
      { persons: 49 },
      { sponsorPhone: ' ' },
      { disclosedTo: instant(1) },
      { disclosedTo: instant(-51) },
      { name: '' },
    ]) {
      expect([wrong, codeOf(await officer(PROTOCOL, { input: { ...input, ...wrong } }))]).toEqual([
        wrong,
        'BAD_USER_INPUT',
      ]);
    }
    const { persons: _persons, ...named } = input;
    const given = await accounting({ from: instant(-60), to: instant(-45) }, who, id);
    expect(given['protocols']).toEqual([{ ...named, disclosedTo: instant(-45) }]);
    expect(given['protocolStatement']).toContain('may or may not');
    expect((await accounting({ from: instant(-39) }, who, id))['protocols']).toEqual([]);
    const abroad = await system.ask('privacy_officer', '{ researchProtocols { edges { node { id } } } }', {
      tenant: 'T-US',
    });
    expect(nodesOf(abroad.data['researchProtocols'])).toEqual([]);
  });

  it('is what an independent definition counts, whatever was disclosed and asked', async () => {
    const { id, who } = await another();
    const excluded = new Set(
      'TREATMENT PAYMENT OPERATIONS TO_INDIVIDUAL INCIDENTAL AUTHORISED DIRECTORY NATIONAL_SECURITY CUSTODY LIMITED_DATA_SET'.split(
        ' ',
      ),
    );
    const all = ['PUBLIC_HEALTH', 'COURT_ORDER', 'LAW_ENFORCEMENT', 'RESEARCH', 'MISDIRECTED', ...excluded];
    const made = fc.sample(
      fc.record({
        category: fc.constantFrom(...all),
        consent: fc.constantFrom('WITH_CONSENT', 'WITHOUT_CONSENT'),
        channel: fc.constantFrom('EHR', 'FAX'),
        days: fc.integer({ min: -8 * 365, max: 0 }),
        recipientName: fc.constantFrom('one', 'two'),
      }),
      { numRuns: 80, seed: 164528 },
    );
    for (const { days, category, ...rest } of made)
      await recorded(id, category, { disclosedAt: instant(days), ...rest });
    const day = fc.integer({ min: -8 * 365, max: 0 });
    const windows = fc.sample(fc.tuple(day, day, fc.constantFrom('HIPAA', 'PART2')), { numRuns: 15, seed: 225 });
    const own_uses = ['TREATMENT', 'PAYMENT', 'OPERATIONS'];
    for (const [one, two, mode] of windows) {
      const [from, to] = [Math.min(one, two), Math.max(one, two)];
      const answer = await who.ask(ACCOUNTING, { id, mode, from: instant(from), to: instant(to) });
      const years = mode === 'HIPAA' ? 6 : 3;
      const earliest = Date.parse(`${2026 - years}-11-20T16:00:00Z`);
      if (START + to * DAY < earliest) {
        expect(codeOf(answer)).toBe('BAD_USER_INPUT');
        continue;
      }
      const expected = made.filter(({ days, category, consent, channel }) => {
        if (days < from || days > to || START + days * DAY < earliest) return false;
        if (mode === 'HIPAA') return !excluded.has(category);
        return consent === 'WITH_CONSENT' && (channel === 'EHR' || !own_uses.includes(category));
      });
      const entries = answer.data['accountingOfDisclosures'].entries as Loose[];
      const counted = new Map<string, number>();
      for (const entry of entries) {
        const key = `${entry['category']} ${entry['recipientName']}`;
        counted.set(key, (counted.get(key) ?? 0) + (entry['times']?.count ?? 1));
      }
      const truth = new Map<string, number>();
      for (const { category, recipientName } of expected) {
        const key = `${category} ${recipientName}`;
        truth.set(key, (truth.get(key) ?? 0) + 1);
      }
      expect(counted).toEqual(truth);
    }
  });
});

describe('a suspension', () => {
  const agency = 'Bureau of Investigation';
  const suspended = (patientId: string, more: Loose = {}) =>
    officer(SUSPEND, { input: { patientId, agency, until: instant(20), oral: true, ...more } });

  it('hides what went to the agency until its end, and shows it from then on', async () => {
    const { id, who } = await another();
    await recorded(id, 'LAW_ENFORCEMENT', { recipientName: 'bureau of  Investigation.' });
    await recorded(id, 'PUBLIC_HEALTH');
    const before = await accounting({}, who, id);
    expect(categoriesIn(before)).toEqual(['LAW_ENFORCEMENT', 'PUBLIC_HEALTH']);
    const made = await suspended(id, { until: new Date(clock.milliseconds() + 60_000).toISOString() });
    expect(made.data['suspendAccounting']).toMatchObject({
      patientId: id,
      agency,
      statement: 'ORAL',
      status: 'active',
    });
    const during = await accounting({}, who, id);
    expect(categoriesIn(during)).toEqual(['PUBLIC_HEALTH']);
    expect(Object.keys(during)).toEqual(Object.keys(before));
    expect(JSON.stringify(during)).not.toMatch(/suspen|bureau/i);
    const onBehalf = await officer(ACCOUNTING, { id }, { purpose: 'PATRQT' });
    expect(categoriesIn(onBehalf.data['accountingOfDisclosures'])).toEqual(['PUBLIC_HEALTH']);
    // Oversight sees all.
    const oversight = await officer(ACCOUNTING, { id });
    expect(categoriesIn(oversight.data['accountingOfDisclosures'])).toHaveLength(2);
    clock.advance(59_999);
    expect(categoriesIn(await accounting({}, who, id))).toEqual(['PUBLIC_HEALTH']);
    clock.advance(1);
    expect(categoriesIn(await accounting({}, who, id))).toEqual(['LAW_ENFORCEMENT', 'PUBLIC_HEALTH']);
  });

  it('can be ended before its time, once', async () => {
    const { id, who } = await another();
    await recorded(id, 'LAW_ENFORCEMENT', { recipientName: agency });
    const made = (await suspended(id, { oral: false, until: instant(5000) })).data['suspendAccounting'];
    expect(made.statement).toBe('WRITTEN');
    expect(categoriesIn(await accounting({}, who, id))).toEqual([]);
    const list = await officer(SUSPENSIONS, { filter: { patientId: { eq: id } } });
    expect(nodesOf(list.data['accountingSuspensions'])).toEqual([{ id: made.id, agency, status: 'active' }]);
    expect(codeOf(await officer(END, { id: made.id, version: 7 }))).toBe('VERSION_CONFLICT');
    const ended = await officer(END, { id: made.id, version: 1 });
    expect(ended.data['endAccountingSuspension'].status).toBe('ended');
    expect(categoriesIn(await accounting({}, who, id))).toEqual(['LAW_ENFORCEMENT']);
    expect(codeOf(await officer(END, { id: made.id, version: 2 }))).toBe('BAD_USER_INPUT');
  });

  it('on an oral statement lasts 30 days at most, and another oral one does not prolong it', async () => {
    const { id } = await another();
    const now = clock.milliseconds();
    const at = (days: number) => new Date(now + days * DAY).toISOString();
    expect(codeOf(await suspended(id, { until: at(30.001) }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { until: at(10), statedAt: at(-20.001) }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { until: at(10), statedAt: at(0.001) }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { until: at(0) }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { until: '2027-01-01' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { agency: ' . ' }))).toBe('BAD_USER_INPUT');
    const first = await suspended(id, { until: at(30) });
    expect(codeOf(first)).toBe('none');
    expect(codeOf(await suspended(id, { until: at(20), agency: agency.toUpperCase() }))).toBe('BAD_USER_INPUT');
    await officer(END, { id: first.data['suspendAccounting'].id, version: 1 });
    expect(codeOf(await suspended(id, { until: at(20) }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await suspended(id, { until: at(400), oral: false }))).toBe('none');
    expect(codeOf(await suspended(id, { until: at(30), agency: 'Another agency' }))).toBe('none');
    const longer = `UPDATE accounting_suspension SET until_at = until_at + interval '1 second' WHERE statement = 'ORAL'`;
    await expect(system.database.owner.query(longer)).rejects.toThrow('accounting_suspension_oral_check');
  });

  it('is nowhere to be heard of by the patient: not in the access report, not in a list, not in a refusal', async () => {
    const { id, who } = await another();
    const quiet = await another();
    await recorded(id, 'LAW_ENFORCEMENT', { recipientName: agency });
    const made = (await suspended(id)).data['suspendAccounting'];
    await officer(SUSPENSIONS, { filter: { patientId: { eq: id } } });
    await officer(END, { id: made.id, version: 1 });
    await officer(SUSPEND, { input: { patientId: id, agency, until: instant(60), oral: false } });
    const report = await who.ask(
      `{ accessReport(patientId: "${id}", first: 50) { entries { operation kind fields { type field } } } }`,
    );
    expect(codeOf(report)).toBe('none');
    expect(JSON.stringify(report.data)).not.toMatch(/suspen/i);
    const [one, two] = [await accounting({}, who, id), await accounting({}, quiet.who, quiet.id)];
    expect(one['entries']).toEqual(two['entries']);
    for (const [document, variables] of [
      [SUSPENSIONS, {}],
      [SUSPEND, { input: { patientId: id, agency, until: instant(60), oral: false } }],
      [END, { id: made.id, version: 1 }],
    ] as const) {
      expect(codeOf(await who.ask(document, variables))).toBe('FORBIDDEN');
      expect(codeOf(await officer(document, variables, { purpose: 'PATRQT' }))).toBe('FORBIDDEN');
    }
    const nested = await who.ask(`{ patient(id: "${id}") { disclosures { edges { node { id } } } } }`);
    expect(nested.data['patient'].disclosures).toBeNull();
  });
});

describe('a disclosure', () => {
  it.each([
    ['in the future', { disclosedAt: instant(3000) }],
    ['at an instant without a zone', { disclosedAt: '2026-01-31T08:00:00' }],
    ['to nobody', { recipientName: '  ' }],
    ['of nothing', { description: '' }],
    ['for nothing', { purpose: '\t' }],
    ['to a name without end', { recipientName: 'x'.repeat(301) }],
    ['to a name with a control character', { recipientName: 'a\u0000b' }],
    ['on a ground that is none', { category: 'CURIOSITY' }],
    ['through a channel that is none', { channel: 'PIGEON' }],
  ])('%s is refused', async (_what, more) => {
    const count = () => system.database.owner.query('SELECT count(*) FROM disclosure');
    const before = (await count()).rows;
    const answer = await officer(RECORD, { input: disclosure(own, 'PUBLIC_HEALTH', more) });
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
    expect((await count()).rows).toEqual(before);
  });

  it('says from its ground what excludes it', async () => {
    const { id } = await another();
    expect(await recorded(id, 'CUSTODY')).toMatchObject({
      exclusion: '164.528(a)(1)(vii)',
      consent: 'WITHOUT_CONSENT',
      channel: 'OTHER',
      recordedByRole: 'privacy_officer',
    });
    expect((await recorded(id, 'COURT_ORDER'))['exclusion']).toBeNull();
    const register = await officer(
      `query($id: ID!) { patient(id: $id) { disclosures { edges { node { category recipientName } } } } }`,
      { id },
    );
    expect(
      nodesOf(register.data['patient'].disclosures)
        .map((one) => one['category'])
        .sort(),
    ).toEqual(['COURT_ORDER', 'CUSTODY']);
  });

  it('is recorded once for one Idempotency-Key, however often and at once', async () => {
    const { id, who } = await another();
    const headers = { 'idempotency-key': newId() };
    const ask = () => officer(RECORD, { input: disclosure(id, 'PUBLIC_HEALTH') }, { headers });
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(answers.map(codeOf)).toEqual(['none', 'none', 'none']);
    expect(new Set(answers.map((one) => one.data['recordDisclosure'].id)).size).toBe(1);
    expect((await accounting({}, who, id))['entries']).toMatchObject([{ times: null }]);
    const other = await officer(RECORD, { input: disclosure(id, 'RESEARCH') }, { headers });
    expect(codeOf(other)).toBe('IDEMPOTENCY_CONFLICT');
  });

  it('and its accounting are in the ledger with the patient as subject, in their own statements', async () => {
    const { id, who } = await another();
    const made = await recorded(id, 'PUBLIC_HEALTH');
    const given = await accounting({}, who, id);
    const { rows } = await system.database.owner.query<{ subject_reference: string }>(
      'SELECT subject_reference FROM patient WHERE id = $1',
      [id],
    );
    const subjects = [rows[0]?.subject_reference];
    const records = await recordsOf(system, 'T-CN');
    const disclosed = records.findLast((one) => one['operation'] === 'recordDisclosure' && one['kind'] === 'DISCLOSE');
    expect(disclosed).toMatchObject({ outcome: 'success', role: 'privacy_officer', purpose: 'HCOMPL' });
    expect(disclosed?.['accesses']).toMatchObject([{ type: 'Disclosure', rows: 1, subjects }]);
    const accounted = records.findLast((one) => one['operation'] === 'accountingOfDisclosures');
    expect(accounted).toMatchObject({
      kind: 'LEDGER_READ',
      outcome: 'success',
      role: 'patient',
      detail: { key: `accounting:${given['id']}`, sha256: given['sha256'] },
    });
    expect(accounted?.['accesses']).toMatchObject([{ type: 'AccountingRequest', rows: 1, subjects }]);
    const text = JSON.stringify([disclosed, accounted]);
    for (const clear of ['PUBLIC_HEALTH', 'Main Street', String(made['id'])]) expect(text).not.toContain(clear);
    const report = await who.ask(`{ accessReport(patientId: "${id}") { entries { operation kind role } } }`);
    expect(report.data['accessReport'].entries).toEqual(
      expect.arrayContaining([
        { operation: 'recordDisclosure', kind: 'DISCLOSE', role: 'privacy_officer' },
        { operation: 'accountingOfDisclosures', kind: 'LEDGER_READ', role: 'patient' },
      ]),
    );
  });

  it('that cannot be recorded in the ledger did not happen, and an accounting neither', async () => {
    const { id, who } = await another();
    await recorded(id, 'PUBLIC_HEALTH');
    await who.signIn();
    const counts = async () =>
      (
        await system.database.owner.query(
          `SELECT (SELECT count(*) FROM disclosure)::integer AS d, (SELECT count(*) FROM accounting_request)::integer AS a`,
        )
      ).rows;
    const before = await counts();
    await system.database.owner.query('REVOKE INSERT ON ledger_entry FROM custodia_app');
    try {
      expect(codeOf(await officer(RECORD, { input: disclosure(id, 'RESEARCH') }))).toBe('AUDIT_UNAVAILABLE');
      const asked = await who.ask(ACCOUNTING, { id });
      expect(codeOf(asked)).toBe('AUDIT_UNAVAILABLE');
      expect(asked.text).not.toContain('Recipient of');
    } finally {
      await system.database.owner.query(
        'GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app',
      );
    }
    expect(await counts()).toEqual(before);
  });

  it('holds no clear value of whom, what and why in its row', async () => {
    const canaries = ['CANARY-7a1e', '1 Canary Street', 'Canary Agency', 'CANARY-basis', 'CANARY-associate'];
    const [description, recipientAddress, recipientName, purpose, disclosedBy] = canaries;
    const values = {
      description,
      recipientAddress,
      recipientName,
      purpose,
      disclosedBy,
      sourceReference: 'CANARY-source',
    };
    await recorded(own, 'PUBLIC_HEALTH', values);
    const until = new Date(clock.milliseconds() + DAY).toISOString();
    await officer(SUSPEND, { input: { patientId: own, agency: recipientName, until, oral: true } });
    for (const table of [
      'disclosure',
      'accounting_suspension',
      'accounting_request',
      'ledger_entry',
      'ledger_detail',
    ]) {
      const { rows } = await system.database.owner.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`);
      expect(rows.length).toBeGreaterThan(table === 'ledger_detail' ? -1 : 0);
      for (const text of ['CANARY', 'Canary']) {
        const hexadecimal = Buffer.from(text).toString('hex');
        expect(rows.filter(({ row }) => row.includes(text) || row.includes(hexadecimal))).toEqual([]);
      }
    }
    expect(system.logged()).not.toMatch(/canary/i);
  });

  it('can be neither changed nor deleted by the API’s own database role', async () => {
    const { app } = system.composition;
    for (const text of [
      `UPDATE disclosure SET exclusion = 'x'`,
      'DELETE FROM disclosure',
      `UPDATE accounting_request SET requester = 'COMPLIANCE'`,
      'DELETE FROM accounting_request',
      `UPDATE accounting_suspension SET until_at = now()`,
      'DELETE FROM accounting_suspension',
      `UPDATE research_protocol SET name = 'x'`,
      'DELETE FROM research_protocol',
    ]) {
      await expect(app.query('T-CN', { text, values: [] })).rejects.toMatchObject({ sqlstate: '42501' });
    }
  });
});

describe('trespass', () => {
  it('other tenants and foreign patients are like none, to the byte', async () => {
    const abroad = system.demo.patients['T-US']?.['PT1'] ?? '';
    const other = (await another()).id;
    const until = instant(3000);
    const asks: [string, (id: string) => Promise<Answer>, string[]][] = [
      ['accounting', (id) => patient.ask(ACCOUNTING, { id }), [abroad, other]],
      ['bad accounting', (id) => patient.ask(ACCOUNTING, { id, from: 'x' }), [abroad, other]],
      ['accounting on behalf', (id) => officer(ACCOUNTING, { id }, { purpose: 'PATRQT' }), [abroad]],
      ['record', (id) => officer(RECORD, { input: disclosure(id, 'PUBLIC_HEALTH') }), [abroad]],
      ['bad record', (id) => officer(RECORD, { input: disclosure(id, 'PUBLIC_HEALTH', { purpose: '' }) }), [abroad]],
      ['suspend', (id) => officer(SUSPEND, { input: { patientId: id, agency: 'a', until, oral: false } }), [abroad]],
    ];
    for (const [what, ask, ids] of asks) {
      const missing = await ask(newId());
      expect([what, codeOf(missing)]).toEqual([what, 'NOT_FOUND']);
      for (const id of [...ids, 'x']) expect([what, bytesOf(await ask(id))]).toEqual([what, bytesOf(missing)]);
    }
    const made = await officer(SUSPEND, { input: { patientId: own, agency: 'Abroad', until, oral: false } });
    const end = { id: made.data['suspendAccounting'].id as string, version: 1 };
    expect(codeOf(await officer(END, end, { tenant: 'T-US' }))).toBe('NOT_FOUND');
    const list = await officer(SUSPENSIONS, {}, { tenant: 'T-US' });
    expect(idsOf(list.data['accountingSuspensions'])).toEqual([]);
  });

  it('everybody but the patient, the guardian and the privacy office is refused', async () => {
    const allowed: readonly Role[] = ['patient', 'guardian', 'privacy_officer'];
    const staff = ROLES.filter((role) => system.demo.users.some((one) => one.role === role && one.tenant === 'T-CN'));
    const until = instant(3000);
    for (const role of staff.filter((one) => !allowed.includes(one))) {
      for (const [document, variables] of [
        [ACCOUNTING, { id: own }],
        [RECORD, { input: disclosure(own, 'PUBLIC_HEALTH') }],
        [SUSPEND, { input: { patientId: own, agency: 'a', until, oral: false } }],
        [SUSPENSIONS, {}],
        ['{ researchProtocols { totalCount } }', {}],
      ] as const) {
        expect([role, codeOf(await system.ask(role, document, { variables }))]).toEqual([role, 'FORBIDDEN']);
      }
    }
    expect(codeOf(await patient.ask(RECORD, { input: disclosure(own, 'PUBLIC_HEALTH') }))).toBe('FORBIDDEN');
  });

  it('a guardian gets the accounting of the child, without reports of abuse', async () => {
    const child = await admit(system, { name: '陈小雨', birthDate: '2020-01-01' });
    const guardian = await represented(system, 'guardian', child);
    await recorded(child, 'ABUSE_REPORT');
    await recorded(child, 'PUBLIC_HEALTH');
    expect(categoriesIn(await accounting({}, guardian, child))).toEqual(['PUBLIC_HEALTH']);
    expect(codeOf(await guardian.ask(ACCOUNTING, { id: own }))).toBe('NOT_FOUND');
  });

  it('the demo patient’s accounting shows the report and not the referral', async () => {
    const answer = await system.ask('patient', ACCOUNTING, {
      variables: { id: system.demo.patients['T-CN']?.['PT1'] },
    });
    expect(categoriesIn(answer.data['accountingOfDisclosures'])).toEqual(['PUBLIC_HEALTH']);
  });
});
