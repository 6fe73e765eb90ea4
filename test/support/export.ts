import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { totpCode } from '../../src/identity/totp.js';
import type { Role } from '../../src/kernel/actor.js';
import type { ManualClock } from '../../src/kernel/clock.js';
import type { Answer, Loose, TestSystem } from './system.js';

export const REQUEST =
  'mutation($input: RequestExportInput!) { requestExport(input: $input) { id status rowCount sha256 downloadUrl progress } }';
export const JOB = 'query($id: ID!) { exportJob(id: $id) { id status rowCount sha256 downloadUrl progress } }';
export const CANCEL = 'mutation($id: ID!) { cancelExport(id: $id) { id status } }';
export const SATISFY = 'mutation($input: SatisfyChallengeInput!) { satisfyChallenge(input: $input) }';
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';

/** Somebody who exports, with an authenticator. The clock is moved by a window for every code. */
export class Exporter {
  token = '';

  constructor(
    readonly system: TestSystem,
    private readonly clock: ManualClock,
    readonly role: Role = 'privacy_officer',
    readonly tenant = 'T-CN',
  ) {}

  get user() {
    const user = this.system.demo.users.find((one) => one.role === this.role && one.tenant === this.tenant);
    if (user === undefined) throw new Error(`There is no ${this.role}.`);
    return user;
  }

  async signIn(): Promise<this> {
    const { tenant, email, password } = this.user;
    const answer = await this.system.send(SIGN_IN, { variables: { input: { tenant, email, password } } });
    this.token = String(answer.data['signIn'].accessToken);
    return this;
  }

  ask(document: string, variables: Record<string, unknown> = {}): Promise<Answer> {
    return this.system.send(document, { purpose: 'PATRQT', token: this.token, variables });
  }

  /** The code that the authenticator shows in a window of its own. */
  code(): string {
    this.clock.advance(30_000);
    return totpCode(this.user.totpSecret ?? '', this.clock.milliseconds());
  }

  /** A satisfied challenge for this very request. */
  async challenge(input: Loose): Promise<string> {
    await this.signIn();
    const refused = await this.ask(REQUEST, { input });
    const id = String(refused.errors[0]?.extensions['challenge']?.id);
    const satisfied = await this.ask(SATISFY, { input: { id, code: this.code() } });
    if (satisfied.data['satisfyChallenge'] !== true) throw new Error(`Not satisfied: ${satisfied.text}`);
    return id;
  }

  /** Asks for an export and gives the second factor. @returns the id of the job */
  async request(input: Loose = {}): Promise<string> {
    const whole = { type: 'PATIENTS', format: 'NDJSON', ...input };
    const challengeId = await this.challenge(whole);
    const answer = await this.ask(REQUEST, { input: { ...whole, challengeId } });
    if (answer.errors.length > 0) throw new Error(answer.text);
    return String(answer.data['requestExport'].id);
  }

  async job(id: string): Promise<Loose> {
    return (await this.ask(JOB, { id })).data['exportJob'] as Loose;
  }

  /** The job once it is in one of these states. */
  async until(id: string, ...states: string[]): Promise<Loose> {
    for (let waited = 0; waited < 30_000; waited += 50) {
      const job = await this.job(id);
      if (states.includes(String(job['status']))) return job;
      await pause(50);
    }
    throw new Error(`The export is not ${states.join(' or ')}: ${JSON.stringify(await this.job(id))}`);
  }

  download(id: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
    const authorization = `Bearer ${this.token}`;
    return fetch(new URL(`/exports/${id}`, this.system.endpoint), { method, headers: { authorization, ...headers } });
  }
}

/** The rows of a CSV text by RFC 4180, cells as they stand. */
export function rowsOfCsv(text: string): string[][] {
  const rows: string[][] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy;
  const row: string[] = [];
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (match === null) throw new Error('This is no CSV.');
    row.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] !== ',') rows.push(row.splice(0));
  }
  return rows;
}

/** Every file below a directory, by its path. */
export function filesBelow(directory: string): Map<string, Buffer> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [file, readFileSync(file)]));
}
