import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createSecretKey, hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createSocket } from 'node:dgram';
import { encodeRecord, bareDraft, type RecordDraft, type RecordKind } from '../../ledger/record.js';
import { toCef } from './cef.js';
import { toSecurityEvent, type SecurityEvent } from './event.js';
import { securityEvents } from './event-stream.js';
import { toOcsf } from './ocsf.js';
import { openSyslog } from './syslog.js';

const KEY = createSecretKey(Buffer.alloc(32, 7));
const [FIRST, SECOND] = ['0b8e6f1d2c3a4b5c6d7e8f9001122334', 'a1b2c3d4e5f60718293a4b5c6d7e8f90'];

function recordOf(number: number, draft: Partial<RecordDraft> = {}): Buffer {
  const whole: RecordDraft = {
    ...bareDraft('T-CN', 'patients', 'READ', `request-${number}`),
    actor: '6d1f0c5e8b2a49738e4f1d0b7c6a5e92',
    role: 'physician',
    session: 'session-1',
    purpose: 'TREAT',
    accesses: [{ type: 'Patient', rows: 2, fields: { name: 'CLEAR', phone: 'MASKED' }, subjects: [FIRST, SECOND] }],
    ...draft,
  };
  return encodeRecord(whole, { incarnation: 1, writer: '9f2c4b7a10d3e586', number, time: '2026-03-01T08:00:07.412Z' });
}

function eventOf(draft: Partial<RecordDraft> = {}, index = 4): SecurityEvent {
  const record = recordOf(1, draft);
  return toSecurityEvent({ index, record, recordHash: hash('sha256', record, 'hex') }, KEY);
}

describe('what leaves', () => {
  it('names patients by tokens that the ledger does not know and that are the same in every event', () => {
    const [one, other] = [eventOf(), eventOf({ operation: 'patient' })];
    for (const text of [JSON.stringify(one), JSON.stringify(toOcsf(one)), toCef(one)]) {
      expect(text).not.toMatch(new RegExp(`${FIRST}|${SECOND}`));
    }
    expect(one.accesses[0]?.subjects).toEqual(other.accesses[0]?.subjects);
    const elsewhere = eventOf({ log: 'T-US' });
    expect(elsewhere.accesses[0]?.subjects[0]).not.toBe(one.accesses[0]?.subjects[0]);
  });

  it('has no member of the record that is not on the list', () => {
    expect(eventOf({ sealed: { key: `subject:${FIRST}`, ciphertext: Buffer.alloc(40) } })).not.toHaveProperty('sealed');
  });
});

describe('OCSF', () => {
  it.each<[RecordKind, number, number]>([
    ['READ', 6003, 600302],
    ['CREATE', 6003, 600301],
    ['UPDATE', 6003, 600303],
    ['DELETE', 6003, 600304],
    ['EXPORT', 6003, 600302],
    ['VOID', 6003, 600399],
    ['LOGIN', 3002, 300201],
    ['LOGOUT', 3002, 300202],
  ])('%s is of class %d', (kind, classId, type) => {
    const event = toOcsf(eventOf({ kind }));
    expect(event).toMatchObject({ class_uid: classId, type_uid: type, category_uid: Math.floor(classId / 1000) });
    expect(event).toMatchObject({
      time: Date.parse('2026-03-01T08:00:07.412Z'),
      metadata: { uid: 'T-CN/4', sequence: 4 },
    });
    const required = classId === 3002 ? ['user', 'service'] : ['actor', 'api', 'src_endpoint'];
    for (const member of [...required, 'severity_id', 'activity_id']) expect(event).toHaveProperty(member);
  });

  it('tells a refusal from a success, and raises what was refused', () => {
    expect(toOcsf(eventOf())).toMatchObject({ status_id: 1, severity_id: 1 });
    const denied = toOcsf(eventOf({ outcome: 'denied', code: 'FORBIDDEN', accesses: [] }));
    expect(denied).toMatchObject({ status_id: 2, status_code: 'FORBIDDEN', severity_id: 2 });
    expect(toOcsf(eventOf({ actor: null, kind: 'LOGIN' }))).toMatchObject({ user: { uid: 'unknown' } });
  });
});

