import { createHmac, createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { canonicalize } from './canonical.mjs';
import { encodeBundle, encodeEntry, KINDS, validateRecord, ZERO_LEAF } from './entry.mjs';
import { CompactRange, consistencyProof, inclusionProof, leafHash, nodeHash, sha256 } from './merkle.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { sampleRecord, writeLog } from './sample-log.js';
import { tilesOf } from './tiles.mjs';
import { verifyDirectory } from './verify.mjs';

const FORMAT = readFileSync(new URL('FORMAT.md', import.meta.url), 'utf8');
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

it('recomputes the worked example of FORMAT.md, and verifies it', async () => {
  const example = FORMAT.slice(FORMAT.indexOf('## 7.'));
  const blocks = [...example.matchAll(/```(?:json)?\n([\s\S]*?)\n```/g)].map(([, block]) => block!.split('\n'));
  const [records, hashes, macs, leafHex, , keys, note] = blocks;
  const key = keys![0];
  const [seed, macKey] = [...example.matchAll(/`([0-9a-f]{64})`/g)].map(([, hex]) => Buffer.from(hex!, 'hex'));
  const origin = /The log `(.*?)`/.exec(example)![1]!;

  const bytes = records!.map((record) => Buffer.from(record));
  expect(bytes).toHaveLength(3);
  for (const record of records!) {
    expect(canonicalize(JSON.parse(record))).toBe(record);
    expect(validateRecord(JSON.parse(record))).toEqual([]);
  }
  expect(bytes.map((record) => sha256(record).toString('hex'))).toEqual(hashes);
  expect(bytes.map((record) => createHmac('sha256', macKey!).update(record).digest('hex'))).toEqual(macs);

  const entries: Buffer[] = [];
  const leaves: Buffer[] = [];
  const tree = new CompactRange();
  for (const record of bytes) {
    entries.push(encodeEntry(leaves.at(-1) ?? ZERO_LEAF, record));
    leaves.push(leafHash(entries.at(-1)!));
    tree.append(leaves.at(-1)!);
  }
  const hex = (items: Buffer[]) => items.map((item) => item.toString('hex'));
  expect(hex(leaves)).toEqual(leafHex);
  expect(example).toContain(`node(0,1)  ${nodeHash(leaves[0]!, leaves[1]!).toString('hex')}\n`);
  expect(example).toContain(`root       ${tree.root().toString('hex')}\n`);
  expect(example).toContain(`of entry 1: \`${hex(inclusionProof(leaves, 1, 3)).join(' ')}\``);
  expect(example).toContain(`from 1 entry to 3: \`${hex(consistencyProof(leaves, 1, 3)).join(' ')}\``);

  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed!]), format: 'der', type: 'pkcs8' });
  expect(vkey(origin, privateKey)).toBe(key);
  const signed = signNote(checkpointText({ origin, size: 3, root: tree.root() }), { name: origin, privateKey });
  expect(signed).toBe(`${note!.join('\n')}\n`);
  for (const file of [tilesOf(leaves).get('tile/0/000.p/3')!, encodeBundle(entries)]) {
    expect(example).toContain(`(${file.length} bytes, HASH \`${sha256(file).toString('hex')}\`)`);
  }

  const directory = mkdtempSync(join(tmpdir(), 'custodia-format-'));
  writeLog(directory, { entries, leaves, note: signed, vkey: key! });
  const report = await verifyDirectory(directory, { vkeys: [key!], checkpoints: [signed] });
  rmSync(directory, { recursive: true });
  expect(report).toMatchObject({ ok: true, origin, size: 3, warnings: [] });
});

it('names every member, kind and state that a record may have', () => {
  const { accesses, ...members } = sampleRecord(0);
  const names = [...Object.keys(members), 'accesses', 'detail', 'type', 'rows', 'fields', 'subjects'];
  for (const name of names) expect(FORMAT).toMatch(new RegExp(`\\n\\| \`${name}\` +\\|`));
  for (const kind of KINDS) expect(FORMAT).toContain(`\`${kind}\``);
  expect(accesses).toEqual([]);
});
