import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { buildSchema } from 'graphql';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { Identity } from '../identity/identity.js';
import { Log } from '../telemetry/log.js';
import { Origins } from './origins.js';
import { SubscriptionServer, type SubscriptionServerOptions } from './subscription-server.js';
import { TrustedDocuments } from './trusted-documents.js';

const LIMITS = { perSocket: 2, perAccount: 3, sockets: 5 };

let http: Server;
let server: SubscriptionServer;
let address: string;
beforeEach(async () => {
  // The token is the account: who it is does not matter here, how many sockets it has does.
  const identity = { authenticate: async (token: string) => ({ id: token }) } as unknown as Identity;
  server = new SubscriptionServer({
    schema: buildSchema('type Query { a: Int } type Subscription { b: Int }'),
    identity,
    log: new Log('silent', { write: () => undefined }),
    origins: new Origins([]),
    trusted: new TrustedDocuments([], false),
    production: false,
    limits: LIMITS,
  } as unknown as SubscriptionServerOptions);
  http = createServer();
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  address = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/graphql`;
});
afterEach(async () => {
  await server.close();
  await new Promise((resolve) => http.close(resolve));
});

/** The first thing that happens to a new socket: acknowledged, closed with a code, or refused before it was open. */
function join(account: string | null): { socket: WebSocket; outcome: Promise<string | number> } {
  const socket = new WebSocket(address, 'graphql-transport-ws');
  const outcome = new Promise<string | number>((resolve) => {
    socket.once('open', () => {
      if (account === null) return resolve('open');
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${account}` } }));
    });
    socket.once('message', () => resolve('acknowledged'));
    socket.once('close', (code) => resolve(code));
    socket.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => undefined);
  });
  return { socket, outcome };
}
const closing = (socket: WebSocket) => new Promise<number>((resolve) => socket.once('close', resolve));

describe('the sockets of a process', () => {
  it('are not all of one account: it is told to come back later, and may when one of its own is closed', async () => {
    const own = await Promise.all(
      [1, 2, 3].map(async () => {
        const { socket, outcome } = join('alice');
        expect(await outcome).toBe('acknowledged');
        return socket;
      }),
    );
    expect(await join('alice').outcome).toBe(1013);
    expect(await join('bob').outcome).toBe('acknowledged');
    const [first] = own;
    const closed = first === undefined ? Promise.resolve(0) : closing(first);
    first?.close();
    await closed;
    await until(async () => (await join('alice').outcome) === 'acknowledged');
  });

  it('are not held by strangers: the oldest one that has not said whose it is gives way', async () => {
    const silent = [];
    for (let at = 0; at < LIMITS.sockets; at += 1) {
      const { socket, outcome } = join(null);
      expect(await outcome).toBe('open');
      silent.push(socket);
    }
    const ends = silent.map(closing);
    expect(await join('alice').outcome).toBe('acknowledged');
    expect(await ends[0]).toBe(1006);
    expect(silent.slice(1).map((one) => one.readyState)).toEqual(Array(4).fill(WebSocket.OPEN));
  });

  it('that are somebody’s keep their place: one more is refused', async () => {
    for (const account of ['a', 'b', 'c', 'd', 'e']) expect(await join(account).outcome).toBe('acknowledged');
    expect(await join('f').outcome).toBe(503);
    expect(server.size).toBe(LIMITS.sockets);
  });

  it('give back the place of who leaves before being let in', async () => {
    for (let at = 0; at < 20; at += 1) {
      const { socket } = join('alice');
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer alice' } }));
      socket.terminate();
    }
    await until(async () => server.size === 0);
    for (let at = 0; at < LIMITS.perAccount; at += 1) expect(await join('alice').outcome).toBe('acknowledged');
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 500) throw new Error('It did not come about.');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