describe('CEF', () => {
  /** A reader of the format: the header's parts, then pairs up to the next unescaped key. */
  function parse(line: string): { header: string[]; pairs: Map<string, string> } {
    const parts = line.split(/(?<=(?:^|[^\\])(?:\\\\)*)\|/);
    const pairs = new Map<string, string>();
    const extension = parts.slice(7).join('|');
    for (const [, key = '', value = ''] of extension.matchAll(/(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)/g)) {
      pairs.set(
        key,
        value
          .replace(/\\n/g, '\n')
          .replace(/\\r/g, '\r')
          .replace(/\\([\\=])/g, '$1'),
      );
    }
    return { header: parts.slice(0, 7).map((part) => part.replace(/\\([\\|])/g, '$1')), pairs };
  }

  it('is one line that a reader of the format takes apart again', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '|', '=', '\\', ' ', '~') }), (operation) => {
        const name = `x${operation}x`;
        const line = toCef({ ...eventOf(), operation: name });
        expect(line).not.toMatch(/[\r\n]/);
        const { header, pairs } = parse(line);
        expect(header.slice(0, 6)).toEqual(['CEF:0', 'Custodia', 'Custodia', '1', 'READ:success', name]);
        if (!/ \w+\\?=/.test(name)) expect(pairs.get('act')).toBe(name);
        expect(pairs.get('externalId')).toBe('T-CN/4');
      }),
      { numRuns: 200 },
    );
  });

  it('cuts long lists after a whole member and tells how many there are', () => {
    const subjects = Array.from({ length: 50 }, (_, index) => index.toString(16).padStart(32, '0'));
    const { pairs } = parse(toCef(eventOf({ accesses: [{ type: 'Patient', rows: 50, fields: {}, subjects }] })));
    expect(pairs.get('cs6')).toMatch(/^([0-9a-f]{32},)+\.\.\.$/);
    expect(pairs.get('cs6')!.length).toBeLessThanOrEqual(1_023);
    expect(pairs.get('cn1')).toBe('50');
  });
});

describe('syslog', () => {
  it('frames messages over TCP by their length in bytes, whatever they hold', async () => {
    const chunks: Buffer[] = [];
    const server = createServer((socket) => socket.on('data', (chunk) => chunks.push(chunk))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sink = await openSyslog(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const texts = ['plain', 'two\nlines', '王小明'];
    for (const text of texts) await sink.send(text, '2026-03-01T08:00:07.412Z', text === 'plain');
    await sink.close();
    server.close();
    await once(server, 'close');
    let rest = Buffer.concat(chunks);
    for (const text of texts) {
      const space = rest.indexOf(' ');
      const end = space + 1 + Number(rest.toString('latin1', 0, space));
      const message = rest.toString('utf8', space + 1, end);
      const priority = text === 'plain' ? 108 : 110;
      expect(message).toMatch(new RegExp(`^<${priority}>1 2026-03-01T08:00:07\\.412Z \\S+ custodia \\d+ ledger - `));
      expect(message.endsWith(` ${text}`)).toBe(true);
      rest = rest.subarray(end);
    }
    expect(rest).toHaveLength(0);
  });

  it('sends datagrams over UDP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const sink = await openSyslog(`udp://127.0.0.1:${socket.address().port}`);
    const received = once(socket, 'message');
    await sink.send('one', '2026-03-01T08:00:07.412Z', false);
    expect(String((await received)[0])).toMatch(/^<110>1 .* one$/);
    await sink.close();
    socket.close();
  });

  it.each(['http://x', 'tcp://', 'tcp://a:0', 'tcp://a:70000', 'tcp://user@a'])(
    'refuses the address %s',
    async (address) => {
      await expect(openSyslog(address)).rejects.toThrow(/no address of a syslog server/);
    },
  );

  it('says that nobody listens', async () => {
    await expect(openSyslog('tcp://127.0.0.1:1')).rejects.toThrow(/does not take the events \(ECONNREFUSED\)/);
  });

  it('rejects what is sent after the server went away', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sink = await openSyslog(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.close();
    await once(server, 'close');
    const sends = async () => {
      for (let count = 0; count < 200; count++) {
        await sink.send('lost', '2026-03-01T08:00:07.412Z', false);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await expect(sends()).rejects.toThrow(/does not take the events/);
  });
});

describe('the stream of a log', () => {
  function filesOf(records: readonly (Buffer | null)[], size = records.length) {
    return {
      checkpoint: () => Promise.resolve(`example/T-CN\n${size}\nroot\n`),
      records: (_log: string, bundle: number, width: number) =>
        Promise.resolve(
          records
            .slice(bundle * 256, bundle * 256 + width)
            .map((record) => ({ leaf: Buffer.alloc(32), record, mac: null, detail: null })),
        ),
    };
  }
  async function indexes(records: readonly (Buffer | null)[], from = 0, size?: number): Promise<number[]> {
    const options = { files: filesOf(records, size), log: 'T-CN', tokenKey: KEY, from, follow: false };
    const found: number[] = [];
    for await (const event of securityEvents(options)) found.push(event.index);
    return found;
  }

  it('gives every entry once, in order, from any index on', async () => {
    const records = Array.from({ length: 600 }, (_, index) => recordOf(index + 1));
    for (const from of [0, 1, 255, 256, 257, 599, 600]) {
      expect(await indexes(records, from)).toEqual(Array.from({ length: 600 - from }, (_, at) => from + at));
    }
  });

  it('does not pass over an entry that is missing, nor begin beyond the end', async () => {
    const records = [recordOf(1), null, recordOf(3)];
    await expect(indexes(records)).rejects.toThrow('Entry 1 of the log T-CN is missing');
    await expect(indexes([recordOf(1)], 2)).rejects.toThrow('has 1 entries');
    await expect(indexes([recordOf(1)], 0, 5)).rejects.toThrow('ends at 1, before its checkpoint');
  });
});
