import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { readConfiguration } from '../../src/config/configuration.js';
import { runCommand } from '../support/process.js';

interface Service {
  readonly image: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck: { readonly test: readonly string[] };
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly secrets: readonly string[];
  readonly configs: readonly { readonly source: string; readonly target: string }[];
  readonly volumes: readonly string[];
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
}
interface Deployment {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly configs: Readonly<Record<string, { readonly content?: string; readonly file?: string }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

const root = path.resolve(import.meta.dirname, '..', '..');
const text = (name: string) => readFileSync(path.join(root, name), 'utf8');
const temporary = () => mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'shipping-'));
const deployment = parse(text('docker-compose.yml'), { merge: true }) as Deployment;
const services = Object.entries(deployment.services);
const apis = services.filter(([name]) => name.startsWith('api-')).map(([, service]) => service);
const dockerfile = text('Dockerfile');
const instructions = dockerfile
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line));
const stages = dockerfile.split(/^(?=FROM )/m).slice(1);

describe('docker-compose.yml', () => {
  it.each(services)('%s: a pinned image, a user without rights, a read-only root, a health check', (_, service) => {
    expect(service.image).toMatch(/^[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)*$/);
    expect(['root', '0', '0:0', undefined]).not.toContain(service.user);
    expect([service.read_only, service.cap_drop, service.security_opt]).toEqual([
      true,
      ['ALL'],
      ['no-new-privileges:true'],
    ]);
    expect(service.healthcheck.test[0]).toBe('CMD');
  });

  it('has two API processes that differ in nothing but their port, on the same keys and checkpoints', () => {
    expect(apis).toHaveLength(2);
    const [first, second] = apis.map(({ ports, ...rest }) => ({ ports, rest }));
    expect(first?.rest).toEqual(second?.rest);
    expect(first?.ports).not.toEqual(second?.ports);
    for (const { ports } of apis) expect(ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+:4000$/)]);
  });

  it('takes secrets from files alone: none is in a variable, and each is named in the list of secrets', () => {
    for (const [, service] of services) {
      for (const [name, value] of Object.entries(service.environment)) {
        if (/PASSWORD|SECRET|TOKEN|DATABASE_URL|_KEY$/.test(name)) expect(name).toMatch(/_FILE$/);
        expect(value).not.toMatch(/:\/\/[^/]*:[^/]*@/);
        const mounted = /^\/run\/secrets\/(.*)$/.exec(value)?.[1];
        if (mounted !== undefined) expect(service.secrets).toContain(mounted);
      }
      for (const secret of service.secrets) expect(deployment.secrets[secret]?.file).toMatch(/^\.\/secrets\//);
    }
    expect(text('.gitignore').split('\n')).toContain('secrets/');
  });

  it('keeps the database where only the API reaches it', () => {
    const database = deployment.services['database'];
    expect(database?.ports).toBeUndefined();
    expect(database?.networks).toEqual(['back']);
    expect(deployment.networks['back']?.internal).toBe(true);
  });

  it('gives the API a configuration that the production profile accepts', () => {
    const file = path.join(temporary(), 'database-url');
    writeFileSync(file, 'postgresql://custodia_owner:0123456789abcdef01234567@database:5432/custodia');
    const image = Object.fromEntries(
      [...dockerfile.matchAll(/^(?:ENV| {3}) (\w+)=(\S+)/gm)].map(([, name, value]) => [name, value]),
    );
    const set = { ...apis[0]?.environment, CUSTODIA_ORIGIN: 'crm.hospital.example', CUSTODIA_CORS_ORIGINS: '' };
    const configuration = readConfiguration({ ...image, ...set, DATABASE_URL_FILE: file });
    expect(configuration).toMatchObject({ profile: 'production', host: '0.0.0.0', port: 4000 });
    expect(apis[0]?.configs).toEqual([{ source: 'trusted-documents', target: configuration.trustedDocuments }]);
    expect(deployment.configs['trusted-documents']?.file).toBe('./trusted-documents.json');
    const { dataDirectory, keyDirectory, checkpointDirectory } = configuration;
    const mounted = apis[0]?.volumes.map((volume) => volume.split(':')[1]);
    expect(mounted).toEqual([dataDirectory, keyDirectory, checkpointDirectory]);
    for (const directory of mounted ?? []) expect(stages[1]).toContain(`${directory}`);
  });

  it('makes the owner with the password of the URL, and nobody when the URL has none that fits', () => {
    const directory = temporary();
    const secret = path.join(directory, 'database-url');
    const script = (deployment.configs['make-owner']?.content ?? '')
      .replaceAll('$$', '$')
      .replaceAll('/run/secrets/database-url', secret);
    writeFileSync(path.join(directory, 'make-owner.sh'), script);
    mkdirSync(path.join(directory, 'bin'));
    writeFileSync(path.join(directory, 'bin', 'psql'), '#!/bin/sh\necho "$OWNER_PASSWORD" "$@"\ncat\n');
    chmodSync(path.join(directory, 'bin', 'psql'), 0o755);
    const run = (url: string) => {
      writeFileSync(secret, url);
      const environment = { PATH: `${path.join(directory, 'bin')}:${process.env.PATH}` };
      return spawnSync('sh', [path.join(directory, 'make-owner.sh')], { encoding: 'utf8', env: environment });
    };
    const { status, stdout } = run('postgresql://custodia_owner:0123456789abcdef01234567@database:5432/custodia');
    expect([status, stdout.split('\n')[0]]).toEqual([
      0,
      '0123456789abcdef01234567 --set=ON_ERROR_STOP=1 --username=postgres',
    ]);
    expect(stdout).toContain("CREATE ROLE custodia_owner LOGIN CREATEROLE PASSWORD :'password';");
    for (const url of [
      '',
      'postgresql://custodia_owner:short@database/custodia',
      "postgresql://custodia_owner:o'@d/c",
    ]) {
      const refused = run(url);
      expect([refused.status === 0, refused.stdout]).toEqual([false, '']);
    }
  });

  it('is what the compose tool accepts, where one is installed', () => {
    const tools = [['docker', 'compose'] as const, ['docker-compose'] as const];
    const tool = tools.find(([program, ...words]) => spawnSync(program, [...words, 'version']).status === 0);
    if (tool === undefined) return;
    const [program, ...words] = tool;
    const env = { ...process.env, ORIGIN: 'crm.hospital.example' };
    const { status, stderr } = spawnSync(program, [...words, '-f', 'docker-compose.yml', 'config', '--quiet'], {
      cwd: root,
      encoding: 'utf8',
      env,
    });
    expect([status, stderr]).toEqual([0, '']);
  });
});

