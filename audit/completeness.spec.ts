import { hash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { cosign, witnessVkey } from './cosignature.mjs';
import { SUITE, type LedgerRecord } from './entry.mjs';
import { MacKey } from './mac.mjs';
import { splitNote } from './note.mjs';
import type { Report } from './report.mjs';
import { classes, flip, sampleDirectory } from './sample-directory.js';
import {
  checkpointAs,
  checkpointOf,
  completeLog,
  type Files,
  KEYS,
  logOf,
  ORIGIN,
  sampleDetail,
  sampleRecords,
  subjectOf,
  VKEY,
  WITNESS_KEYS,
  WRITER_KEYS,
  WRITERS,
} from './sample-log.js';
import { vkey } from './note.mjs';

const SIZE = 600;
const K = 308;
const clean = completeLog(SIZE);
const log = sampleDirectory(clean);
const changed = (changes: Record<number, Partial<LedgerRecord>>): Promise<Report> =>
  log.verifyLog(completeLog(SIZE, changes));
const warnings = (report: Report) => report.warnings.map((warning) => [warning.class, warning.index]);

it('a complete log is OK, and the report says what was checked', async () => {
  const report = await log.verifyLog({});
  const checked = { entries: SIZE, records: SIZE, macs: SIZE, details: 200 };
  expect(report).toMatchObject({ ok: true, warnings: [], checked });
});

describe('MACs', () => {
  it.each([0, 1, 255, 256, K, SIZE - 1])('of record %i changed or missing', async (index) => {
    const bad = clean.macs.with(index, flip(clean.macs[index]!, 7));
    expect(await log.verifyLog({ macs: bad })).toMatchObject({ first: { index, class: 'mac' }, faultCount: 1 });
    const without = clean.macs.with(index, Buffer.alloc(32));
    expect(await log.verifyLog({ macs: without })).toMatchObject({ first: { index, class: 'mac' }, faultCount: 1 });
  });

  it('a file of them missing is one fault', async () => {
    log.write();
    rmSync(log.file('mac/001'));
    expect(await log.verify()).toMatchObject({ faults: [{ index: 256, last: 511, class: 'mac' }], faultCount: 1 });
  });

  it('a record that was written by somebody without the key', async () => {
    const forged = completeLog(SIZE, { [K]: { role: 'physician' } });
    const report = await log.verifyLog({ ...forged, macs: clean.macs });
    expect(report).toMatchObject({ first: { index: K, class: 'mac' }, faultCount: 1 });
  });

  it('a key that is not the one of the registration', async () => {
    const writerKeys = `${WRITERS[0]} ${'ab'.repeat(32)}\n`;
    const report = await log.verifyLog({ writerKeys });
    expect(report.first).toEqual({ index: 0, class: 'mac' });
    expect(classes(report)).toEqual(['mac']);
    expect(report.faultCount).toBe(1 + SIZE / 2);
    expect((await log.verifyLog({ writerKeys: 'no keys' })).first).toEqual({ index: null, class: 'mac' });
  });

  it('are not checked without a key, and are with one that the auditor has', async () => {
    const macs = clean.macs.with(K, Buffer.alloc(32, 1));
    const unreleased = { macs, writerKeys: undefined };
    expect(await log.verifyLog(unreleased)).toMatchObject({ ok: true, checked: { macs: 0 } });
    const writerKeys = `${WRITERS[K % 2]} ${WRITER_KEYS[K % 2]!.toString('hex')}`;
    const report = await log.verifyLog(unreleased, { writerKeys });
    expect(report).toMatchObject({ first: { index: K, class: 'mac' }, faultCount: 1, checked: { macs: SIZE / 2 } });
    await expect(log.verifyLog(unreleased, { writerKeys: 'x' })).rejects.toThrow(Error);
  });
});

describe('registration of writers', () => {
  const bare = { macs: undefined, details: undefined, writerKeys: undefined };
  const plain = (changes: Record<number, Partial<LedgerRecord>>) =>
    log.verifyLog({ ...bare, ...logOf(sampleRecords(SIZE, changes)) });
  const { commitment } = new MacKey(WRITER_KEYS[0]!);

  it('is demanded where the first START makes one', async () => {
    const report = await plain({ 0: { commitment } });
    expect(report).toMatchObject({ first: { index: 1, class: 'writer-unregistered' }, faultCount: 1 });
    expect(await plain({})).toMatchObject({ ok: true });
  });

  it('stands at number 1 and nowhere else', async () => {
    const writer = { kind: 'WRITER', accesses: [], commitment } as const;
    expect(await plain({ 0: { commitment }, 1: writer, [K]: writer })).toMatchObject({
      first: { index: K, class: 'writer-unregistered' },
      faultCount: 1,
    });
  });
});

describe('sealed details', () => {
  const without = (...indexes: number[]): (Buffer | null)[] =>
    clean.details.map((detail, index) => (indexes.includes(index) ? null : detail));
  const erase = (...subjects: string[]): Partial<LedgerRecord> => ({
    kind: 'ERASE',
    accesses: [{ type: 'Patient', rows: 1, fields: {}, subjects }],
  });

  it.each([2, 257, K, SIZE - 1])('of record %i changed', async (index) => {
    expect(sampleDetail(index)).not.toBeNull();
    const details = clean.details.with(index, Buffer.from('something else'));
    expect(await log.verifyLog({ details })).toMatchObject({ first: { index, class: 'detail' }, faultCount: 1 });
  });

  it('missing: a fault unless somebody whom they are about was erased later', async () => {
    expect(await log.verifyLog({ details: without(K) })).toMatchObject({
      first: { index: K, class: 'detail' },
      faultCount: 1,
    });
    const at = K + 1;
    for (const [index, subject, ok] of [
      [at, subjectOf(K), true],
      [at + 250, subjectOf(K), true],
      [at, subjectOf(K + 3), false],
      [K - 3, subjectOf(K), false],
    ] as const) {
      const erased = completeLog(SIZE, { [index]: { ...erase(subject), sealed: undefined } });
      const report = await log.verifyLog({ ...erased, details: erased.details.with(K, null) });
      expect([index, report.ok]).toEqual([index, ok]);
    }
    const denied = completeLog(SIZE, { [at]: { ...erase(subjectOf(K)), outcome: 'denied' } });
    const report = await log.verifyLog({ ...denied, details: denied.details.with(K, null) });
    expect(report).toMatchObject({ first: { index: K, class: 'detail' }, faultCount: 1 });
  });

  it('under the key of somebody whom the record does not name otherwise', async () => {
    const sealed = { key: `subject:${subjectOf(9)}`, sha256: hash('sha256', clean.details[K]!) };
    const erased = completeLog(SIZE, { [K]: { accesses: [], sealed }, [K + 2]: erase(subjectOf(9)) });
    expect(await log.verifyLog({ ...erased, details: erased.details.with(K, null) })).toMatchObject({ ok: true });
  });

  it('beside a record that names none', async () => {
    const details = clean.details.with(K + 1, Buffer.from('something'));
    expect(await log.verifyLog({ details })).toMatchObject({ first: { index: K + 1, class: 'detail' }, faultCount: 1 });
  });

  it('a file of them cut short', async () => {
    log.write();
    writeFileSync(log.file('detail/001'), readFileSync(log.file('detail/001')).subarray(0, -12));
    expect((await log.verify()).first).toEqual({ index: 509, class: 'detail' });
  });

  it('are not demanded where there is no such folder, or nobody asks: one warning', async () => {
    const unasked = { ok: true, warnings: [{ index: null, class: 'detail' }], checked: { details: 0 } };
    expect(await log.verifyLog({ details: undefined })).toMatchObject(unasked);
    expect(await log.verifyLog({ details: without(K) }, { withoutDetails: true })).toMatchObject(unasked);
  });
});

describe('a declared restore', () => {
  const SECOND = `${ORIGIN}/2`;
  const vkeys = [VKEY, vkey(SECOND, KEYS.publicKey)];
  /** The log up to K, then 100 entries of a second life; the first one had signed `signed` entries. */
  function restored(signed: number, changes: Partial<LedgerRecord> = {}): Files {
    const root = Buffer.from(splitNote(checkpointOf(clean.leaves.slice(0, signed))).text.split('\n')[2]!, 'base64');
    const replaces = { origin: ORIGIN, size: signed, root: root.toString('hex') };
    const start = { kind: 'START', suite: SUITE, origin: SECOND, accesses: [], replaces } as const;
    const size = K + 100;
    const life = (index: number): Partial<LedgerRecord> => ({
      incarnation: 2,
      writer: '00000000000000c3',
      number: index - K + 1,
      ...(index === K ? { ...start, ...changes } : {}),
    });
    const second = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [K + at, life(K + at)]));
    const whole = completeLog(size, second);
    const records = whole.entries.map((entry) => Buffer.from(entry.subarray(32)));
    return { ...whole, ...logOf(records), note: checkpointAs(SECOND, whole.leaves) };
  }
  const verify = (files: Files, checkpoints: string[] = []) => log.verifyLog(files, { vkeys, checkpoints });
  const commitment = new MacKey(WRITER_KEYS[0]!).commitment;

  it('is told: what was lost, and that nothing was', async () => {
    const lost = await verify(restored(K + 20, { commitment }));
    expect(lost).toMatchObject({ ok: true, warnings: [{ class: 'restored', index: K }] });
    expect(lost.warnings[0]!.message).toContain(`entries ${K} to ${K + 19} were lost`);
    const nothing = await verify(restored(K - 20, { commitment }));
    expect(nothing).toMatchObject({ ok: true, warnings: [{ class: 'restored', index: K }] });
    expect(nothing.warnings[0]!.message).toContain('nothing that was signed before was lost');
  });

  it('kept checkpoints of the first life: below it as always, up to what was declared a warning, beyond it a fault', async () => {
    const files = restored(K + 20, { commitment });
    const kept = (size: number, leaves = clean.leaves) => checkpointOf(leaves.slice(0, size));
    expect(await verify(files, [kept(5), kept(K)])).toMatchObject({ ok: true, warningCount: 1 });
    for (const size of [K + 1, K + 20]) {
      const report = await verify(files, [kept(size)]);
      expect(warnings(report)).toEqual([
        ['restored', K],
        ['restored', K],
      ]);
      expect(report.ok).toBe(true);
    }
    for (const size of [K + 21, SIZE]) {
      expect((await verify(files, [kept(size)])).first?.class).toBe('consistency');
    }
    const other = completeLog(SIZE, { 7: { role: 'physician' } });
    for (const size of [K, K + 20]) {
      expect((await verify(files, [kept(size, other.leaves)])).first?.class).toBe('consistency');
    }
  });

  it('that lost the whole log is told as well, and a checkpoint that was kept of it is explained', async () => {
    const lost = (changes: Partial<LedgerRecord> = {}): Files => {
      const replaces = { origin: ORIGIN, size: 20, root: 'ab'.repeat(32) };
      const [first, second] = WRITER_KEYS.map((key) => ({ commitment: new MacKey(key).commitment }));
      const start = { ...first, kind: 'START', suite: SUITE, origin: SECOND, accesses: [], replaces } as const;
      const named: Record<number, Partial<LedgerRecord>> = {
        0: { ...start, ...changes },
        1: { ...second, kind: 'WRITER', accesses: [] },
      };
      const life = Array.from({ length: 300 }, (_, at) => [at, { incarnation: 2, ...named[at] }]);
      const files = completeLog(300, Object.fromEntries(life));
      return { ...files, note: checkpointAs(SECOND, files.leaves) };
    };
    const report = await verify(lost());
    expect(report).toMatchObject({ ok: true, warnings: [{ class: 'restored', index: 0 }] });
    expect(report.warnings[0]!.message).toContain('entries 0 to 19 were lost');
    const kept = (size: number) => checkpointOf(clean.leaves.slice(0, size));
    expect(await verify(lost(), [kept(19)])).toMatchObject({ ok: true, warningCount: 2 });
    for (const size of [20, 21, 400]) expect((await verify(lost(), [kept(size)])).first?.class).toBe('consistency');
    // One that was made after the restore replaces nothing; then a checkpoint from before is of another log.
    const made = lost({ replaces: undefined });
    expect(await verify(made)).toMatchObject({ ok: true, warnings: [] });
    expect((await verify(made, [kept(19)])).first?.class).toBe('consistency');
  });

  it.each([256, K])('at %i, after which records name the life before', async (at) => {
    const start = { kind: 'START', suite: SUITE, origin: SECOND, accesses: [], sealed: undefined } as const;
    const replaces = { origin: ORIGIN, size: 1, root: clean.leaves[0]!.toString('hex') };
    // From the next bundle on all is as it should be.
    const later = Array.from({ length: SIZE - 512 }, (_, index) => [512 + index, { incarnation: 2 }]);
    const changes = { ...Object.fromEntries(later), [at]: { ...start, incarnation: 2, replaces } };
    const files = completeLog(SIZE, changes);
    const report = await verify({
      ...files,
      details: files.details.with(at, null),
      note: checkpointAs(SECOND, files.leaves),
    });
    expect(report.faults[0]).toMatchObject({ index: at + 1, class: 'start' });
  });

  it('that says something else than it should', async () => {
    const bad: Partial<LedgerRecord>[] = [
      { origin: `${ORIGIN}/3` },
      { origin: ORIGIN },
      { replaces: undefined },
      { replaces: { origin: `${ORIGIN}/7`, size: 1, root: 'ab'.repeat(32) } },
    ];
    for (const changes of bad) {
      expect((await verify(restored(K + 20, { commitment, ...changes }))).first).toEqual({ index: K, class: 'start' });
    }
    const forked = restored(0, { commitment, replaces: { origin: ORIGIN, size: 9, root: 'ab'.repeat(32) } });
    expect((await verify(forked)).first).toEqual({ index: K, class: 'consistency' });
    const again = await changed({
      [K]: { kind: 'START', suite: SUITE, origin: ORIGIN, accesses: [], sealed: undefined },
    });
    expect(again.first).toEqual({ index: K, class: 'start' });
  });
});

