import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const project = path.resolve(import.meta.dirname, '..', '..');

interface Rule {
  readonly name: string;
  /** Paths to which the rule applies and, of those, the ones excepted. */
  readonly where: RegExp;
  readonly except?: RegExp;
  readonly pattern: RegExp;
}

const SOURCE = /^(src|audit|migrations)\/.*\.(ts|mjs)$/;
const RULES: readonly Rule[] = [
  {
    name: 'environment',
    where: /^src\//,
    except: /^src\/config\/|^src\/cli\/launch\.mjs$/,
    pattern: /\bprocess\.env\b/,
  },
  { name: 'clock', where: /^src\//, except: /^src\/kernel\//, pattern: /\bnew Date\(\s*\)|\bDate\.now\b/ },
  { name: 'random id', where: /^src\//, except: /^src\/kernel\//, pattern: /\brandomUUID\b|\bMath\.random\b/ },
  { name: 'to do', where: SOURCE, pattern: /\b(TODO|FIXME|XXX)\b/ },
  {
    name: 'SQL',
    where: /^src\//,
    except: /^src\/(operation|ledger|persistence)\/|\.store\.ts$|^src\/policy\/(sql|where)\.ts$/,
    pattern: /['"`]\s*(SELECT\s[^'"`]+\sFROM|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+[\w"]+\s+SET)\b/,
  },
  {
    name: 'entity manager',
    where: /^src\//,
    except: /^src\/(operation|ledger|persistence)\/|\.store\.ts$/,
    pattern: /\bEntityManager\b|\bcreateQueryBuilder\b|\.em\./,
  },
];
const BAD_NAME = /(^|[/.-])(utils?|helpers?|common|shared|misc|lib|index)([/.-]|$)/;
const LONGEST = 300;
/** Made of other files by a command: nobody reads it. */
const GENERATED = 'audit/verifier.browser.mjs';

/** What a file breaks: names of rules. Comments do not count, except for what must not even be noted. */
function broken(file: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
  const rules = RULES.filter(
    (rule) =>
      rule.where.test(file) && !rule.except?.test(file) && rule.pattern.test(rule.name === 'to do' ? text : code),
  ).map((rule) => rule.name);
  if (SOURCE.test(file) && BAD_NAME.test(file.replace(/\.(ts|mjs)$/, ''))) rules.push('name');
  if (text.split('\n').length - 1 > LONGEST) rules.push('length');
  return rules;
}

const files = ['src', 'audit', 'migrations', 'test', 'bench'].flatMap((room) =>
  readdirSync(path.join(project, room), { recursive: true, encoding: 'utf8' })
    .map((name) => path.posix.join(room, name))
    .filter((name) => /\.(ts|mjs)$/.test(name)),
);

describe('what only certain rooms may say', () => {
  it('is said nowhere else', () => {
    const found = files
      .filter((file) => !file.endsWith('.spec.ts') && file !== GENERATED)
      .flatMap((file) =>
        broken(file, readFileSync(path.join(project, file), 'utf8')).map((rule) => `${rule}: ${file}`),
      );
    expect(found).toEqual([]);
    expect(files.length).toBeGreaterThan(50);
  });

  it.each([
    ['environment', 'src/vault/x.ts', 'const home = process.env.HOME;'],
    ['clock', 'src/domain/visit/x.ts', 'const now = new Date();'],
    ['clock', 'src/ledger/x.ts', 'const now = Date.now();'],
    ['random id', 'src/operation/x.ts', `import { randomUUID } from 'node:crypto';`],
    ['to do', 'migrations/x.ts', '// TODO later'],
    ['SQL', 'src/domain/visit/x.ts', 'const text = `SELECT id FROM visit`;'],
    ['SQL', 'src/api/x.ts', `const text = 'DELETE FROM visit';`],
    ['entity manager', 'src/api/x.ts', `import type { EntityManager } from '@mikro-orm/postgresql';`],
    ['name', 'src/policy/utils.ts', ''],
    ['name', 'src/common/clock.ts', ''],
    ['name', 'src/api/index.ts', ''],
    ['length', 'src/policy/x.ts', '\n'.repeat(301)],
  ])('%s is refused in %s', (rule, file, text) => {
    expect(broken(file, text)).toEqual([rule]);
  });

  it.each([
    ['src/config/x.ts', 'process.env.HOME'],
    ['src/kernel/x.ts', 'new Date(); Date.now(); randomUUID()'],
    ['src/ledger/x.ts', 'new Date(milliseconds)'],
    ['src/identity/identity.store.ts', '`SELECT id FROM account`'],
    ['src/api/x.ts', '/** No process.env and no new Date() here. */'],
    ['src/policy/x.ts', '\n'.repeat(300)],
  ])('%s may say: %s', (file, text) => {
    expect(broken(file, text)).toEqual([]);
  });
});
