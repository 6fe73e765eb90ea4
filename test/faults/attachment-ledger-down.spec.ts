import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { announce, attach, content, headersOf } from '../support/files.js';
import { recordsOf, testSystem, type TestSystem } from '../support/system.js';

const TEXT = Buffer.from('LEDGER-CANARY findings\n');
let system: TestSystem;
let patientId: string | undefined;
beforeAll(async () => {
  system = await testSystem();
  patientId = system.demo.patients['T-CN']?.['PT1'];
});
afterAll(() => system.close());

/** Everything that comes back on a connection, as bytes. */
async function rawAnswer(path: string): Promise<string> {
  const { hostname, port } = new URL(system.endpoint);
  const headers = Object.entries(await headersOf(system, 'physician', 'TREAT')).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write([`GET ${path} HTTP/1.1`, 'host: x', 'connection: close', ...headers, '', ''].join('\r\n')),
    );
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.on('error', reject).on('close', () => resolve(text));
  });
}

describe('while the ledger cannot be written', () => {
  it('no file is opened: 503 and not one byte of it; nor is one taken', async () => {
    const { path } = await attach(system, 'physician', patientId, TEXT);
    const pending = await announce(system, 'physician', patientId, { size: TEXT.length });
    expect(await rawAnswer(path)).toContain('LEDGER-CANARY');
    const before = (await recordsOf(system, 'T-CN')).length;
    await system.database.owner.query('ALTER TABLE ledger_entry RENAME TO ledger_entry_away');
    try {
      const answer = await rawAnswer(path);
      expect(answer).toMatch(/^HTTP\/1\.1 503 /);
      expect(answer).toContain('AUDIT_UNAVAILABLE');
      expect(answer).not.toContain('LEDGER-CANARY');
      expect(answer).not.toContain('x-ledger-record');
      const sent = await content(system, 'physician', pending.path, TEXT);
      expect([sent.status, sent.code]).toEqual([503, 'AUDIT_UNAVAILABLE']);
    } finally {
      await system.database.owner.query('ALTER TABLE ledger_entry_away RENAME TO ledger_entry');
    }
    const { rows } = await system.database.owner.query('SELECT status FROM attachment WHERE id = $1', [pending.id]);
    expect(rows).toEqual([{ status: 'pending' }]);
    expect((await content(system, 'physician', pending.path, TEXT)).status).toBe(200);
    const opened = (await recordsOf(system, 'T-CN'))
      .slice(before)
      .filter((one) => one['operation'] === 'openAttachment' && one['outcome'] === 'success');
    expect(opened).toEqual([]);
    expect(await rawAnswer(path)).toContain('LEDGER-CANARY');
  });

  it('the record of an opening is durable before the first byte, and names the field', async () => {
    const { path } = await attach(system, 'physician', patientId, TEXT);
    const count = async () =>
      (await recordsOf(system, 'T-CN')).filter(
        (one) => one['operation'] === 'openAttachment' && one['outcome'] === 'success',
      );
    const before = (await count()).length;
    const headers = await headersOf(system, 'physician', 'TREAT');
    const response = await fetch(system.endpoint.replace('/graphql', path), { headers });
    const records = await count();
    expect(records).toHaveLength(before + 1);
    expect(records.at(-1)?.['accesses'][0].fields).toMatchObject({ content: 'CLEAR' });
    await response.body?.cancel();
  });
});
