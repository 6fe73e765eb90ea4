import { createHmac, createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ManualClock } from '../kernel/clock.js';
import type { Database } from '../persistence/database.js';
import { AccessTokens } from './access-token.js';
import { Identity, type SignedIn } from './identity.js';
import { Unauthenticated } from './unauthenticated.js';

const MINUTE = 60_000;
const START = Date.UTC(2026, 10, 21);
const PASSWORD = 'a sentence to enter by';
const LOCAL_PART = 'canary-9f3c';
const tokenKey = createSecretKey(randomBytes(32));
const digestKey = randomBytes(32);
const digest = (tenant: string, label: string, text: string) =>
  createHmac('sha256', digestKey).update(`${tenant}\n${label}\n${text}`).digest();
const sealing = { seal: () => '', open: () => null };

let postgres: TestDatabase;
let clock: ManualClock;
let statements: number;
let identity: Identity;
/** Another process on the same database. */
let elsewhere: Identity;
let session: SignedIn;
let number = 0;

function process(): Identity {
  const { app } = postgres;
  const counted = {
    query: (...call: Parameters<Database['query']>) => {
      statements += 1;
      return app.query(...call);
    },
    transaction: app.transaction.bind(app),
  };
  return new Identity({ database: counted as unknown as Database, clock, tokenKey, digest, sealing });
}

beforeAll(async () => {
  postgres = await testDatabase();
  await postgres.owner.query(`
    INSERT INTO tenant (id, name, country, time_zone, created_at) VALUES
      ('T-CN', 'Ward', 'CN', 'Asia/Shanghai', now()), ('T-US', 'Ward', 'US', 'America/New_York', now())
    ON CONFLICT DO NOTHING`);
});
afterAll(() => postgres.close());

beforeEach(async () => {
  clock = new ManualClock(START);
  statements = 0;
  identity = process();
  elsewhere = process();
  const email = `${LOCAL_PART}.${++number}@hospital.example`;
  await identity.createAccount({ tenant: 'T-CN', email, role: 'nurse', password: PASSWORD });
  session = await identity.signIn({ tenant: 'T-CN', email, password: PASSWORD }, '192.0.2.1');
});

async function reason(ask: () => unknown): Promise<string | undefined> {
  try {
    await ask();
  } catch (error) {
    expect(error).toBeInstanceOf(Unauthenticated);
    return (error as Unauthenticated).options.recordedAs;
  }
  return undefined;
}

const livingTokens = async (id: string) =>
  (
    await postgres.owner.query(
      `SELECT 1 FROM refresh_token r JOIN session s ON s.id = r.session_id
        WHERE s.id = $1 AND s.ended_at IS NULL AND r.used_at IS NULL`,
      [id],
    )
  ).rowCount;

describe('an access token', () => {
  it('is answered without the database while the session was looked up within a second, and once for all who ask', async () => {
    statements = 0;
    const crowd = await Promise.all(Array.from({ length: 50 }, async () => identity.authenticate(session.accessToken)));
    expect(statements).toBe(1);
    expect(new Set(crowd).size).toBe(1);
    clock.advance(999);
    expect(identity.authenticate(session.accessToken)).toBe(crowd[0]);
    expect(statements).toBe(1);
    clock.advance(1);
    const fresh = identity.authenticate(session.accessToken);
    expect(fresh).toBeInstanceOf(Promise);
    await fresh;
    clock.advance(-3_600_000);
    const later = identity.authenticate(session.accessToken);
    expect(later).toBeInstanceOf(Promise);
    await later;
  });

  it('ends after ten minutes, with the session or before it', async () => {
    clock.advance(10 * MINUTE - 1);
    expect(await reason(() => identity.authenticate(session.accessToken))).toBeUndefined();
    clock.advance(1);
    expect(await reason(() => identity.authenticate(session.accessToken))).toBe('BAD_TOKEN');
  });

  it('of a session of another tenant is refused even when it is signed', async () => {
    const foreign = new AccessTokens(tokenKey).issue({ tenant: 'T-US', sessionId: session.session }, START + MINUTE);
    for (let round = 0; round < 2; round++) {
      expect(await reason(() => identity.authenticate(foreign))).toBe('SESSION_ENDED');
      expect(await reason(() => identity.authenticate(session.accessToken))).toBeUndefined();
    }
  });

  it('of a lost database is an error of ours, not of the caller, and is not remembered', async () => {
    const { app } = postgres;
    let lost = true;
    const query: Database['query'] = (...call) => (lost ? Promise.reject(new Error('lost')) : app.query(...call));
    const unlucky = new Identity({ database: { query } as unknown as Database, clock, tokenKey, digest, sealing });
    await expect(unlucky.authenticate(session.accessToken)).rejects.toThrow('lost');
    lost = false;
    expect(await unlucky.authenticate(session.accessToken)).toEqual(session.actor);
  });

  it('writes that it was used at most once a minute, and nobody waits for it', async () => {
    const seen = async () => {
      await identity.close();
      const { rows } = await postgres.owner.query('SELECT last_seen_at FROM session WHERE id = $1', [session.session]);
      return rows[0].last_seen_at.getTime() - START;
    };
    const moments = [59, 0, 61, 61, 100, 61, 121, 121];
    for (let index = 0; index < moments.length; index += 2) {
      const [second = 0, expected = 0] = moments.slice(index);
      clock.advance(START + second * 1000 - clock.milliseconds());
      await identity.authenticate(session.accessToken);
      expect(await seen()).toBe(expected * 1000);
    }
  });
});

