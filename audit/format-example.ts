import { createHash, createHmac, createPrivateKey, type KeyObject } from 'node:crypto';
import { canonicalize } from './canonical.mjs';
import { cosign, witnessVkey } from './cosignature.mjs';
import { encodeDetails } from './details.mjs';
import { encodeBundle, encodeEntry, ZERO_LEAF } from './entry.mjs';
import { MacKey } from './mac.mjs';
import { CompactRange, consistencyProof, inclusionProof, leafHash, nodeHash, sha256 } from './merkle.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { formatProof } from './proof.mjs';
import type { Files } from './sample-log.js';
import { tilesOf } from './tiles.mjs';

const ORIGIN = 'ledger.example.org/T-CN';
const WITNESS = 'witness.example.org/w1';
const COSIGNED_AT = 1_772_352_008;
const WRITERS = ['9f2c4b7a10d3e586', 'a1b2c3d4e5f60718'] as const;
const MASTER_KEY = Buffer.alloc(32, 0x0b);
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const DETAIL = Buffer.from(`${'00'.repeat(12)}${'d1'.repeat(20)}${'a5'.repeat(16)}`, 'hex');

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The private key of a seed that is 32 times the same byte. */
function privateKey(byte: number): KeyObject {
  const key = Buffer.concat([PKCS8_ED25519, Buffer.alloc(32, byte)]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function keyOf(writer: string): Buffer {
  return createHmac('sha256', MASTER_KEY).update(`custodia ledger writer\nT-CN\n${writer}`).digest();
}

const bare = {
  v: 1,
  log: 'T-CN',
  incarnation: 1,
  outcome: 'success',
  code: null,
  actor: null,
  role: null,
  session: null,
  purpose: null,
  document: null,
  policy: null,
  rules: [],
  reason: false,
  accesses: [],
};

/** START, the registration of a second writer, a list of two patients with sealed details, and a number closed by VOID. */
function records(): Buffer[] {
  const [first, second] = WRITERS;
  const commitments = WRITERS.map((writer) => new MacKey(keyOf(writer)).commitment);
  const start = { operation: 'ledger.start', origin: ORIGIN, suite: 'sha256-ed25519', commitment: commitments[0] };
  const subjects = ['0b8e6f1d2c3a4b5c6d7e8f9001122334', 'a1b2c3d4e5f60718293a4b5c6d7e8f90'];
  const list = [
    {
      ...bare,
      ...start,
      kind: 'START',
      writer: first,
      number: 1,
      time: '2026-03-01T08:00:00.000Z',
      request: '0195507c-8c00-7000-8000-000000000001',
    },
    {
      ...bare,
      kind: 'WRITER',
      operation: 'ledger.writer',
      commitment: commitments[1],
      writer: second,
      number: 1,
      time: '2026-03-01T08:00:01.250Z',
      request: '0195507c-90e2-7000-8000-000000000004',
    },
    {
      ...bare,
      kind: 'READ',
      operation: 'patients',
      writer: first,
      number: 3,
      time: '2026-03-01T08:00:07.412Z',
      request: '0195507c-a8f4-7000-8000-000000000002',
      actor: '6d1f0c5e8b2a49738e4f1d0b7c6a5e92',
      role: 'marketer',
      session: '0195507c-9a00-7000-8000-00000000000a',
      purpose: 'HMARKT',
      reason: true,
      document: hex(createHash('sha256').update('{patients{name phone}}').digest()),
      policy: '5b3a02e57af9b55aae545b599baa6a6798a364d8d2798a38536249f77e30fe5f',
      decision: '0195507c-a8f5-7000-8000-000000000005',
      acr: 'pwd+otp',
      consents: ['HMARKT'],
      obligations: ['reason'],
      rules: ['marketer-hmarkt'],
      accesses: [
        { type: 'Patient', rows: 2, fields: { name: 'MASKED', phone: 'MASKED' }, subjects },
        { type: 'Diagnosis', rows: 0, fields: { code: 'HIDDEN' }, subjects: [] },
      ],
      sealed: { key: 'tenant', sha256: hex(sha256(DETAIL)) },
    },
    {
      ...bare,
      kind: 'VOID',
      operation: 'createPatient',
      outcome: 'failed',
      code: 'INTERNAL_SERVER_ERROR',
      writer: first,
      number: 2,
      time: '2026-03-01T08:00:07.655Z',
      request: '0195507c-a5d8-7000-8000-000000000003',
      actor: 'c0ffee00112233445566778899aabbcc',
      role: 'front_desk',
      session: '0195507c-9b00-7000-8000-00000000000b',
      purpose: 'PATADMIN',
    },
  ];
  return list.map((record) => Buffer.from(canonicalize(record)));
}

/** The worked example of FORMAT.md: its text from "## 8." on, and the files of the log in it. */
export function workedExample(): { text: string; log: Files; vkeys: string[]; proof: string; records: Buffer[] } {
  const bytes = records();
  const entries: Buffer[] = [];
  const leaves: Buffer[] = [];
  const tree = new CompactRange();
  for (const record of bytes) {
    entries.push(encodeEntry(leaves.at(-1) ?? ZERO_LEAF, record));
    leaves.push(leafHash(entries.at(-1)!));
    tree.append(leaves.at(-1)!);
  }
  const size = entries.length;
  const macs = bytes.map((record) => {
    const { writer } = JSON.parse(record.toString()) as { writer: string };
    return createHmac('sha256', keyOf(writer)).update(record).digest();
  });
  const details = bytes.map((_, index) => (index === 2 ? DETAIL : null));
  const [signer, witness] = [privateKey(7), privateKey(9)];
  const checkpoint = checkpointText({ origin: ORIGIN, size, root: tree.root() });
  const signed = signNote(checkpoint, { name: ORIGIN, privateKey: signer });
  const note = signed + cosign(checkpoint, { name: WITNESS, privateKey: witness }, COSIGNED_AT);
  const vkeys = [vkey(ORIGIN, signer), witnessVkey(WITNESS, witness)];
  const writerKeys = WRITERS.map((writer) => `${writer} ${hex(keyOf(writer))}\n`).join('');
  const proof = formatProof({ index: 2, extra: leaves[1]!, hashes: inclusionProof(leaves, 2, size), note });
  const files: [string, Uint8Array][] = [
    [`tile/0/000.p/${size}`, tilesOf(leaves).get(`tile/0/000.p/${size}`)!],
    [`tile/entries/000.p/${size}`, encodeBundle(entries)],
    [`mac/000.p/${size}`, Buffer.concat(macs)],
    [`detail/000.p/${size}`, encodeDetails(details)],
  ];
  const block = (title: string, lines: string, language = '') =>
    `${title}:\n\n\`\`\`${language}\n${lines.trimEnd()}\n\`\`\`\n`;
  const eachHex = (items: readonly Uint8Array[]) => items.map(hex).join('\n');
  const upper = nodeHash(leaves[0]!, leaves[1]!);
  const lower = nodeHash(leaves[2]!, leaves[3]!);
  const text = [
    '## 8. Worked example\n',
    `The log \`${ORIGIN}\` with four entries: START, the registration of a second writer, a list of two patients with ` +
      'sealed details, and a number that was rolled back. The private key of the log is the 32-byte seed `07…07`, that ' +
      'of the witness `09…09`, the master key of the MACs `0b…0b`. All of them are for this example only.\n',
    block('Records, one a line', bytes.join('\n'), 'json'),
    block('Record hashes', eachHex(bytes.map((record) => sha256(record)))),
    block('Keys of the writers (`writer.keys`)', writerKeys),
    block('MACs', eachHex(macs)),
    block('Sealed details of the third record', hex(DETAIL)),
    block('Leaves', eachHex(leaves)),
    block('Tree', `node(0,1)  ${hex(upper)}\nnode(2,3)  ${hex(lower)}\nroot       ${hex(tree.root())}`),
    block('Keys of the log and of the witness', vkeys.join('\n')),
    block(`Checkpoint, cosigned at ${COSIGNED_AT}`, note),
    block('Proof of the third record', proof),
    block('Consistency proof from 3 entries to 4', eachHex(consistencyProof(leaves, 3, size))),
    block('Files', files.map(([path, file]) => `${hex(sha256(file))}  ${path}  ${file.length} bytes`).join('\n')),
  ].join('\n');
  return {
    text,
    log: { entries, leaves, macs, details, note, vkey: vkeys[0]!, writerKeys },
    vkeys,
    proof,
    records: bytes,
  };
}
