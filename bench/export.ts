import { stringify } from 'csv-stringify/sync';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Refusal } from '../src/config/refusal.js';
import { totpCode } from '../src/identity/totp.js';
import { post, signIn } from './client.js';
import { seedSealed } from './export-seed.js';
import type { Installation } from './installation.js';
import { print, rounded, type Pace } from './rounds.js';
import { seedPeer } from './seed.js';
import type { MeasuredServer } from './server.js';

const TENANT = 'T-CN';
const ROLE = 'privacy_officer';
const INPUT = { type: 'PATIENTS', format: 'CSV' };
const PEER_PAGE = 1_000;

interface Exported {
  readonly rows: number;
  readonly seconds: number;
  readonly bytes: number;
}

/**
 * One export of every patient, from the request that the second factor allowed to READY: pages of 150 under the policy, a
 * record for each, keys unwrapped and values opened, a sealed file. Against what a team would write by hand: keyset pages
 * of 1,000 rows in clear, to a plain CSV file.
 */
export async function exporting(installation: Installation, patients: number, _pace: Pace): Promise<number> {
  await seedPeer(installation.peerUrl, patients);
  await (await installation.startGoverned()).stop();
  await seedSealed(installation, TENANT, patients);
  await installation.settle();
  const server = await installation.startGoverned();
  const before = residentPeak(server.pid);
  const [processor, database] = [await server.processorTime(), installation.databaseTime()];
  const ours = await governed(installation, server);
  const used = [(await server.processorTime()) - processor, installation.databaseTime() - database] as const;
  const peak = residentPeak(server.pid);
  const theirs = await bare(installation, patients);
  if (ours.rows < patients || theirs.rows !== patients) throw new Refusal('An export has not all rows.');
  print(['rows', 'export', 'seconds', 'rows/s', 'MB']);
  for (const [name, { rows, seconds, bytes }] of [['governed', ours] as const, ['bare', theirs] as const]) {
    print([String(rows), name, rounded(seconds), rounded(rows / seconds), rounded(bytes / 1e6)]);
  }
  const [own, ofDatabase] = used.map((milliseconds) => rounded((milliseconds * 1000) / ours.rows));
  console.log(`processor time for one row, download included: ${own} µs of the server, ${ofDatabase} µs of PostgreSQL`);
  console.log(`peak resident memory of the server: ${rounded(peak)} MB (${rounded(before)} MB before the export)`);
  return ours.rows / ours.seconds / (theirs.rows / theirs.seconds);
}

async function governed(installation: Installation, server: MeasuredServer): Promise<Exported> {
  const headers = await signIn(server.port, installation.account(TENANT, ROLE), 'PATRQT');
  const ask = async (query: string, variables: object) => {
    const answer = await post(server.port, headers, JSON.stringify({ query, variables }));
    return answer as {
      data?: Record<string, Record<string, unknown>>;
      errors?: { extensions: Record<string, never> }[];
    };
  };
  const request = 'mutation($input: RequestExportInput!) { requestExport(input: $input) { id } }';
  const refused = await ask(request, { input: INPUT });
  const { id: challengeId } = refused.errors?.[0]?.extensions['challenge'] ?? { id: '' };
  const code = totpCode(installation.totpSecret(TENANT, ROLE), Date.now());
  await ask('mutation($input: SatisfyChallengeInput!) { satisfyChallenge(input: $input) }', {
    input: { id: challengeId, code },
  });
  const start = performance.now();
  const asked = await ask(request, { input: { ...INPUT, challengeId } });
  const id = asked.data?.['requestExport']?.['id'];
  if (id === undefined) throw new Refusal(`The export was refused: ${JSON.stringify(asked.errors)}`);
  let job: Record<string, unknown> | undefined;
  while (job?.['status'] !== 'READY') {
    await pause(250);
    job = (await ask('query($id: ID!) { exportJob(id: $id) { status sha256 rowCount downloadUrl } }', { id })).data?.[
      'exportJob'
    ];
    if (job?.['status'] === 'FAILED') throw new Refusal('The export failed.');
  }
  const seconds = (performance.now() - start) / 1000;
  const fetching = performance.now();
  const response = await fetch(`http://127.0.0.1:${server.port}${job['downloadUrl']}`, { headers });
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (hash.digest('hex') !== job['sha256']) throw new Refusal('The download is not what the record says.');
  console.log(`download: ${rounded(bytes / 1e3 / (performance.now() - fetching))} MB/s`);
  return { rows: Number(job['rowCount']), seconds, bytes };
}

async function bare(installation: Installation, patients: number): Promise<Exported> {
  const client = new pg.Client({ connectionString: installation.peerUrl });
  await client.connect();
  const file = await open(path.join(installation.directory, 'bare.csv'), 'w');
  const start = performance.now();
  let [rows, bytes] = [0, 0];
  try {
    for (let after: unknown[] = []; rows < patients;) {
      const first = after.length === 0;
      const page: pg.QueryResult<Record<string, unknown>> = await client.query({
        text:
          `SELECT * FROM patient ${first ? '' : 'WHERE (created_at, id) < ($1, $2)'} ` +
          `ORDER BY created_at DESC, id DESC LIMIT ${PEER_PAGE}`,
        values: after,
      });
      const text = stringify(page.rows, { header: first, record_delimiter: '\r\n' });
      bytes += (await file.write(text)).bytesWritten;
      rows += page.rows.length;
      const last = page.rows.at(-1);
      if (last === undefined) break;
      after = [last['created_at'], last['id']];
    }
    await file.sync();
    return { rows, seconds: (performance.now() - start) / 1000, bytes };
  } finally {
    await file.close();
    await client.end();
  }
}

/** Peak resident memory of a process in MB (proc_pid_status(5), VmHWM); NaN where there is no /proc. */
function residentPeak(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}
