import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { CLAIM_MILLISECONDS } from '../../src/domain/appointment/remind-appointment.js';
import { ReminderStage } from './reminder-stage.js';
import { stepped, type OnStep } from './reminder-steps.js';
import type { RunnerOrders } from './reminder-runner.js';

const NONE = { sent: 0, withheld: 0, lost: 0, failed: 0 };
const project = path.resolve(import.meta.dirname, '..', '..');

let stage: ReminderStage;
beforeAll(async () => {
  stage = await ReminderStage.open();
});
afterAll(() => stage.system.close());
beforeEach(() => rmSync(stage.outbox, { recursive: true, force: true }));

async function run(onStep: OnStep) {
  const { services, sink } = stepped({ ...stage.system.composition, tenants: ['T-CN'] }, stage.sink(), onStep);
  return stage.sender(services, sink).run();
}

/** The invariant: after the next senders have run, there is one message, and the appointment says so. */
async function expectOne(id: string): Promise<void> {
  stage.clock.advance(CLAIM_MILLISECONDS);
  await Promise.all([stage.sender().run(), stage.sender().run()]);
  stage.clock.advance(CLAIM_MILLISECONDS);
  expect(await stage.sender().run()).toEqual(NONE);
  expect(stage.messages()).toEqual([{ to: '13812345678', text: expect.stringContaining('预约') }]);
  expect((await stage.reminder(id)).status).toBe('sent');
}

/** The names of the steps of a run that sends one message, in order. */
async function stepsOf(): Promise<string[]> {
  const steps: string[] = [];
  await stage.book(24);
  await run((moment, _number, name) => {
    if (moment === 'before') steps.push(name);
  });
  rmSync(stage.outbox, { recursive: true, force: true });
  return steps;
}

describe('a sender that dies', () => {
  it('claims, reads, records, writes and closes, in this order', async () => {
    expect(await stepsOf()).toEqual([
      ...['machine', 'reminder.due', 'settle', 'reminder.claim', 'settle', 'has'],
      ...['reminder.contact', 'settle', 'write', 'reminder.close', 'settle'],
    ]);
  });

  it.each(['before', 'after'] as const)(
    '%s any step (it failed, or it failed but happened) leaves one message in the end',
    async (flavour) => {
      const steps = await stepsOf();
      for (const [index] of steps.entries()) {
        const { id } = await stage.book(24);
        let dead = false;
        // The dead do nothing more: whatever the sender still tries fails too.
        await run((moment, number) => {
          if (dead || (moment === flavour && number === index + 1)) {
            dead = true;
            throw new Error('The process is gone.');
          }
        });
        expect(stage.files().length).toBeLessThanOrEqual(1);
        await expectOne(id);
        rmSync(stage.outbox, { recursive: true, force: true });
      }
    },
    180_000,
  );

  it('that stops for so long that another takes over, and then goes on, sends nothing twice', async () => {
    for (const where of ['reminder.claim', 'reminder.contact', 'has', 'write'] as const) {
      const { id } = await stage.book(24);
      await run(async (moment, _number, name) => {
        if (moment === 'before' && name === where) {
          stage.clock.advance(CLAIM_MILLISECONDS);
          await stage.sender().run();
        }
      });
      await expectOne(id);
      rmSync(stage.outbox, { recursive: true, force: true });
    }
  });
});

/** Runs a sender in a process of its own and kills it with SIGKILL after a step. */
async function killAfter(last: string): Promise<void> {
  const { database } = stage.system;
  const { app: appUrl, sequencer: sequencerUrl, auditor: auditorUrl } = database.urls;
  const within = (name: string) => path.join(database.directory, name);
  const orders: RunnerOrders = {
    logins: { appUrl, sequencerUrl, auditorUrl },
    environment: {
      CUSTODIA_DATA_DIRECTORY: within('data'),
      CUSTODIA_KEY_DIRECTORY: within('keys'),
      CUSTODIA_CHECKPOINT_DIRECTORY: within('checkpoints'),
    },
    outbox: stage.outbox,
    now: stage.clock.milliseconds(),
    last,
  };
  const loader = path.join(project, 'test', 'support', 'typescript.mjs');
  const script = path.join(project, 'test', 'faults', 'reminder-runner.ts');
  const child = spawn(process.execPath, ['--import', loader, script, JSON.stringify(orders)], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  let said = '';
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('close', (_code, signal) => resolve(signal)),
  );
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('waiting')) child.kill('SIGKILL');
    });
  }
  expect([await ended, said]).toEqual(['SIGKILL', expect.stringContaining('waiting')]);
}

describe('kill -9 of a sender', () => {
  it.each(['after reminder.claim', 'after reminder.contact', 'before write', 'after write', 'after reminder.close'])(
    '%s: one message in the end',
    async (last) => {
      const { id } = await stage.book(24);
      await killAfter(last);
      await expectOne(id);
    },
    120_000,
  );
});
