import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { identityWorld, MINUTE, PASSWORD, refusal, type IdentityWorld } from '../../test/support/identity.js';
import { newId } from '../kernel/identifier.js';

let world: IdentityWorld;
beforeAll(async () => {
  world = await identityWorld();
});
afterAll(() => world.close());

/** Binds an account to a patient who need not exist. */
async function relate(account: string, patient: string, start: number, end: number | null): Promise<void> {
  const at = (minutes: number | null) =>
    minutes === null ? null : new Date(world.clock.milliseconds() + minutes * MINUTE).toISOString();
  const client = await world.postgres.owner.connect();
  try {
    await client.query('SET session_replication_role = replica');
    await client.query(
      `INSERT INTO related_person (tenant_id, id, version, relationship, account_id, status, start_at, end_at, patient_id, account_role)
       VALUES ('T-CN', $1, 1, 'GUARDIAN', $2, 'active', $3, $4, $5, 'guardian')`,
      [newId(), account, at(start), at(end), patient],
    );
  } finally {
    await client.query('SET session_replication_role = DEFAULT');
    client.release();
  }
}

describe('an actor', () => {
  it('speaks for the patients of now: from the start to the end of the relationship, to the second', async () => {
    const session = await world.signIn(await world.account('guardian'));
    const { id } = session.actor;
    const [ward, grown, expected, twin] = [newId(), newId(), newId(), newId()];
    await relate(id, ward, -10, 10);
    await relate(id, grown, -10, 0);
    await relate(id, expected, 5, null);
    await relate(id, twin, 0, null);
    await relate(newId(), newId(), -10, null);
    const patients = async () => (await world.identity.authenticate(session.accessToken)).patientIds;
    world.clock.advance(1000);
    expect(await patients()).toEqual([ward, twin]);
    world.clock.advance(5 * MINUTE - 1000);
    expect(await patients()).toEqual([ward, expected, twin]);
    expect((await world.identity.actorOf('T-CN', id, newId()))?.patientIds).toEqual([ward, expected, twin]);
    world.clock.advance(4 * MINUTE);
    await world.identity.authenticate(session.accessToken);
    const next = await world.identity.refresh(session.refreshToken);
    world.clock.advance(MINUTE);
    expect((await world.identity.authenticate(next.accessToken)).patientIds).toEqual([expected, twin]);
  });

  it("of work that goes on is the account as it is now, and nobody when it is closed, unknown or another tenant's", async () => {
    const { actor } = await world.signIn(await world.account('nurse'));
    const carried = newId();
    expect(await world.identity.actorOf('T-CN', actor.id, carried)).toEqual({
      ...actor,
      ...{ sessionId: carried, acr: undefined },
    });
    await world.identity.changeRole('T-CN', actor.id, 'billing');
    expect((await world.identity.actorOf('T-CN', actor.id, carried))?.role).toBe('billing');
    expect(await world.identity.actorOf('T-US', actor.id, carried)).toBeNull();
    expect(await world.identity.actorOf('T-CN', newId(), carried)).toBeNull();
    await world.identity.disable('T-CN', actor.id);
    expect(await world.identity.actorOf('T-CN', actor.id, carried)).toBeNull();
  });
});

describe('a machine', () => {
  it('has one account for each tenant and role, however many ask first', async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (index % 2 ? world.identity : world.elsewhere).machine('T-CN', 'reminder_service'),
      ),
    );
    expect(new Set(made.map((one) => one.id)).size).toBe(1);
    expect(new Set(made.map((one) => one.sessionId)).size).toBe(10);
    expect(made[0]).toMatchObject({ tenant: 'T-CN', role: 'reminder_service', factorMissing: false, patientIds: [] });
    const abroad = await world.identity.machine('T-US', 'reminder_service');
    expect(abroad.id).not.toBe(made[0]?.id);
  });

  it('is nobody who can sign in, and nobody becomes one', async () => {
    await world.identity.machine('T-CN', 'reminder_service');
    for (const email of ['reminder_service', 'T-CN\nreminder_service', '']) {
      for (const password of [PASSWORD, '', 'null']) {
        await world.postgres.owner.query('DELETE FROM sign_in_attempt');
        const told = await refusal(world.signIn({ tenant: 'T-CN', email, password }));
        expect(told.recordedAs).toBe('UNKNOWN_ACCOUNT');
      }
    }
    const person = await world.account('nurse');
    const { actor } = await world.signIn(person);
    const refused = [
      world.identity.changeRole('T-CN', actor.id, 'reminder_service'),
      world.identity.createAccount({ tenant: 'T-CN', email: 'a@b', password: PASSWORD, role: 'reminder_service' }),
    ];
    for (const one of refused) expect((await refusal(one)).told).toContain('BAD_USER_INPUT');
    const text = `UPDATE account SET role = 'reminder_service' WHERE tenant_id = 'T-CN'`;
    await expect(world.postgres.app.query('T-CN', { text, values: [] })).rejects.toMatchObject({ kind: 'check' });
  });

  it('that was disabled does nothing', async () => {
    const { id } = await world.identity.machine('T-US', 'reminder_service');
    await world.identity.disable('T-US', id);
    expect((await refusal(world.identity.machine('T-US', 'reminder_service'))).told).toContain('FORBIDDEN');
  });
});

describe('the database', () => {
  it('shows the application no factor of another tenant, and lets it undo nothing that a factor proved', async () => {
    await world.holder();
    for (const table of ['totp_factor', 'recovery_code', 'challenge']) {
      for (const tenant of [null, 'T-US']) {
        expect(await world.postgres.app.query(tenant, { text: `SELECT 1 FROM ${table}`, values: [] })).toEqual([]);
      }
    }
    for (const text of [
      'UPDATE totp_factor SET sealed_secret = sealed_secret',
      'UPDATE totp_factor SET account_id = account_id',
      'DELETE FROM totp_factor',
      'UPDATE recovery_code SET hash = hash',
      'DELETE FROM recovery_code',
      'UPDATE challenge SET binding = binding',
      'UPDATE challenge SET expires_at = expires_at',
      'UPDATE challenge SET session_id = session_id',
      'UPDATE tenant SET factor_roles = factor_roles',
      'UPDATE account SET password_hash = password_hash',
    ]) {
      await expect(world.postgres.app.query('T-CN', { text, values: [] })).rejects.toMatchObject({ kind: 'privilege' });
    }
  });

  it('does not open a secret that was moved to another account', async () => {
    const [one, other] = [await world.holder(), await world.holder()];
    await world.postgres.owner.query(
      `UPDATE totp_factor SET sealed_secret = (SELECT sealed_secret FROM totp_factor WHERE account_id = $1) WHERE account_id = $2`,
      [one.session.actor.id, other.session.actor.id],
    );
    expect((await refusal(world.signIn(other.request, world.code(one.secret)))).recordedAs).toBe('BAD_CODE');
  });
});
