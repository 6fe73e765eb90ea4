import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ReminderJobs } from '../../src/jobs/appointment-reminder-jobs.js';
import { JobQueue } from '../../src/jobs/job-queue.js';
import { Log } from '../../src/telemetry/log.js';
import { recordsOf } from '../support/system.js';
import { HOUR, ReminderStage } from './reminder-stage.js';

const CANCEL = 'mutation($id: ID!, $version: Int!) { cancelAppointment(id: $id, version: $version) { version } }';
const MOVE = `mutation($id: ID!, $version: Int!, $start: String!, $end: String!) {
  rescheduleAppointment(id: $id, version: $version, start: $start, end: $end) { id version start } }`;
const RECORD = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
const NONE = { sent: 0, withheld: 0, lost: 0, failed: 0 };

let stage: ReminderStage;
beforeAll(async () => {
  stage = await ReminderStage.open();
});
afterAll(() => stage.system.close());
beforeEach(() => rmSync(stage.outbox, { recursive: true, force: true }));

const hours = (count: number) => stage.clock.advance(count * HOUR);
const decide = (patient: string, decision: 'PERMIT' | 'DENY') =>
  stage.ask('front_desk', RECORD, { input: { patientId: stage.patient(patient), purpose: 'PATADMIN', decision } });

describe('the queue', () => {
  it('has one look at what is due for each message', async () => {
    const { database, composition } = stage.system;
    const log = new Log('silent');
    const queue = await JobQueue.start(database.urls.app, log);
    try {
      await new ReminderJobs({ ...composition, tenants: ['T-CN'] }, stage.sink()).start(queue, log);
      const { id } = await stage.book(24);
      await queue.send('appointment-reminder', {});
      for (let waited = 0; (await stage.reminder(id)).status !== 'sent' && waited < 20_000; waited += 50)
        await pause(50);
      expect((await stage.reminder(id)).status).toBe('sent');
      expect(stage.files()).toHaveLength(1);
    } finally {
      await queue.close();
    }
  });
});

