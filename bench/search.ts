import { randomInt } from 'node:crypto';
import pg from 'pg';
import { Refusal } from '../src/config/refusal.js';
import { readingOf } from '../src/domain/patient/name-form.js';
import { post, signIn } from './client.js';
import { seedSealed } from './export-seed.js';
import type { Installation } from './installation.js';
import { mulberry32, syntheticPatient, type SyntheticPatient } from './patients.js';
import { median, print, rounded, type Pace } from './rounds.js';

const TENANT = 'T-CN';
const ROLE = 'front_desk';
const PURPOSE = 'PATADMIN';
const ASKED = 100;
/** Uses that the limits of the shipped policies leave in a window. */
const [SEARCHES_AT_ONCE, LOOKUPS_AT_ONCE] = [100, 5];
const WANTED = { lookup: 5, search: 50, bytes: 250 } as const;
const SEARCH = 'query($input: PatientSearchInput!) { searchPatients(input: $input) { id name } }';
const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name } }';
const PEER_BATCH = 10_000;

const SURNAMES = [
  ...'王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金',
];
const GIVEN = [
  ...'伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉建国春梅红志海峰雪晓小雨宇轩子涵梓浩然欣怡佳琪思诗婷俊博雅萱晨阳天乐一诺语嘉',
];
const SYLLABLES = 'ma ri jo na el la be ka to mi sa le ro vi da ne li an co te'.split(' ');

/** How a searched text is made of a patient, and how the peer finds it. */
const KINDS: Readonly<Record<string, { readonly text: (name: string) => string | null; readonly column: string }>> = {
  'two characters': { text: (name) => (isChinese(name) ? [...name].slice(0, 2).join('') : null), column: 'name' },
  'pinyin in full': { text: (name) => readingOf([...name])?.full ?? null, column: 'pinyin' },
  initials: { text: (name) => readingOf([...name])?.initials ?? null, column: 'initials' },
  'beginning of a word': { text: (name) => (isChinese(name) ? null : lastName(name).slice(0, 4)), column: 'last_name' },
};

/**
 * Exact lookups and searches by name through the API, with policy, masks, opened candidates and a record each, against LIKE over
 * columns in clear with B-trees. The ratio is how much longer the peer's median is than ours, over the kinds of searches.
 */
export async function searching(installation: Installation, patients: number, _pace: Pace): Promise<number> {
  await (await installation.startGoverned()).stop();
  const started = performance.now();
  await seedSealed(installation, TENANT, patients, namedPatient);
  await seedPeer(installation.peerUrl, patients);
  await installation.settle();
  console.log(`${patients} patients in ${rounded((performance.now() - started) / 1000)} s`);
  const peer = new pg.Client({ connectionString: installation.peerUrl });
  await peer.connect();
  try {
    const bytes = await indexBytes(installation);
    console.log(`indexes: ${rounded(bytes)} bytes a patient (wanted: ${WANTED.bytes})`);
    const server = await installation.startGoverned();
    const headers = await signIn(server.port, installation.account(TENANT, ROLE), PURPOSE);
    const ask = async (query: string, input: object): Promise<number> => {
      const body = JSON.stringify({ query, variables: { input } });
      const start = performance.now();
      const answer = await post(server.port, headers, body);
      const milliseconds = performance.now() - start;
      if (answer.errors !== undefined) throw new Refusal(`A search failed: ${answer.errors[0]?.message}`);
      return milliseconds;
    };
    print(['kind', 'p50 ms', 'p95 ms', 'peer p50', 'peer p95']);
    const ratios: number[] = [];
    for (const [kind, { text, column }] of Object.entries(KINDS)) {
      const texts = sampled(patients, text);
      const ours = await measured(installation, texts, SEARCHES_AT_ONCE, (name) => ask(SEARCH, { name }));
      const theirs = await measured(installation, texts, ASKED, (prefix) => ofPeer(peer, column, prefix));
      ratios.push(median(theirs) / median(ours));
      print([kind, ...[median(ours), ninetyFifth(ours), median(theirs), ninetyFifth(theirs)].map(rounded)]);
    }
    const phones = sampledPatients(patients).map(({ phone }) => phone);
    const ours = await measured(installation, phones, LOOKUPS_AT_ONCE, (phone) => ask(LOOKUP, { phone }));
    print(['lookup', rounded(median(ours)), rounded(ninetyFifth(ours)), '', '']);
    console.log(`wanted: 95 of 100 searches within ${WANTED.search} ms, lookups within ${WANTED.lookup} ms`);
    return median(ratios);
  } finally {
    await peer.end();
  }
}

