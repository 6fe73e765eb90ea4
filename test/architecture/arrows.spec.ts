import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const project = path.resolve(import.meta.dirname, '..', '..');

/** One file each with an import that must be refused: [file, what it imports, the rule that refuses it]. */
const PLANTED = [
  ['src/kernel/planted-a.ts', '../config/refusal.js', 'arrows-kernel'],
  ['src/kernel/planted-b.ts', 'pg', 'kernel-node-only'],
  ['src/config/planted-a.ts', '../persistence/statement.js', 'arrows-config'],
  ['src/persistence/planted-a.ts', '../vault/planted-target.js', 'arrows-persistence'],
  ['src/telemetry/planted-a.ts', '../operation/planted-target.js', 'arrows-telemetry'],
  ['src/identity/planted-a.ts', '../vault/planted-target.js', 'arrows-identity'],
  ['src/vault/planted-a.ts', '../policy/planted-target.js', 'arrows-vault'],
  ['src/policy/planted-a.ts', '../ledger/planted-target.js', 'arrows-policy'],
  ['src/ledger/planted-a.ts', '../operation/planted-target.js', 'arrows-ledger'],
  ['src/operation/planted-a.ts', '../domain/patient/patient.js', 'arrows-operation'],
  ['src/domain/visit/planted-a.ts', '../../ledger/planted-target.js', 'arrows-domain'],
  ['src/domain/visit/planted-b.ts', '../patient/planted-target.js', 'noun-of-another-folder'],
  ['src/interop/planted-a.ts', '../vault/planted-target.js', 'arrows-interop'],
  ['src/interop/planted-b.ts', '../api/planted-target.js', 'arrows-interop'],
  ['src/api/planted-a.ts', '../vault/planted-target.js', 'arrows-api'],
  ['src/api/planted-b.ts', '../policy/planted-target.js', 'policy-types-only'],
  ['src/api/planted-c.ts', '../ledger/writer.js', 'ledger-read-side-only'],
  ['src/api/planted-d.ts', '../persistence/statement.js', 'arrows-api'],
  ['src/jobs/planted-a.ts', '../api/planted-target.js', 'arrows-jobs'],
  ['src/demo/planted-a.ts', '../api/planted-target.js', 'arrows-demo'],
  ['src/cli/planted-a.ts', '../api/planted-target.js', 'arrows-cli'],
  ['src/operation/planted-b.ts', '../../test/support/planted-target.js', 'migrations-and-tests-are-imported-by-nobody'],
  ['src/domain/visit/planted-c.ts', '@casl/ability', 'only-importer-casl'],
  ['src/operation/planted-c.ts', '@casl/ability', 'only-importer-casl'],
  ['src/domain/visit/planted-d.ts', 'pg', 'only-importer-database'],
  ['src/api/planted-e.ts', '@mikro-orm/postgresql', 'only-importer-database'],
  ['src/vault/planted-b.ts', 'pino', 'only-importer-pino'],
  ['src/operation/planted-d.ts', 'jose', 'only-importer-sign-in'],
  ['audit/planted-a.mjs', 'pg', 'audit-node-only'],
  ['audit/planted-b.mjs', '../src/kernel/failure.js', 'audit-node-only'],
  ['src/common/planted-a.ts', '../kernel/failure.js', 'unknown-room'],
  ['src/vault/planted-c.ts', './planted-nowhere.js', 'resolvable'],
  ['src/vault/planted-d.ts', 'fast-check', 'ships-without-development-packages'],
  ['src/vault/planted-e.ts', './planted-f.js', 'no-cycle'],
] as const;
const TARGETS = ['vault', 'operation', 'policy', 'ledger', 'api', 'domain/patient'].map(
  (room) => `src/${room}/planted-target.ts`,
);

let copy: string;
let violations: { from: string; to: string; rule: { name: string } }[];

beforeAll(async () => {
  copy = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'arrows-'));
  for (const part of [
    'src',
    'audit',
    'migrations',
    'test',
    'package.json',
    'tsconfig.json',
    '.dependency-cruiser.cjs',
  ]) {
    cpSync(path.join(project, part), path.join(copy, part), { recursive: true });
  }
  symlinkSync(path.join(project, 'node_modules'), path.join(copy, 'node_modules'));
  for (const file of [...TARGETS, 'test/support/planted-target.ts']) plant(file, 'export const planted = 1;\n');
  plant('src/kernel/planted-orphan.ts', 'export const planted = 1;\n');
  plant('src/vault/planted-f.ts', `import * as planted from './planted-e.js';\nexport const use = planted;\n`);
  for (const [file, target] of PLANTED)
    plant(file, `import * as planted from '${target}';\nexport const use = planted;\n`);
  const cruiser = path.join(project, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs');
  const words = [cruiser, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src', 'audit', 'migrations'];
  const output = await promisify(execFile)(process.execPath, words, { cwd: copy, maxBuffer: 1 << 28 }).then(
    (ended) => ended.stdout,
    (ended: { stdout: string }) => ended.stdout,
  );
  violations = (JSON.parse(output) as { summary: { violations: typeof violations } }).summary.violations;
}, 120_000);
afterAll(() => rmSync(copy, { recursive: true, force: true }));

function plant(file: string, content: string): void {
  mkdirSync(path.dirname(path.join(copy, file)), { recursive: true });
  writeFileSync(path.join(copy, file), content);
}

describe('the arrows between the rooms', () => {
  it.each(PLANTED)('%s may not import %s (%s)', (file, _target, rule) => {
    expect(violations.filter((one) => one.from === file).map((one) => one.rule.name)).toContain(rule);
  });

  it('finds a file that nobody imports', () => {
    expect(violations.map((one) => `${one.rule.name} ${one.from}`)).toContain('no-orphan src/kernel/planted-orphan.ts');
  });

  it('finds nothing in what was not planted', () => {
    expect(
      violations
        .filter((one) => !/planted/.test(`${one.from} ${one.to}`))
        .map((one) => `${one.rule.name}: ${one.from} → ${one.to}`),
    ).toEqual([]);
  });
});