describe('a reminder', () => {
  it('is sent once, 24 hours before the start, to the registered phone', async () => {
    const { id, start } = await stage.book(48);
    stage.clock.advance(24 * HOUR - 1);
    expect(await stage.sender().run()).toEqual(NONE);
    expect(stage.files()).toEqual([]);
    stage.clock.advance(1);
    expect(await stage.sender().run()).toEqual({ ...NONE, sent: 1 });
    expect(stage.messages()).toEqual([{ to: '13812345678', text: expect.stringContaining('2026年11月23日') }]);
    for (let run = 0; run < 3; run++) {
      hours(1);
      expect(await stage.sender().run()).toEqual(NONE);
    }
    expect(stage.files()).toHaveLength(1);
    const reminderAt = new Date(Date.parse(start) - 24 * HOUR).toISOString();
    expect(await stage.reminder(id)).toEqual({ status: 'sent', at: reminderAt });
  });

  it('tells nothing but the time, and its file no name', async () => {
    const { id, start } = await stage.book(24);
    await stage.sender().run();
    const [message] = stage.messages();
    expect(message?.text).not.toMatch(/Cardiology|王|1381/);
    const [file] = stage.files();
    expect(file).toMatch(/^[0-9a-f]{64}\.json$/);
    const key = stage.system.composition.vault.keyedDigest('T-CN', 'appointment-reminder', `${id} ${start}`);
    expect(file).toBe(`${key.toString('hex')}.json`);
  });

  it('is not sent after the appointment was cancelled', async () => {
    const made = await stage.book(30);
    await stage.ask('front_desk', CANCEL, made);
    hours(6);
    expect(await stage.sender().run()).toEqual(NONE);
    expect(stage.files()).toEqual([]);
  });

  it('moves with the appointment, and is sent for each time that stood 24 hours before', async () => {
    const made = await stage.book(30);
    const later = { start: stage.in(60), end: stage.in(61) };
    const moved = (await stage.ask('front_desk', MOVE, { ...made, ...later })).data['rescheduleAppointment'];
    hours(6);
    expect(await stage.sender().run()).toEqual(NONE);
    hours(30);
    expect(await stage.sender().run()).toEqual({ ...NONE, sent: 1 });
    const after = { start: stage.in(72), end: stage.in(73) };
    await stage.ask('front_desk', MOVE, { ...moved, version: moved.version + 2, ...after });
    hours(48);
    expect(await stage.sender().run()).toEqual({ ...NONE, sent: 1 });
    expect(stage.files()).toHaveLength(2);
  });

  it('is withheld when consent was withdrawn in between, and not made up for later', async () => {
    const { id } = await stage.book(30, 'PT5');
    await decide('PT5', 'DENY');
    hours(6);
    expect(await stage.sender().run()).toEqual({ ...NONE, withheld: 1 });
    expect((await stage.reminder(id)).status).toBe('withheld');
    await decide('PT5', 'PERMIT');
    hours(1);
    expect(await stage.sender().run()).toEqual(NONE);
    expect(stage.files()).toEqual([]);
    const { id: next } = await stage.book(24, 'PT5');
    expect(await stage.sender().run()).toEqual({ ...NONE, sent: 1 });
    expect((await stage.reminder(next)).status).toBe('sent');
  });

  it('is withheld where there is no phone, where the patient is inactive, and when it is too late', async () => {
    const create = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
    const made = await stage.ask('front_desk', create, { input: { name: '陈小雨' } });
    const [start, end] = [stage.in(25), stage.in(26)];
    const book = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id } }';
    await stage.ask('front_desk', book, { input: { patientId: made.data['createPatient'].id, start, end } });
    const { version } = (await stage.ask('front_desk', `{ patient(id: "${stage.patient('PT4')}") { version } }`)).data[
      'patient'
    ];
    await stage.book(25, 'PT4');
    const deactivate = 'mutation($id: ID!, $version: Int!) { deactivatePatient(id: $id, version: $version) { id } }';
    await stage.ask('front_desk', deactivate, { id: stage.patient('PT4'), version });
    hours(1);
    expect(await stage.sender().run()).toEqual({ ...NONE, withheld: 2 });
    await stage.book(30);
    hours(30);
    expect(await stage.sender().run()).toEqual({ ...NONE, withheld: 1 });
    expect(stage.files()).toEqual([]);
  });

  it('is recorded as a disclosure of the phone before it is written', async () => {
    await stage.book(24);
    const sink = stage.sink();
    let before: unknown[] = [];
    const looking = {
      has: (key: string) => sink.has(key),
      write: async (...message: Parameters<typeof sink.write>) => {
        before = await recordsOf(stage.system, 'T-CN', true);
        await sink.write(...message);
      },
    };
    await stage.sender({}, looking).run();
    expect(before.at(-1)).toMatchObject({
      kind: 'DISCLOSE',
      operation: 'reminder.contact',
      role: 'reminder_service',
      purpose: 'PATADMIN',
      outcome: 'success',
      accesses: [{ type: 'Patient', rows: 1, fields: { phone: 'CLEAR', status: 'CLEAR' } }],
    });
  });

  it('is not sent where the disclosure cannot be recorded, and comes when it can', async () => {
    const { id } = await stage.book(24);
    const { answering } = stage.system.composition;
    let refuse = 0;
    const failing = {
      settle: async (...settled: Parameters<typeof answering.settle>) => {
        if (++refuse === 3) throw new Error('The ledger is gone.');
        return answering.settle(...settled);
      },
    };
    expect(await stage.sender({ answering: failing }).run()).toMatchObject({ sent: 0, failed: 1 });
    expect(stage.files()).toEqual([]);
    expect((await stage.reminder(id)).status).toBe('sending');
    stage.clock.advance(2 * 60_000 - 1);
    expect(await stage.sender().run()).toEqual(NONE);
    stage.clock.advance(1);
    expect(await stage.sender().run()).toEqual({ ...NONE, sent: 1 });
  });

  it('comes though a whole page of others before it fails every time', async () => {
    const broken: string[] = [];
    for (let count = 0; count < 50; count++) broken.push((await stage.book(24)).id);
    const { owner } = stage.system.database;
    await owner.query(`UPDATE appointment SET sealed_record = '\\x00' WHERE id = ANY ($1)`, [broken]);
    stage.clock.advance(1_000);
    const { id } = await stage.book(24);
    for (const sent of [1, 0]) {
      expect(await stage.sender().run()).toEqual({ ...NONE, sent, failed: 50 });
      hours(1);
    }
    expect((await stage.reminder(id)).status).toBe('sent');
    await owner.query('UPDATE appointment SET reminder_at = NULL, reminder_status = NULL WHERE id = ANY ($1)', [
      broken,
    ]);
  });

  it('is one where two senders run at once, for each of many', async () => {
    for (let count = 0; count < 12; count++) await stage.book(24 + count / 60);
    hours(0.5);
    const runs = await Promise.all([1, 2, 3].map(() => stage.sender().run()));
    expect(runs.map((one) => one.sent).reduce((sum, one) => sum + one)).toBe(12);
    expect(runs.map((one) => one.failed)).toEqual([0, 0, 0]);
    expect(stage.files()).toHaveLength(12);
  });
});