/** The patient of this number under a name as common as names are: the first of a list many times as often as the last. */
function namedPatient(index: number): SyntheticPatient {
  const random = mulberry32(index + 77);
  const common = (list: readonly string[]) => list[Math.floor(random() ** 2 * list.length)] ?? '';
  const word = (syllables: number) => {
    const letters = Array.from({ length: syllables }, () => common(SYLLABLES)).join('');
    return letters.charAt(0).toUpperCase() + letters.slice(1);
  };
  const name =
    index % 2 === 0
      ? common(SURNAMES) + common(GIVEN) + common(GIVEN)
      : `${word(2)} ${word(2 + Math.floor(random() * 2))}`;
  const digits = Array.from({ length: 9 }, () => Math.floor(random() * 10)).join('');
  return { ...syntheticPatient(index), name, phone: `13${digits}` };
}

function sampledPatients(patients: number): SyntheticPatient[] {
  return Array.from({ length: ASKED }, () => namedPatient(randomInt(patients)));
}

function sampled(patients: number, text: (name: string) => string | null): string[] {
  const texts: string[] = [];
  while (texts.length < ASKED) {
    const made = text(namedPatient(randomInt(patients)).name);
    if (made !== null) texts.push(made);
  }
  return texts;
}

async function measured(
  installation: Installation,
  texts: readonly string[],
  atOnce: number,
  ask: (text: string) => Promise<number>,
): Promise<number[]> {
  const times: number[] = [];
  for (const text of texts.slice(0, 10)) await ask(text).catch(() => 0);
  for (const [index, text] of texts.entries()) {
    if (index % atOnce === 0) await installation.alter('DELETE FROM rate_limit');
    times.push(await ask(text));
  }
  return times;
}

async function ofPeer(peer: pg.Client, column: string, prefix: string): Promise<number> {
  const start = performance.now();
  await peer.query({
    name: `search by ${column}`,
    text: `SELECT id, name FROM clear_patient WHERE ${column} LIKE $1 ORDER BY id DESC LIMIT 20`,
    values: [`${prefix}%`],
  });
  return performance.now() - start;
}

/** All that is stored so that patients can be found: the columns with their B-trees, and the tokens with theirs. */
async function indexBytes(installation: Installation): Promise<number> {
  const [row] = await installation.look<{ bytes: number }>(
    `SELECT ((SELECT pg_total_relation_size('search_token') + sum(pg_relation_size(indexrelid)) FROM pg_index
       WHERE indrelid = 'patient'::regclass AND indexrelid::regclass::text ~ '(phone|national_id)_index')
       / (SELECT count(*) FROM patient)
       + (SELECT avg(pg_column_size(phone_index) + pg_column_size(national_id_index) + 4) FROM patient))::float AS bytes`,
  );
  return row?.bytes ?? 0;
}

async function seedPeer(url: string, patients: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      'CREATE TABLE clear_patient (id uuid PRIMARY KEY DEFAULT uuidv7(), name text, last_name text, pinyin text, initials text, phone text)',
    );
    for (let from = 0; from < patients; from += PEER_BATCH) {
      const size = Math.min(PEER_BATCH, patients - from);
      const rows = Array.from({ length: size }, (_, at) => {
        const { name, phone } = namedPatient(from + at);
        const reading = isChinese(name) ? readingOf([...name]) : null;
        return [name, lastName(name), reading?.full ?? null, reading?.initials ?? null, phone];
      });
      await client.query(
        'INSERT INTO clear_patient (name, last_name, pinyin, initials, phone) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])',
        [0, 1, 2, 3, 4].map((at) => rows.map((row) => row[at])),
      );
    }
    for (const column of ['name', 'last_name', 'pinyin', 'initials', 'phone'])
      await client.query(`CREATE INDEX ON clear_patient (${column} text_pattern_ops)`);
  } finally {
    await client.end();
  }
}

function isChinese(name: string): boolean {
  return /^\p{Script=Han}+$/u.test(name);
}

function lastName(name: string): string {
  return name.split(' ').at(-1) ?? name;
}

function ninetyFifth(times: readonly number[]): number {
  return times.toSorted((left, right) => left - right)[Math.floor(times.length * 0.95)] ?? 0;
}