describe('Dockerfile', () => {
  it('ends in a stage of a pinned image with a user without rights, a health check and no shell in between', () => {
    for (const stage of stages) expect(stage).toMatch(/^FROM node:\d+\.\d+\.\d+-[a-z-]+( AS build)?\n/);
    const runtime = JSON.parse(text('package.json')) as { dependencies: Record<string, string> };
    for (const stage of stages) expect(stage).toContain(`FROM node:${runtime.dependencies['node']}-`);
    expect(stages[1]).toMatch(/^USER 1000:1000$/m);
    expect(stages[1]).toMatch(/^HEALTHCHECK [^\n]*\\\n {2}CMD \["node", "-e", ".*\/readyz.*"\]$/m);
    expect(stages[1]).toMatch(/^CMD \["node", "--enable-source-maps", .*"dist\/src\/cli\/start\.js"\]$/m);
    expect(existsSync(path.join(root, 'src/cli/start.ts'))).toBe(true);
  });

  it('copies what exists and what the build context lets through, and everything the compiler is told to read', () => {
    const copied = instructions
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1));
    const allowed = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect([...copied].sort()).toEqual([...allowed].sort());
    for (const name of copied) expect(existsSync(path.join(root, name))).toBe(true);
    expect(text('.dockerignore').split('\n')).toContain('*');
    for (const room of ['src', 'audit', 'migrations']) expect(copied).toContain(room);
  });

  it('sets no secret and fetches nothing but packages', () => {
    for (const line of instructions) {
      expect(line).not.toMatch(/^(ADD|ARG) |PASSWORD|SECRET|curl|wget|https?:\/\/(?!127\.0\.0\.1)/);
    }
  });
});

describe('the software bill of materials', () => {
  it('is CycloneDX and names every package that ships at its locked version, and none that does not', async () => {
    const file = path.join(temporary(), 'bill.json');
    const { code, stdout, stderr } = await runCommand(temporary(), 'sbom', [file]);
    expect([code, stderr]).toEqual([0, '']);
    const bill = JSON.parse(readFileSync(file, 'utf8')) as {
      bomFormat: string;
      specVersion: string;
      metadata: { component: { name: string; version: string } };
      components: { name: string; version: string; purl: string; hashes?: unknown[] }[];
    };
    expect(stdout).toBe(`${bill.components.length} components\n`);
    expect([bill.bomFormat, bill.specVersion]).toEqual(['CycloneDX', expect.stringMatching(/^1\.\d$/)]);
    const own = JSON.parse(text('package.json')) as Record<string, Record<string, string>> & { name: string };
    expect(bill.metadata.component.name).toBe(own.name);
    const named = new Set(bill.components.map(({ name, version }) => `${name}@${version}`));
    for (const [name, version] of Object.entries(own['dependencies'] ?? {}))
      expect(named).toContain(`${name}@${version}`);
    for (const name of ['jest', 'prettier', 'oxlint', 'playwright-core']) {
      expect(bill.components.map((one) => one.name)).not.toContain(name);
    }
    for (const { purl } of bill.components) expect(purl).toMatch(/^pkg:npm\//);
  });
});