describe('a pruned log', () => {
  const archived = (key: string): Partial<LedgerRecord> => ({
    kind: 'ARCHIVE',
    accesses: [],
    sealed: undefined,
    detail: { key, sha256: '00'.repeat(32) },
  });
  const pruned = (key: string, size = 1100) => completeLog(size, { 1000: archived(key) });
  const gone = (name: string) => rmSync(log.file(name));

  it('is OK when a later record declares it: a warning, and the rest is checked', async () => {
    const files = pruned('prune:512');
    const report = await log.verifyLog({ ...files, minimum: 512 });
    expect(report).toMatchObject({ ok: true, warnings: [{ class: 'pruned', index: 0 }] });
    log.flipInFile('tile/entries/002', 400);
    expect((await log.verify()).first).toEqual({ index: 512, class: 'leaf' });
    const kept = [checkpointOf(files.leaves.slice(0, 300)), checkpointOf(files.leaves.slice(0, 700))];
    expect(await log.verifyLog({ ...files, minimum: 512 }, { checkpoints: kept })).toMatchObject({ ok: true });
    const other = checkpointOf(files.leaves.slice(1, 301));
    const forked = await log.verifyLog({ ...files, minimum: 512 }, { checkpoints: [other] });
    expect(forked.first).toEqual({ index: null, class: 'consistency' });
  });

  it('is not when none does, or declares less', async () => {
    for (const key of ['prune:256', 'prune:511', 'export:x']) {
      const report = await log.verifyLog({ ...pruned(key), minimum: 512 });
      expect(report).toMatchObject({ faults: [{ index: 0, last: 511, class: 'missing-entry' }], faultCount: 1 });
    }
  });

  it('is not when the record that declares it stands before what is missing', async () => {
    const files = completeLog(1100, { 10: archived('prune:768'), 11: { sealed: undefined } });
    const entries = files.entries.map((entry, index) => (index >= 256 && index < 768 ? Buffer.alloc(0) : entry));
    const details = files.details.with(10, null).with(11, null);
    log.write({ ...files, details, entries });
    writeFileSync(log.file('minimum'), '768\n');
    expect((await log.verify()).first).toEqual({ index: 256, class: 'missing-entry' });
  });

  it.each([{ log: 'T-JP' }, { incarnation: 2 }])(
    'with a record of something else at its beginning: %j',
    async (changes) => {
      const files = completeLog(1100, {
        257: { kind: 'ERASE', sealed: undefined, ...changes },
        1000: archived('prune:256'),
      });
      const details = files.details.with(257, null);
      const report = await log.verifyLog({ ...files, details, minimum: 256 });
      expect(report.first).toEqual({ index: 257, class: 'log' in changes ? 'record' : 'start' });
    },
  );

  it('of which a source gives entries of length 0 where nothing is left', async () => {
    const files = pruned('prune:512');
    const entries = files.entries.map((entry, index) => (index < 512 ? Buffer.alloc(0) : entry));
    log.write({ ...files, entries });
    writeFileSync(log.file('minimum'), '512\n');
    expect(await log.verify()).toMatchObject({ ok: true, warnings: [{ class: 'pruned', index: 0 }] });
    writeFileSync(log.file('minimum'), '256\n');
    expect((await log.verify()).first).toEqual({ index: 256, class: 'missing-entry' });
  });

  it('below the minimum leaf hashes stay, above it entries do', async () => {
    log.write({ ...pruned('prune:512'), minimum: 512 });
    gone('tile/entries/002');
    expect((await log.verify()).first).toEqual({ index: 512, class: 'missing-entry' });
    log.write({ ...pruned('prune:512'), minimum: 512 });
    gone('tile/0/000');
    expect((await log.verify()).first).toEqual({ index: 0, class: 'tile' });
    log.write({ ...pruned('prune:512'), minimum: 512 });
    log.flipInFile('tile/0/001', 40);
    expect(classes(await log.verify())).toEqual(expect.arrayContaining(['root']));
  });
});

