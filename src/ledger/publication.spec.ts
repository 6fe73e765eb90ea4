import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cosign } from '../../audit/cosignature.mjs';
import { Cosigner } from '../../audit/cosigner.mjs';
import { CompactRange, consistencyProof, leafHash } from '../../audit/merkle.mjs';
import { checkpointText, signNote, splitNote, verifyNote, vkey } from '../../audit/note.mjs';
import { parsePolicy } from '../../audit/policy.mjs';
import { witnessServer } from '../../audit/witness.mjs';
import { WitnessState } from '../../audit/witness-state.mjs';
import { ManualClock } from '../kernel/clock.js';
import { FileCheckpointStore } from './checkpoint-store.js';
import { Publication } from './publication.js';

const LOG = 'T-CN';
const log = { name: `ledger.example.org/${LOG}`, privateKey: generateKeyPairSync('ed25519').privateKey };
const logKey = vkey(log.name, log.privateKey);
const START = 1_767_225_600_000;

let directory: string;
let clock: ManualClock;
let store: FileCheckpointStore;
let leaves: Buffer[];
let servers: Server[];
let alarms: string[];
beforeEach(() => {
  // Witnesses have a second to answer, and sync: in memory where that is possible.
  directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'custodia-publication-'));
  clock = new ManualClock(START);
  store = new FileCheckpointStore(path.join(directory, 'store'));
  leaves = Array.from({ length: 30 }, (_, index) => leafHash(Buffer.from(`${index}`)));
  servers = [];
  alarms = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve).closeAllConnections())));
  rmSync(directory, { recursive: true });
});

async function listen(server: Server): Promise<string> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface TestWitness {
  readonly line: string;
  readonly signer: { readonly name: string; readonly privateKey: ReturnType<typeof generateKeyPairSync>['privateKey'] };
  readonly cosigner: Cosigner;
}

/** A real witness behind HTTP; `before` may answer a request in its place. */
async function witness(name: string, before?: RequestListener): Promise<TestWitness> {
  const signer = { name: `${name}.example.org`, privateKey: generateKeyPairSync('ed25519').privateKey };
  const state = new WitnessState(mkdtempSync(path.join(directory, 'state-')));
  const now = () => Math.floor(clock.milliseconds() / 1000);
  const cosigner = new Cosigner({ ...signer, logs: [logKey], state, now });
  const real = witnessServer(cosigner);
  const server = createServer((request, response) => {
    before?.(request, response);
    if (!response.headersSent && !request.socket.destroyed) real.emit('request', request, response);
  });
  return { signer, cosigner, line: `witness ${name} ${cosigner.vkey} ${await listen(server)}/` };
}

function publication(...lines: string[]): Publication {
  const made = new Publication({
    store,
    clock,
    policy: parsePolicy(lines.join('\n')),
    vkey: () => logKey,
    proof: async (_, from, to) => consistencyProof(leaves, from, to),
  });
  made.onAlarm((name, problem) => alarms.push(problem === null ? `${name} answers` : problem));
  return made;
}

function noteOf(size: number): string {
  const range = new CompactRange();
  for (const leaf of leaves.slice(0, size)) range.append(leaf);
  return signNote(checkpointText({ origin: log.name, size, root: range.root() }), log);
}

/** Signs a size, stores it and shows it: what a round of the checkpointer does. */
async function publish(publication: Publication, size: number): Promise<string> {
  const before = await store.read(LOG);
  if (before !== noteOf(size)) await store.replace(LOG, before, noteOf(size), size);
  await publication.show(new Map([[LOG, noteOf(size)]]));
  return (await store.readPublished(LOG))!;
}

/** Names of the witnesses whose cosignatures hold on a note, with their times in seconds after the start. */
function cosigned(note: string, witnesses: readonly TestWitness[]): [string, number][] {
  const { verified } = verifyNote(note, [logKey, ...witnesses.map(({ cosigner }) => cosigner.vkey)]);
  return verified.flatMap(({ name, time }) => (time === undefined ? [] : [[name, time - START / 1000]]));
}

