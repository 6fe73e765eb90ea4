import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { KINDS, validateRecord } from './entry.mjs';
import { workedExample } from './format-example.js';
import { sha256 } from './merkle.mjs';
import { verifyProof } from './proof.mjs';
import { sampleRecord, writeLog } from './sample-log.js';
import { verifyDirectory } from './verify.mjs';

const FORMAT = readFileSync(new URL('FORMAT.md', import.meta.url), 'utf8');

describe('the worked example', () => {
  const { text, log, vkeys, proof, records } = workedExample();

  it('stands in FORMAT.md byte for byte', () => {
    expect(FORMAT.slice(FORMAT.indexOf('## 8.'))).toBe(text);
  });

  it('can be recomputed from the text alone', () => {
    const blocks = [...FORMAT.matchAll(/\n([^\n]+):\n\n```(?:json)?\n([\s\S]*?)\n```/g)];
    const lines = (title: string) => blocks.find(([, found]) => found!.startsWith(title))![2]!.split('\n');
    const printed = lines('Records').map((line) => Buffer.from(line));
    expect(printed).toEqual(records);
    for (const record of printed) expect(validateRecord(JSON.parse(record.toString()))).toEqual([]);
    expect(printed.map((record) => sha256(record).toString('hex'))).toEqual(lines('Record hashes'));
    const keys = new Map(lines('Keys of the writers').map((line) => line.split(' ') as [string, string]));
    const macs = printed.map((record) => {
      const { writer } = JSON.parse(record.toString()) as { writer: string };
      return createHmac('sha256', Buffer.from(keys.get(writer)!, 'hex'))
        .update(record)
        .digest('hex');
    });
    expect(macs).toEqual(lines('MACs'));
    let leaf: Buffer = Buffer.alloc(32);
    const leaves = printed.map((record) =>
      (leaf = sha256(Buffer.concat([Buffer.of(0), leaf, record]))).toString('hex'),
    );
    expect(leaves).toEqual(lines('Leaves'));
  });

  it('is verified, whole and by the proof of one record', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'custodia-format-'));
    writeLog(directory, log);
    const report = await verifyDirectory(directory, { vkeys, checkpoints: [log.note] });
    rmSync(directory, { recursive: true });
    expect(report).toMatchObject({ ok: true, size: 4, warnings: [], checked: { records: 4, macs: 4, details: 1 } });
    expect(report.verified).toHaveLength(2);
    expect(verifyProof(proof, { record: records[2]! }, { vkeys })).toMatchObject({ index: 2, size: 4 });
  });
});

it('names every member, kind, state, fault and warning', () => {
  const { accesses, ...members } = sampleRecord(0);
  const more = [
    'accesses',
    'detail',
    'sealed',
    'commitment',
    'replaces',
    'decision',
    'acr',
    'consents',
    'obligations',
    'type',
    'rows',
    'fields',
    'subjects',
  ];
  for (const name of [...Object.keys(members), ...more]) {
    expect(FORMAT).toMatch(new RegExp(`\\n\\| \`${name}\` +\\|`));
  }
  for (const kind of KINDS) expect(FORMAT).toContain(`\`${kind}\``);
  expect(accesses).toEqual([]);
  const report = readFileSync(new URL('report.mjs', import.meta.url), 'utf8');
  const [faults, warnings] = [/@typedef \{('signature'[\s\S]*?)\} FaultClass/, /@property \{('key'.*)\} class/].map(
    (pattern) => [...pattern.exec(report)![1]!.matchAll(/'([a-z-]+)'/g)].map(([, name]) => name!),
  );
  expect(faults!.length).toBeGreaterThan(15);
  for (const name of faults!) expect(FORMAT).toMatch(new RegExp(`\\n\\| \`${name}\` +\\|`));
  for (const name of warnings!) expect(FORMAT.slice(FORMAT.indexOf('\nWarnings:'))).toContain(`\`${name}\``);
});