describe('witnesses', () => {
  const TIMES = Date.UTC(2026, 2, 1, 8) / 1000;
  const names = ['w1', 'w2', 'w3'];
  const cosigned = (note: string, witnesses: number[], time = TIMES + SIZE) =>
    note +
    witnesses
      .map((at) => cosign(splitNote(note).text, { name: names[at]!, privateKey: WITNESS_KEYS[at]! }, time))
      .join('');
  const policy = (quorum: string) =>
    [
      `log ${VKEY}`,
      ...names.map((name, at) => `witness ${name} ${witnessVkey(name, WITNESS_KEYS[at]!)}`),
      `group two 2 ${names.join(' ')}`,
      `quorum ${quorum}`,
      '',
    ].join('\n');
  const verify = (note: string, quorum = 'two', checkpoints: string[] = []) =>
    log.verifyLog({ note }, { vkeys: undefined, policy: policy(quorum), checkpoints });

  it('the quorum of the policy is demanded', async () => {
    expect(await verify(cosigned(clean.note, [0, 2]))).toMatchObject({ ok: true, warnings: [] });
    expect((await verify(cosigned(clean.note, [0, 2]))).verified).toHaveLength(3);
    for (const who of [[], [1]]) {
      const report = await verify(cosigned(clean.note, who));
      expect(report).toMatchObject({ first: { index: null, class: 'quorum' }, faultCount: 1 });
    }
    expect(await verify(clean.note, 'none')).toMatchObject({ ok: true });
  });

  it('a cosignature that does not hold rejects the note', async () => {
    const over = cosigned(checkpointOf(clean.leaves.slice(0, 9)), [0, 1]);
    const lines = over
      .slice(over.indexOf('\n\n') + 2)
      .split('\n')
      .slice(1)
      .join('\n');
    const report = await verify(clean.note + lines);
    expect(classes(report)).toEqual(expect.arrayContaining(['signature']));
  });

  it('a record much younger than the cosignature over it is a warning', async () => {
    const early = TIMES + SIZE - 1 - 300;
    expect(await verify(cosigned(clean.note, [0, 1], early))).toMatchObject({ ok: true, warnings: [] });
    const report = await verify(cosigned(clean.note, [0, 1], early - 1));
    expect(report).toMatchObject({ ok: true, warnings: [{ class: 'time', index: SIZE - 1 }] });
    const kept = cosigned(checkpointOf(clean.leaves.slice(0, 450)), [1], TIMES);
    expect(warnings(await verify(cosigned(clean.note, [0, 1]), 'two', [kept]))).toEqual([['time', 449]]);
  });
});

describe('hashes alone', () => {
  const only = { hashesOnly: true };

  it('is said in the verdict', async () => {
    expect(await log.verifyLog({}, only)).toMatchObject({
      ok: true,
      warnings: [{ class: 'hashes-only' }],
      checked: { entries: SIZE, records: 0, macs: 0, details: 0 },
    });
  });

  it('sees bytes that were changed, and not what records say', async () => {
    const entries = clean.entries.with(K, flip(clean.entries[K]!, 60));
    expect((await log.verifyLog({ entries }, only)).first).toEqual({ index: K, class: 'leaf' });
    const macs = clean.macs.with(K, Buffer.alloc(32, 1));
    expect(await log.verifyLog({ macs }, only)).toMatchObject({ ok: true });
  });
});