describe('what auditors are shown', () => {
  it('is the stored checkpoint with the cosignatures of all witnesses, also of one that has another size', async () => {
    const witnesses = [await witness('w1'), await witness('w2')];
    const lines = witnesses.map(({ line }) => line);
    const shown = publication(...lines, 'group all all w1 w2', 'quorum all');
    expect(cosigned(await publish(shown, 3), witnesses)).toHaveLength(2);
    expect(cosigned(await publish(shown, 9), witnesses)).toHaveLength(2);
    // Another process takes over: it knows nothing of the sizes that the witnesses have.
    const other = publication(...lines, 'quorum none');
    expect(cosigned(await publish(other, 20), witnesses)).toHaveLength(2);
    expect(splitNote((await store.readPublished(LOG))!).text).toBe(splitNote(noteOf(20)).text);
    expect(await store.read(LOG)).toBe(noteOf(20));
    expect(alarms).toEqual([]);
  });

  it('is cosigned again after ten minutes, and by a new process at once only where a cosignature is missing', async () => {
    let requests = 0;
    const one = await witness('w1', () => (requests += 1));
    const shown = publication(one.line, 'quorum w1');
    await publish(shown, 3);
    clock.advance(599_000);
    expect(cosigned(await publish(shown, 3), [one])).toEqual([['w1.example.org', 0]]);
    await publish(publication(one.line, 'quorum w1'), 3);
    expect(requests).toBe(1);
    clock.advance(1_000);
    expect(cosigned(await publish(shown, 3), [one])).toEqual([['w1.example.org', 600]]);
  });

  it('is there without a witness that is down, and gets its cosignature when it is back', async () => {
    let down = true;
    const one = await witness('w1');
    const two = await witness('w2', (request) => down && request.socket.destroy());
    const shown = publication(one.line, two.line, 'group any any w1 w2', 'quorum any');
    expect(cosigned(await publish(shown, 3), [one, two])).toEqual([['w1.example.org', 0]]);
    expect(alarms).toEqual([expect.stringMatching(/^Witness w2: It could not be reached \(UND_ERR_SOCKET\)\.$/)]);
    expect(shown.health()).toEqual([
      { name: 'w1', time: START / 1000, problem: null },
      { name: 'w2', time: null, problem: alarms[0] },
    ]);
    down = false;
    expect(cosigned(await publish(shown, 3), [one, two])).toHaveLength(1);
    clock.advance(10_000);
    expect(cosigned(await publish(shown, 3), [one, two])).toHaveLength(2);
    expect(alarms.slice(1)).toEqual(['w2 answers']);
  });

  it('waits a minute for a quorum before it goes on without one', async () => {
    let down = false;
    const one = await witness('w1', (request) => down && request.socket.destroy());
    const shown = publication(one.line, 'quorum w1');
    await publish(shown, 3);
    down = true;
    clock.advance(59_000);
    expect(cosigned(await publish(shown, 4), [one])).toHaveLength(1);
    expect(await store.read(LOG)).toBe(noteOf(4));
    expect(await shown.unwitnessed()).toEqual([]);
    clock.advance(1_000);
    expect(await publish(shown, 4)).toBe(noteOf(4));
    expect(await shown.unwitnessed()).toEqual([LOG]);
  });

  it('is the stored one itself without a policy', async () => {
    const shown = new Publication({ store, clock, policy: null, vkey: () => logKey, proof: async () => [] });
    expect(await publish(shown, 3)).toBe(noteOf(3));
    expect([shown.health(), await shown.unwitnessed()]).toEqual([[], []]);
  });

  it('is not sent to the witnesses of other logs', async () => {
    const one = await witness('w1');
    const shown = publication(`log ${vkey('ledger.example.org/T-US', log.privateKey)}`, one.line, 'quorum w1');
    expect(await publish(shown, 3)).toBe(noteOf(3));
    expect([alarms, await shown.unwitnessed()]).toEqual([[], []]);
  });
});

