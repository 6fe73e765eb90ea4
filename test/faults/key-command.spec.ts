import { beforeAll, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandProcess, runCommand, seededDirectory } from '../support/process.js';
import type { Loose } from '../support/system.js';

let directory: string;
beforeAll(async () => {
  directory = await seededDirectory();
}, 120_000);

async function status(): Promise<{ keys: Loose[]; rotations: Loose[] }> {
  const { code, stdout, stderr } = await runCommand(directory, 'keys', ['status', '--tenant', 'T-CN', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  const { keys, rotations } = JSON.parse(stdout) as { keys: Loose[]; rotations: Loose[] };
  // The keys of the system are told with those of every tenant.
  return { keys: keys.filter(({ tenant }) => tenant === 'T-CN'), rotations };
}

it('goes on after kill -9 while the system is stopped, and says what there is', async () => {
  const words = ['rotate', 'tenant', '--tenant', 'T-CN'];
  const environment = { CUSTODIA_DATA_DIRECTORY: directory, CUSTODIA_LOG_LEVEL: 'info' };
  const first = new CommandProcess('keys', words, environment);
  while (first.living && !first.stderr.includes('made')) await pause(50);
  first.signal('SIGKILL');
  await first.ended;

  const { keys, rotations: running } = await status();
  const wraps = keys.filter(({ purpose }) => purpose === 'tenant').map(({ keyId, state }) => [keyId, state]);
  expect(wraps).toEqual([
    [1, 'primary'],
    [2, 'pending'],
  ]);
  expect(running).toMatchObject([{ kind: 'tenant', tenantId: 'T-CN', step: 'made' }]);

  const second = await runCommand(directory, 'keys', words);
  expect([second.code, second.stdout]).toEqual([0, 'rotated tenant T-CN from 1 to 2\n']);
  const after = await status();
  const [old, now] = after.keys.filter(({ purpose }) => purpose === 'tenant');
  expect([old?.['state'], old?.['values'], now?.['state']]).toEqual(['decrypt-only', 0, 'primary']);
  expect([Number(now?.['values']) > 0, after.rotations]).toEqual([true, []]);

  const asked = await runCommand(directory, 'keys', ['destroy', 'tenant', '--tenant', 'T-CN']);
  expect([asked.code, asked.stdout]).toEqual([2, 'tenant T-CN 1: 0 values left\n']);
  const destroyed = await runCommand(directory, 'keys', ['destroy', 'tenant', '--tenant', 'T-CN', '--confirm', '1']);
  expect([destroyed.code, destroyed.stdout]).toEqual([0, 'destroyed tenant T-CN 1\n']);
}, 240_000);

it('refuses what it does not know', async () => {
  for (const words of [[], ['rotate'], ['rotate', 'house'], ['status', '--confirm', '1'], ['rotate', 'tenant']]) {
    expect([words, (await runCommand(directory, 'keys', words)).code]).toEqual([words, 2]);
  }
  expect((await runCommand(directory, 'keys', ['--help'])).code).toBe(0);
}, 120_000);