describe('a session', () => {
  it('is over when sign-out resolves, for tokens of every kind, even where a look-up was under way', async () => {
    await identity.authenticate(session.accessToken);
    clock.advance(1000);
    const underWay = identity.authenticate(session.accessToken);
    await identity.signOut(session.actor);
    await Promise.resolve(underWay).catch(() => undefined);
    expect(await reason(() => identity.authenticate(session.accessToken))).toBe('SESSION_ENDED');
    expect(await reason(() => identity.authenticate(session.accessToken))).toBe('SESSION_ENDED');
    expect(await reason(() => identity.refresh(session.refreshToken))).toBe('SESSION_ENDED');
  });

  it('ends after fifteen minutes without a request; refreshing is no request', async () => {
    clock.advance(9 * MINUTE);
    const next = await identity.refresh(session.refreshToken);
    clock.advance(6 * MINUTE);
    expect(await reason(() => identity.authenticate(next.accessToken))).toBe('SESSION_ENDED');
    expect(await reason(() => identity.refresh(next.refreshToken))).toBe('SESSION_ENDED');
  });

  it('ends twelve hours after sign-in, however busy it is, and so does its last access token', async () => {
    const end = START + 12 * 60 * MINUTE;
    let tokens = session;
    while (clock.milliseconds() + 7 * MINUTE < end) {
      clock.advance(7 * MINUTE);
      tokens = await identity.refresh(tokens.refreshToken);
      await identity.authenticate(tokens.accessToken);
      await identity.close();
    }
    expect(tokens.expiresAt.getTime()).toBe(end);
    clock.advance(end - clock.milliseconds());
    expect(await reason(() => identity.authenticate(tokens.accessToken))).toBe('BAD_TOKEN');
    expect(await reason(() => identity.refresh(tokens.refreshToken))).toBe('SESSION_ENDED');
  });

  it('ends with the account: at once here, within a second elsewhere', async () => {
    await identity.authenticate(session.accessToken);
    await elsewhere.authenticate(session.accessToken);
    await identity.disable('T-CN', session.actor.id);
    expect(await reason(() => identity.authenticate(session.accessToken))).toBe('SESSION_ENDED');
    clock.advance(1000);
    expect(await reason(() => elsewhere.authenticate(session.accessToken))).toBe('SESSION_ENDED');
    expect(await reason(() => identity.refresh(session.refreshToken))).toBe('SESSION_ENDED');
  });

  it('gets a new role and new care teams within a second', async () => {
    await elsewhere.authenticate(session.accessToken);
    const team = randomUUID();
    await identity.changeRole('T-CN', session.actor.id, 'physician');
    await postgres.owner.query(`
      BEGIN; SET LOCAL session_replication_role = replica; -- without the team itself
      INSERT INTO care_team_member (tenant_id, care_team_id, account_id) VALUES ('T-CN', '${team}', '${session.actor.id}');
      COMMIT`);
    clock.advance(1000);
    for (const one of [identity, elsewhere]) {
      const actor = await one.authenticate(session.accessToken);
      expect(actor).toEqual({ ...session.actor, role: 'physician', careTeamIds: [team] });
    }
  });
});

