import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { witnessVkey } from './cosignature.mjs';
import { SUITE, type LedgerRecord } from './entry.mjs';
import { inclusionProof } from './merkle.mjs';
import { formatProof } from './proof.mjs';
import type { Report } from './report.mjs';
import { flip, sampleDirectory } from './sample-directory.js';
import { checkpointOf, logOf, ORIGIN, sampleRecords, VKEY, WITNESS_KEYS } from './sample-log.js';
import { verifyDirectory } from './verify.mjs';

const SIZE = 600;
const K = 300;
const clean = logOf(sampleRecords(SIZE));
const log = sampleDirectory(clean);

describe('a log without a fault', () => {
  it.each([0, 1, 2, 255, 256, 257, 512, 600])('of %i entries is OK', async (size) => {
    const sample = logOf(sampleRecords(size));
    const checkpoints = [checkpointOf(sample.leaves.slice(0, size >> 1)), sample.note];
    const report = await log.verifyLog(sample, { checkpoints });
    expect(report).toMatchObject({ ok: true, origin: ORIGIN, size, first: null, faults: [], warnings: [] });
  });

  it('of three levels of tiles has no fault but the two planted in its upper ones', async () => {
    log.write(logOf(Array.from({ length: 65_536 + 300 }, () => Buffer.from('no record'))));
    log.flipInFile('tile/1/000', 32 * 7);
    log.flipInFile('tile/2/000.p/1', 0);
    const report = await log.verify({ hashesOnly: true });
    expect(report).toMatchObject({ size: 65_836, faultCount: 2 });
    expect(report.faults).toMatchObject([
      { class: 'tile', index: 0 },
      { class: 'tile', index: 7 * 256 },
    ]);
  });

  it('is OK when it lies beyond the checkpoint, as a log does that still grows', async () => {
    const older = checkpointOf(clean.leaves.slice(0, 400));
    const report = await log.verifyLog({ note: older });
    expect(report).toMatchObject({ ok: true, size: 400 });
  });

  it('warns when the key comes from the directory', async () => {
    log.write();
    expect(await verifyDirectory(log.directory)).toMatchObject({ ok: true, warnings: [{ class: 'key' }] });
  });
});

describe('records that were logged, but wrongly', () => {
  const logged = (changes: Record<number, Partial<LedgerRecord>>): Promise<Report> =>
    log.verifyLog(logOf(sampleRecords(SIZE, changes)));
  const unsequenced = (drop: number, size = SIZE): Promise<Report> =>
    log.verifyLog(logOf(sampleRecords(size).toSpliced(drop, 1)));

  it('no START, or one with another suite or origin', async () => {
    const report = await log.verifyLog(logOf(sampleRecords(8).slice(1)));
    expect(report).toMatchObject({ first: { index: 0, class: 'start' } });
    expect((await logged({ 0: { origin: 'ledger.example.org/T-US' } })).first).toEqual({ index: 0, class: 'start' });
    expect((await logged({ 0: { suite: 'sm3-sm2' } })).first).toEqual({ index: 0, class: 'start' });
  });

  it('another incarnation without START', async () => {
    expect((await logged({ [K]: { incarnation: 2 } })).first).toEqual({ index: K, class: 'start' });
    const start = { kind: 'START', suite: SUITE, origin: ORIGIN, accesses: [], incarnation: 2 } as const;
    expect((await logged({ [K]: start })).faults.map(({ index }) => index)).toContain(K + 1);
  });

  it('a record of another log', async () => {
    expect(await logged({ [K]: { log: 'T-US' } })).toMatchObject({
      first: { index: K, class: 'record' },
      faultCount: 1,
    });
  });

  it('a record that is not canonical, not valid, not JSON', async () => {
    const records = sampleRecords(8);
    const text = records[5]!.toString();
    for (const bad of [` ${text}`, text.replace('"v":1', '"v":2'), text.slice(1), text.replace('{"', '{"a":1,"')]) {
      const report = await log.verifyLog(logOf(records.with(5, Buffer.from(bad))));
      expect(report).toMatchObject({ first: { index: 5, class: 'record' }, faultCount: 1 });
    }
    const notUtf8 = Buffer.from(text.replace('nurse', 'nurs\xff'), 'latin1');
    expect((await log.verifyLog(logOf(records.with(5, notUtf8)))).first).toEqual({ index: 5, class: 'record' });
  });

  it('a number left out: a fault when the writer went on, a warning when the log ends', async () => {
    const report = await unsequenced(100);
    expect(report).toMatchObject({ faults: [{ class: 'writer-gap' }], faultCount: 1 });
    expect(report.first!.index).toBeGreaterThanOrEqual(98);
    expect(report.first!.index).toBeLessThanOrEqual(104);
    expect(await unsequenced(580)).toMatchObject({ ok: true, warnings: [{ class: 'gap' }] });
  });

  it('a number used twice', async () => {
    const records = sampleRecords(SIZE);
    expect(await log.verifyLog(logOf([...records, records[20]!]))).toMatchObject({
      first: { index: SIZE, class: 'writer-duplicate' },
      faultCount: 1,
      warnings: [{ class: 'time' }],
    });
  });

  it('a number closed by VOID', async () => {
    const closed = { kind: 'VOID', outcome: 'failed', accesses: [] } as const;
    expect(await logged({ [K]: closed })).toMatchObject({ ok: true, warnings: [] });
  });
});

