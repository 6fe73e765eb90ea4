import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type { ReadinessState } from '../../src/api/readiness.js';
import { type EmbeddedServer, startEmbedded } from '../../src/persistence/embedded.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { embeddedUrl, EMBEDDED_DATABASE } from '../../src/persistence/preparation.js';
import { Load } from '../support/load.js';
import { seededDirectory, startSystem, type SystemProcess } from '../support/process.js';
import { verdictOf } from '../support/verdict.js';
import { answered, discrepancies } from '../support/whole.js';

const LIST = '{ patients(first: 1) { edges { node { id } } } }';
let directory: string;
let server: EmbeddedServer;
let leader: SystemProcess;
let other: SystemProcess;

/** Two processes of the system on one database, as behind a load balancer. */
beforeAll(async () => {
  directory = await seededDirectory();
  server = await startEmbedded({ dataDirectory: directory, password: passwordsIn(directory).superuser });
  const owner = embeddedUrl(server.port, 'custodia_owner', passwordsIn(directory).owner, EMBEDDED_DATABASE);
  // One after the other: the first one leads.
  leader = await startSystem(directory, { DATABASE_URL: owner });
  other = await startSystem(directory, { DATABASE_URL: owner });
});
afterAll(async () => {
  await Promise.all([leader.kill(), other.stop()]);
  await server.stop();
});

async function health(system: SystemProcess): Promise<ReadinessState> {
  return (await (await fetch(system.endpoint.replace('graphql', 'readyz'))).json()) as ReadinessState;
}

/** Milliseconds until the process is ready as this says. */
async function until(system: SystemProcess, fits: (state: ReadinessState) => boolean): Promise<number> {
  const start = performance.now();
  while (!fits(await health(system))) {
    if (performance.now() - start > 30_000) throw new Error(JSON.stringify(await health(system)));
    await pause(20);
  }
  return performance.now() - start;
}

const IN_ORDER = ['OK T-CN', 'OK T-EU', 'OK T-US', 'OK system'];
const verified = async () => (await verdictOf(directory)).map((line) => line.replace(/ \d+$/, ''));

describe('two processes on one database, under load of reads and writes', () => {
  it('kill -9 of the one that leads: the other leads within five seconds, nothing that either acknowledged is lost', async () => {
    expect([(await health(leader)).ledger.leader, (await health(other)).ledger.leader]).toEqual([true, false]);
    const [lost, kept] = [await new Load(leader).start(6), await new Load(other).start(6)];
    await Promise.all([answered(lost, 30, 6), answered(kept, 30, 6)]);
    await leader.kill();
    expect(await until(other, ({ ledger }) => ledger.leader)).toBeLessThan(5_000);
    await answered(kept, 20, 3);
    for (const load of [lost, kept]) {
      const acknowledged = await load.stop();
      expect(acknowledged.records.size).toBeGreaterThanOrEqual(acknowledged.answers);
      expect(await discrepancies(directory, acknowledged)).toEqual([]);
    }
    expect(kept.acknowledged.codes).toEqual(new Set());
    await until(other, ({ ready }) => ready);
    expect(await verified()).toEqual(IN_ORDER);
  });

  it('an immediate stop of PostgreSQL: the process that lives answers without data, and goes on by itself when it is back', async () => {
    const load = await new Load(other).start(8);
    await answered(load, 30, 6);
    process.kill(server.pid, 'SIGQUIT');
    await until(other, ({ ready }) => !ready);
    const answer = await other.ask('call_center_agent', 'HOPERAT', LIST);
    expect([answer?.status, answer?.data, answer?.extensions]).toEqual([503, {}, {}]);
    await server.stop();
    server = await startEmbedded({
      dataDirectory: directory,
      password: passwordsIn(directory).superuser,
      port: server.port,
    });
    await answered(load, 20, 3);
    const acknowledged = await load.stop();
    expect(
      [...acknowledged.codes].filter((code) => !['AUDIT_UNAVAILABLE', 'INTERNAL_SERVER_ERROR'].includes(code)),
    ).toEqual([]);
    expect(await discrepancies(directory, acknowledged)).toEqual([]);
    await until(other, ({ ready, ledger }) => ready && ledger.leader);
    expect(await verified()).toEqual(IN_ORDER);
  });
});
