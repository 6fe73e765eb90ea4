import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import '../domain/nouns.js';
import { registry } from '../kernel/attribute.js';
import { judge, loadCases } from '../policy/cases.js';
import { PolicyEngine } from '../policy/engine.js';
import { PolicyError } from '../policy/error.js';
import { PolicySource } from '../policy/source.js';
import { execute, type CommandInput } from './command.js';

const usage = `Usage: npm run policy -- validate | test [--directory D]

  validate     reads every policy file and says what is wrong, by file and line
  test         asks the policies every question of policies/cases and compares the answers; needs no database
  --directory  the policies (./policies)`;

/** The command line of the security team. Returns the exit code: 0 done, 1 something is wrong, 2 wrong use. */
export async function main(argv: string[]): Promise<number> {
  return execute({ usage, words: [1, 1], options: { directory: { type: 'string' } }, run }, argv);
}

async function run({ positionals, values }: CommandInput): Promise<boolean> {
  const directory = path.resolve(String(values['directory'] ?? 'policies'));
  try {
    const source = PolicySource.directory(directory);
    if (positionals[0] === 'validate') return validate(source);
    if (positionals[0] === 'test') return test(source);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.stdout.write(`${error.problems.length} problems\n`);
    return false;
  }
  throw new Refusal(usage, 2);
}

function validate(source: PolicySource): boolean {
  const engine = PolicyEngine.load(source, registry);
  process.stdout.write(`version ${engine.version}, hash ${engine.hash}\n${engine.files} policies valid\n`);
  return true;
}

function test(source: PolicySource): boolean {
  const engine = PolicyEngine.load(source, registry);
  const cases = loadCases(source, registry, engine);
  let failed = 0;
  for (const one of cases) {
    const differences = judge(one, engine);
    if (differences.length === 0) continue;
    failed += 1;
    const question = `${one.role}, ${one.purpose || 'no purpose'}, ${one.action} ${one.type}`;
    process.stdout.write(`failed ${one.place} (${question}): ${differences.join('; ')}\n`);
  }
  process.stdout.write(`${cases.length - failed} passed, ${failed} failed\n`);
  return failed === 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