describe('an answer is worth nothing before it is verified', () => {
  const other = generateKeyPairSync('ed25519').privateKey;
  it.each<[string, RequestListener]>([
    ['no signature', (_, response) => void response.end('thanks\n')],
    ['nothing', (_, response) => void response.end('')],
    ['too much', (_, response) => void response.end('x'.repeat(70_000))],
    ['an error', (_, response) => void response.writeHead(500).end('patient 4711')],
    ['a redirection', (_, response) => void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end()],
    [
      'a size that is none',
      (_, response) => void response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('all\n'),
    ],
    [
      'the cosignature of another',
      (_, response) =>
        void response.end(cosign(splitNote(noteOf(3)).text, { name: 'w1.example.org', privateKey: other }, 1)),
    ],
  ])('%s', async (_, answer) => {
    const one = await witness('w1', (request, response) => {
      if (request.method === 'POST') answer(request, response);
    });
    expect(await publish(publication(one.line, 'quorum none'), 3)).toBe(noteOf(3));
    expect(alarms).toEqual([expect.stringMatching(/^Witness w1: /)]);
    expect(alarms[0]).not.toContain('patient');
  });

  it('a cosignature over another checkpoint', async () => {
    const one: TestWitness = await witness('w1', (request, response) => {
      if (request.method === 'POST') response.end(cosign(splitNote(noteOf(2)).text, one.signer, 1));
    });
    expect(await publish(publication(one.line, 'quorum none'), 3)).toBe(noteOf(3));
    expect(alarms).toEqual(['Witness w1: The signature of w1.example.org does not hold.']);
  });

  it('a witness that claims a larger size without the signature of the log stops nothing', async () => {
    const one = await witness('w1', (request, response) => {
      if (request.method === 'POST') response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('9\n');
      else
        response.end(
          signNote(checkpointText({ origin: log.name, size: 9, root: leaves[0]! }), { ...log, privateKey: other }),
        );
    });
    expect(await publish(publication(one.line, 'quorum none'), 3)).toBe(noteOf(3));
    expect(alarms).toHaveLength(1);
  });

  it('a witness that says nothing holds the checkpoint up for a second, once', async () => {
    const one = await witness('w1', (request, response) => {
      response.writeHead = () => response;
      request.socket.setTimeout(0);
      Object.defineProperty(response, 'headersSent', { value: true });
    });
    const shown = publication(one.line, 'quorum none');
    const start = performance.now();
    await publish(shown, 3);
    await publish(shown, 4);
    expect(performance.now() - start).toBeLessThan(1_800);
    expect(alarms).toEqual(['Witness w1: It did not answer within 1000 ms.']);
  });
});

describe('a ledger that went back in time', () => {
  /** Database and store are those of an older state, and what comes now is another history. */
  async function setBack(size: number): Promise<void> {
    rmSync(path.join(directory, 'store'), { recursive: true });
    leaves = leaves.map((leaf, index) => (index < size ? leaf : leafHash(leaf)));
  }

  it('is found out by the witness before anything is signed, also with an empty store', async () => {
    const one = await witness('w1');
    await publish(publication(one.line, 'quorum w1'), 9);
    await setBack(5);
    await store.replace(LOG, null, noteOf(5), 5);
    const after = publication(one.line, 'quorum none');
    const message =
      /^ledger rollback detected: the checkpoint that witness w1 holds of log T-CN covers 9 entries, the database has 5\.$/;
    await expect(after.verify(new Map([[LOG, noteOf(5)]]))).rejects.toThrow(message);
    rmSync(path.join(directory, 'store'), { recursive: true });
    await expect(after.verify(new Map([[LOG, null]]))).rejects.toThrow('the database has 0');
  });

  it('is found out when it is as long again, or longer', async () => {
    const one = await witness('w1');
    await publish(publication(one.line, 'quorum w1'), 9);
    await setBack(5);
    for (const size of [9, 12]) {
      const after = publication(one.line, 'quorum none');
      await expect(after.verify(new Map([[LOG, noteOf(size)]]))).rejects.toThrow('that witness w1 has cosigned');
    }
    await expect(publish(publication(one.line, 'quorum none'), 9)).rejects.toThrow('that witness w1 has cosigned');
  });

  it('is not suspected when another process has signed more meanwhile, or the witness is down', async () => {
    const one = await witness('w1');
    await publish(publication(one.line, 'quorum w1'), 9);
    const slow = publication(one.line, 'quorum none');
    await slow.verify(new Map([[LOG, noteOf(5)]]));
    await slow.show(new Map([[LOG, noteOf(5)]]));
    const gone = publication(`witness w1 ${one.cosigner.vkey} http://127.0.0.1:9`, 'quorum w1');
    await gone.verify(new Map([[LOG, null]]));
    expect(alarms).toHaveLength(2);
  });
});

it('a policy whose witnesses cannot be asked is refused', async () => {
  const { cosigner } = await witness('w1');
  for (const url of ['', ' ftp://witness.example.org', ' witness.example.org']) {
    expect(() => publication(`witness w1 ${cosigner.vkey}${url}`, 'quorum w1')).toThrow('no http or https address');
  }
});