describe('a refresh token', () => {
  it('is exchanged for a successor in the same session', async () => {
    const next = await identity.refresh(session.refreshToken);
    expect(next.session).toBe(session.session);
    expect(next.refreshToken).not.toBe(session.refreshToken);
    expect(await identity.authenticate(next.accessToken)).toEqual(session.actor);
    expect(await livingTokens(session.session)).toBe(1);
  });

  it('that is used again ends the family at once, its successors included', async () => {
    const second = await identity.refresh(session.refreshToken);
    const third = await identity.refresh(second.refreshToken);
    await identity.authenticate(third.accessToken);
    const error = await identity.refresh(session.refreshToken).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      options: { recordedAs: 'REFRESH_REUSED' },
      suspect: { tenant: 'T-CN', actor: session.actor.reference, session: session.session },
    });
    expect(await reason(() => identity.authenticate(third.accessToken))).toBe('SESSION_ENDED');
    expect(await reason(() => identity.refresh(third.refreshToken))).toBe('SESSION_ENDED');
    expect(await livingTokens(session.session)).toBe(0);
  });

  it('exchanged twenty times at once has at most one living successor', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? identity : elsewhere).refresh(session.refreshToken)),
    );
    expect(results.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(await livingTokens(session.session)).toBe(0);
    for (const one of results) {
      if (one.status === 'fulfilled') {
        expect(await reason(() => identity.refresh(one.value.refreshToken))).toBe('SESSION_ENDED');
      } else {
        expect((one.reason as Unauthenticated).options.recordedAs).toBe('REFRESH_REUSED');
      }
    }
  });

  it('that was changed in any character is refused and harms nobody', async () => {
    const text = session.refreshToken;
    for (let index = 0; index < text.length; index++) {
      const changed = text.slice(0, index) + (text[index] === '7' ? '8' : '7') + text.slice(index + 1);
      expect(await reason(() => identity.refresh(changed))).toBe('BAD_TOKEN');
    }
    for (const other of ['', '..', `${text}.`, `T-US${text.slice(4)}`, '\u0000', session.accessToken]) {
      expect(await reason(() => identity.refresh(other))).toBe('BAD_TOKEN');
    }
    expect(await reason(() => identity.refresh(text))).toBeUndefined();
  });
});

describe('the database', () => {
  it('shows the application nothing without a tenant or with another one, and lets it rewrite no credential', async () => {
    for (const table of ['account', 'session', 'refresh_token', 'sign_in_attempt']) {
      for (const tenant of [null, 'T-US', 'T-XX']) {
        expect(await postgres.app.query(tenant, { text: `SELECT 1 FROM ${table}`, values: [] })).toEqual([]);
      }
      const forced = await postgres.owner.query(
        'SELECT 1 FROM pg_class WHERE oid = $1::regclass AND relrowsecurity AND relforcerowsecurity',
        [table],
      );
      expect(forced.rowCount).toBe(1);
    }
    for (const text of [
      `UPDATE account SET password_hash = password_hash`,
      `UPDATE account SET reference = reference`,
      `DELETE FROM account`,
      `UPDATE session SET expires_at = now()`,
      `UPDATE session SET account_id = account_id`,
      `DELETE FROM refresh_token`,
    ]) {
      await expect(postgres.app.query('T-CN', { text, values: [] })).rejects.toMatchObject({ kind: 'privilege' });
    }
  });

  it('holds no e-mail, password, token or address in any column', async () => {
    const { rows: columns } = await postgres.owner.query(
      `SELECT format('%I', table_name) AS "table", format('%I', column_name) AS "column", data_type
         FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'bytea', 'jsonb', 'json', 'ARRAY')`,
    );
    const secrets = [LOCAL_PART, 'hospital.example', PASSWORD, '192.0.2.1', tokenKey.export().toString('latin1')];
    const tokens = [session.refreshToken, session.accessToken].map((token) => token.slice(token.lastIndexOf('.') + 1));
    const needles = [
      ...secrets,
      ...tokens,
      ...tokens.map((token) => Buffer.from(token, 'base64url').toString('latin1')),
    ];
    let looked = 0;
    for (const { table, column } of columns) {
      for (const { value } of (await postgres.owner.query(`SELECT ${column} AS value FROM ${table}`)).rows) {
        const text = Buffer.isBuffer(value) ? value.toString('latin1') : JSON.stringify(value);
        for (const needle of needles) expect(text.includes(needle)).toBe(false);
        looked += 1;
      }
    }
    expect(looked).toBeGreaterThan(100);
  });
});
