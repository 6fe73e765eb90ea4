import { Refusal } from '../config/refusal.js';
import '../domain/nouns.js';
import { PolicyError } from '../policy/error.js';
import { execute, type CommandInput } from './command.js';
import { diff } from './policy-diff.js';
import { matrix } from './policy-matrix.js';
import { coverage, invariants, mutate, test, validate } from './policy-proof.js';
import { explain, simulate } from './policy-question.js';
import { releaseVerbs } from './policy-release.js';
import { print, type Verb } from './policy-verb.js';

const VERBS: Readonly<Record<string, Verb>> = {
  validate,
  test,
  coverage,
  mutate,
  invariants,
  diff,
  explain,
  simulate,
  matrix,
  ...releaseVerbs,
};

const usages = Object.values(VERBS).map((verb) => verb.usage);
const usage =
  `Usage: ${usages.join('\n\n       ')}\n\n` +
  '  --directory is ./policies where it is not given. Exit code 0: done; 1: something is wrong, and what; 2: wrong use.';

/** The command line of the security team. Returns the exit code: 0 done, 1 something is wrong, 2 wrong use. */
export async function main(argv: string[]): Promise<number> {
  const options = Object.assign({}, ...Object.values(VERBS).map((verb) => verb.options)) as Verb['options'];
  return execute({ usage, words: [1, 2], options, run }, argv);
}

async function run(input: CommandInput): Promise<boolean> {
  const [name = '', ...words] = input.positionals;
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb === undefined) throw new Refusal(usage, 2);
  const foreign = Object.keys(input.values).find((option) => !Object.hasOwn(verb.options, option));
  if (foreign !== undefined || words.length !== (verb.words ?? 0)) throw new Refusal(`Usage: ${verb.usage}`, 2);
  try {
    return (await verb.run({ values: input.values, positionals: words })) !== false;
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    process.stderr.write(`${error.message}\n`);
    print(`${error.problems.length} problems`);
    return false;
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
