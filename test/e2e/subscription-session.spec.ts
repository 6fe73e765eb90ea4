import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { ManualClock, SystemClock } from '../../src/kernel/clock.js';
import { demandFactor } from '../../src/persistence/tenant.store.js';
import { patientId } from '../support/probe.js';
import { Subscriber, until } from '../support/subscriber.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const MINUTE = 60_000;
const CHANGED = 'subscription($patient: ID!) { appointmentChanged(patientId: $patient) { id } }';
const SIGN_IN = 'mutation($i: SignInInput!) { signIn(input: $i) { accessToken refreshToken } }';
const REFRESH = 'mutation($t: String!) { refresh(refreshToken: $t) { accessToken refreshToken } }';
const ME = '{ me { id } }';

const clock = new ManualClock(new SystemClock().milliseconds());
let system: TestSystem;
beforeAll(async () => {
  system = await testSystem({ clock });
});
afterAll(() => system.close());

async function signIn(): Promise<Loose> {
  const user = system.demo.users.find((one) => one.role === 'nurse' && one.tenant === 'T-CN');
  const input = { tenant: 'T-CN', email: user?.email, password: user?.password };
  return (await system.send(SIGN_IN, { variables: { i: input } })).data['signIn'] as Loose;
}

async function connect(token: string): Promise<Subscriber> {
  const parameters = { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'TREAT' };
  return new Subscriber(system.endpoint, { parameters }).settled();
}

const begun = async () =>
  (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'appointmentChanged').length;

/** A notice as another process would give it, of an appointment that is there. */
async function change(): Promise<void> {
  const patient = patientId(system, 'PT1');
  const { rows } = await system.database.owner.query<{ id: string }>(
    'SELECT id FROM appointment WHERE patient_id = $1 LIMIT 1',
    [patient],
  );
  await system.database.owner.query(`SELECT pg_notify('custodia_change', $1)`, [
    `T-CN Appointment ${rows[0]?.id} ${patient}`,
  ]);
}

describe('an open socket', () => {
  it('is closed with 4403 when its token has run out, without a push, and goes on with a fresh token', async () => {
    const session = await signIn();
    const first = await connect(session['accessToken']);
    const before = await begun();
    const watching = first.watch(CHANGED, { patient: patientId(system, 'PT1') });
    await until(async () => (await begun()) > before);
    await change();
    await until(() => watching.pushes.length === 1);
    clock.advance(10 * MINUTE);
    await change();
    await until(() => first.closed !== null);
    expect([first.closed?.code, watching.pushes.length]).toEqual([4403, 1]);
    const fresh = await system.send(REFRESH, { variables: { t: session['refreshToken'] } });
    const second = await connect(fresh.data['refresh'].accessToken);
    expect(second.closed).toBeNull();
    await second.close();
  });

  it('keeps no idle session alive, however many pushes there are', async () => {
    const session = await signIn();
    const first = await connect(session['accessToken']);
    const before = await begun();
    const watching = first.watch(CHANGED, { patient: patientId(system, 'PT1') });
    await until(async () => (await begun()) > before);
    for (let pushes = 1; pushes <= 3; pushes += 1) {
      clock.advance(3 * MINUTE);
      await change();
      await until(() => watching.pushes.length === pushes);
    }
    const fresh = await system.send(REFRESH, { variables: { t: session['refreshToken'] } });
    const { accessToken } = fresh.data['refresh'] as Loose;
    clock.advance(6 * MINUTE);
    const late = await connect(accessToken);
    await until(() => late.closed !== null);
    expect(late.closed?.code).toBe(4401);
    expect((await system.send(ME, { token: accessToken })).status).toBe(401);
  });

  it('shows nothing while a factor is missing or the role is another, and goes on when that is over', async () => {
    const session = await signIn();
    const first = await connect(session['accessToken']);
    const before = await begun();
    const watching = first.watch(CHANGED, { patient: patientId(system, 'PT1') });
    await until(async () => (await begun()) > before);
    const { owner } = system.database.urls;
    const nurse = system.demo.users.find((one) => one.role === 'nurse' && one.tenant === 'T-CN');
    const withheld = async (begin: () => Promise<unknown>, end: () => Promise<unknown>) => {
      const had = watching.pushes.length;
      const recorded = await begun();
      await begin();
      clock.advance(1000);
      await change();
      await pause(300);
      expect([watching.pushes.length, await begun(), first.closed]).toEqual([had, recorded, null]);
      await end();
      clock.advance(1000);
      await change();
      await until(() => watching.pushes.length === had + 1);
    };
    await withheld(
      () => demandFactor(owner, 'T-CN', ['nurse']),
      () => demandFactor(owner, 'T-CN', []),
    );
    const { identity } = system.composition;
    await withheld(
      () => identity.changeRole('T-CN', nurse?.id ?? '', 'marketer'),
      () => identity.changeRole('T-CN', nurse?.id ?? '', 'nurse'),
    );
    await first.close();
  });

  it('does not hide from a request that its session is in use', async () => {
    const session = await signIn();
    const first = await connect(session['accessToken']);
    for (let minutes = 0; minutes < 9; minutes += 3) {
      clock.advance(3 * MINUTE);
      // The socket asks first, within the same second: the request then finds what the socket found.
      await connect(session['accessToken']).then((one) => one.close());
      expect((await system.send(ME, { token: session['accessToken'] })).status).toBe(200);
    }
    const { rows } = await system.database.owner.query<{ idle: number }>(
      'SELECT $1::bigint - (extract(epoch FROM max(last_seen_at)) * 1000)::bigint AS idle FROM session',
      [clock.milliseconds()],
    );
    expect(Number(rows[0]?.idle)).toBeLessThanOrEqual(MINUTE);
    await first.close();
  });

  it('is closed within seconds of the end of its session, also when nothing changes', async () => {
    const { accessToken } = await signIn();
    const open = await connect(accessToken);
    await system.send('mutation { signOut }', { token: accessToken });
    await until(() => open.closed !== null, 'The end of the socket', 20_000);
    expect(open.closed?.code).toBe(4401);
  });

  it('that says nothing is closed after five seconds', async () => {
    const silent = new WebSocket(system.endpoint.replace('http', 'ws'), 'graphql-transport-ws');
    const started = performance.now();
    const code = await new Promise<number>((resolve) => silent.once('close', resolve));
    expect(code).toBe(4408);
    expect(performance.now() - started).toBeGreaterThan(4_900);
  });

  it('is sent away when the process stops, and holds nothing up', async () => {
    const other = await testSystem();
    const token = await other.token('nurse');
    const parameters = { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'TREAT' };
    const open = await new Subscriber(other.endpoint, { parameters }).settled();
    await other.close();
    await until(() => open.closed !== null);
    expect(open.closed?.code).toBe(1001);
  });
});