/** The Node 20 of the machine where it has one, because the folder promises to run there, else the one that runs this. */
function oldestNode(): string {
  const installed = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'node'));
  const version = (node: string) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? '';
  return installed.find((node) => existsSync(node) && version(node).startsWith('v20.')) ?? process.execPath;
}

describe('the program', () => {
  const alone = mkdtempSync(join(tmpdir(), 'custodia-verifier-'));
  const folder = fileURLToPath(new URL('.', import.meta.url));
  for (const name of readdirSync(folder))
    if (name.endsWith('.mjs')) copyFileSync(join(folder, name), join(alone, name));
  afterAll(() => rmSync(alone, { recursive: true, force: true }));
  const node = oldestNode();
  const run = (...argv: string[]) => {
    const { status, stdout, stderr } = spawnSync(node, ['verify.mjs', ...argv], {
      cwd: alone,
      encoding: 'utf8',
      env: {},
    });
    return { status, stderr, last: stdout.trimEnd().split('\n').at(-1), stdout };
  };

  it('runs after being copied out alone', () => {
    log.write();
    expect(run(log.directory, '--vkey', VKEY)).toMatchObject({ status: 0, last: `OK ${ORIGIN} ${SIZE}`, stderr: '' });
    expect(run(log.directory, '--vkey', log.file('log.vkey'), '--checkpoint', log.file('checkpoint')).status).toBe(0);
    expect(JSON.parse(run(log.directory, '--json').stdout)).toMatchObject({ ok: true, origin: ORIGIN, size: SIZE });
  });

  it('names the fault in its last line', () => {
    log.write({ entries: clean.entries.with(K, flip(clean.entries[K]!, 60)) });
    expect(run(log.directory, '--vkey', VKEY)).toMatchObject({ status: 1, last: `BAD ${ORIGIN} ${K} leaf` });
    log.write({ note: 'no note' });
    expect(run(log.directory, '--vkey', VKEY)).toMatchObject({ status: 1, last: `BAD ${ORIGIN} - signature` });
  });

  it('goes on from the state of the last time', () => {
    log.write({ note: checkpointOf(clean.leaves.slice(0, 400)) });
    const state = log.file('../state.json');
    const checked = () =>
      JSON.parse(run(log.directory, '--vkey', VKEY, '--state', state, '--json').stdout).checked.entries;
    expect(checked()).toBe(400);
    log.write();
    expect(checked()).toBe(SIZE - 400);
    log.write({ note: checkpointOf(clean.leaves.slice(0, 300)) });
    expect(run(log.directory, '--vkey', VKEY, '--state', state)).toMatchObject({
      status: 1,
      last: `BAD ${ORIGIN} 300 consistency`,
    });
    rmSync(state);
  });

  it('compares two checkpoints, and verifies one record', () => {
    log.write();
    const put = (name: string, content: string | Uint8Array) => {
      writeFileSync(log.file(name), content);
      return log.file(name);
    };
    const older = put('older', checkpointOf(clean.leaves.slice(0, 300)));
    const checkpoint = log.file('checkpoint');
    const pair = ['--vkey', VKEY, '--from', older, '--to', checkpoint];
    expect(run(log.directory, ...pair)).toMatchObject({ status: 0, last: `OK ${ORIGIN} ${SIZE}` });
    const swapped = ['--vkey', VKEY, '--from', checkpoint, '--to', older];
    expect(run(log.directory, ...swapped)).toMatchObject({ status: 1, last: `BAD ${ORIGIN} - consistency` });

    const hashes = inclusionProof(clean.leaves, K, SIZE);
    const proof = put(
      'one.tlog-proof',
      formatProof({ index: K, extra: clean.leaves[K - 1]!, hashes, note: clean.note }),
    );
    const record = put('record', clean.entries[K]!.subarray(32));
    const proven = run('--proof', proof, '--record', record, '--vkey', VKEY);
    expect(proven).toMatchObject({ status: 0, last: `OK ${ORIGIN} ${SIZE}` });
    expect(proven.stdout).toContain(`entry ${K} of ${SIZE}\n`);
    const other = put('record', clean.entries[K + 1]!.subarray(32));
    expect(run('--proof', proof, '--record', other, '--vkey', VKEY)).toMatchObject({
      status: 1,
      last: 'BAD - - proof',
    });
  });

  it('has the same report with threads, shows its progress, and demands the quorum of a policy', () => {
    log.write({ entries: clean.entries.with(K, flip(clean.entries[K]!, 60)) });
    const single = run(log.directory, '--vkey', VKEY, '--json');
    const threads = run(log.directory, '--vkey', VKEY, '--json', '--workers', '2', '--progress');
    expect(threads.stdout).toBe(single.stdout);
    log.write();
    const policy = log.file('policy');
    writeFileSync(policy, `log ${VKEY}\nwitness w ${witnessVkey('w', WITNESS_KEYS[0]!)}\nquorum w\n`);
    expect(run(log.directory, '--policy', policy)).toMatchObject({ status: 1, last: `BAD ${ORIGIN} - quorum` });
    expect(run(log.directory, '--vkey', VKEY, '--hashes-only').stdout).toContain('warning hashes-only');
  });

  it('answers wrong use with 2', () => {
    log.write();
    const wrong = [
      [],
      ['/nowhere/at/all'],
      ['http://127.0.0.1:1/x', '--token-file', '/nowhere'],
      [log.directory, '--nonsense'],
      [log.directory, '--vkey', 'a+b+c'],
      [log.directory, '--from', log.file('checkpoint')],
      [log.directory, '--workers', '0'],
      [log.directory, '--proof', log.file('checkpoint'), '--record', log.file('checkpoint')],
    ];
    for (const argv of wrong) expect([argv, run(...argv).status]).toEqual([argv, 2]);
    expect(run('--help')).toMatchObject({ status: 0, stderr: '' });
  });

  it('imports nothing but its own files and Node', () => {
    for (const name of readdirSync(alone)) {
      const imports = readFileSync(join(alone, name), 'utf8').matchAll(/^(?:import|export) .*from '(.*)';$/gm);
      for (const [, from] of imports) expect(from).toMatch(/^(node:|\.\/[a-z0-9-]+\.mjs$)/);
    }
  });
});
