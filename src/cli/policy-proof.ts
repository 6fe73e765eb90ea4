import { Refusal } from '../config/refusal.js';
import { registry } from '../kernel/attribute.js';
import { residualsOf } from '../policy/derivability.js';
import { PolicyEngine } from '../policy/engine.js';
import {
  LEAST_SHARE,
  opened,
  prove,
  shareOf,
  type Finding,
  type ProofCounts,
  type ProofRun,
} from '../policy/proofs.js';
import type { PolicySource } from '../policy/source.js';
import type { CommandInput } from './command.js';
import { refuseUnclassified, schemaOption } from './policy-fields.js';
import { directoryOption, print, shareOf as shareIn, sourceOf, type Verb } from './policy-verb.js';

export const validate: Verb = {
  usage: `npm run policy -- validate [--directory D] [--schema S] [--verbose]

  reads and proves every policy file and says what is wrong, by file and line
  --schema     the GraphQL schema of which every value must have a class; that of the sources where it is not given
  --verbose    also what is left to guess of masked and hidden values, the least first`,
  options: { ...directoryOption, ...schemaOption, verbose: { type: 'boolean' } },
  run(input: CommandInput): boolean {
    const source = sourceOf(input);
    refuseUnclassified(input);
    const engine = PolicyEngine.load(source, registry);
    if (input.values['verbose'] === true) residualTable(source);
    print(`version ${engine.version}, hash ${engine.hash}\n${engine.files} policies valid`);
    return true;
  },
};

/** One line for everything that is left to guess in the same way, with all who are left to guess it. */
function residualTable(source: PolicySource): void {
  const { bundle, decisions } = opened(source, registry);
  const alike = Map.groupBy(
    residualsOf(bundle, registry, decisions),
    ({ type, field, state, candidates, likely, beside }) =>
      [
        `${candidates}`.padStart(11),
        `${likely}`.padStart(11),
        `${type}.${field} ${state}`,
        `beside ${beside.join(', ') || 'nothing'}`,
      ].join('  '),
  );
  print(`${'candidates'.padStart(11)}  ${'likely'.padStart(11)}  field`);
  for (const [line, residuals] of alike) print(`${line}: ${residuals.map((one) => one.audience).join('; ')}`);
}

export const test: Verb = {
  usage: `npm run policy -- test [--directory D]

  asks the policies every question of policies/cases, compares the answers, and proves the invariants; needs no database`,
  options: directoryOption,
  run(input: CommandInput): boolean {
    const { passed, failed } = told(prove(sourceOf(input), registry, 'CASES'), ({ text }) => `failed ${text}`);
    print(`${passed} passed, ${failed} failed`);
    return failed === 0;
  },
};

export const coverage: Verb = {
  usage: `npm run policy -- coverage [--directory D] [--minimum 1]

  what the cases never reach: a rule, one outcome of a comparison, a state of a field; exit 1 below the minimum`,
  options: { ...directoryOption, minimum: { type: 'string' } },
  run(input: CommandInput): boolean {
    const minimum = shareIn(input, 'minimum', LEAST_SHARE.COVERAGE);
    const counts = told(prove(sourceOf(input), registry, 'COVERAGE'), ({ text }) => `not covered ${text}`);
    print(`${counts.passed} of ${counts.passed + counts.failed} covered`);
    return shareOf(counts) >= minimum;
  },
};

export const mutate: Verb = {
  usage: `npm run policy -- mutate [--directory D] [--minimum 0.9] [--rule ID]

  changes every rule in every way that the operators know and names the changes that no case notices; changes that do not
  load, and those that no row could tell from the original, do not count; exit 1 below the minimum
  --rule       one rule or guardrail only`,
  options: { ...directoryOption, minimum: { type: 'string' }, rule: { type: 'string' } },
  run(input: CommandInput): boolean {
    const minimum = shareIn(input, 'minimum', LEAST_SHARE.MUTATION);
    const only = input.values['rule'];
    const run = prove(sourceOf(input), registry, 'MUTATION', typeof only === 'string' ? only : null);
    const counts = told(run, ({ text }) => `survived ${text}`);
    const { passed, failed, refused, equivalent } = counts;
    if (only !== undefined && passed + failed + equivalent + refused === 0)
      throw new Refusal('There is no such rule.', 2);
    print(`${refused} more do not load, ${equivalent} more are the same for every row`);
    // Rounded down: a score never looks better than it is.
    const score = (Math.floor(shareOf(counts) * 100) / 100).toFixed(2);
    print(`${passed} of ${passed + failed} mutants noticed (score ${score})`);
    return shareOf(counts) >= minimum;
  },
};

export const invariants: Verb = {
  usage: `npm run policy -- invariants [--directory D]

  proves policies/invariants.yaml over every role, purpose and row that a rule can tell from another; what does not hold is
  shown by a row, exit 1`,
  options: directoryOption,
  run(input: CommandInput): boolean {
    const run = prove(sourceOf(input), registry, 'INVARIANTS');
    const { passed, failed } = told(run, ({ file, line, text }) => `${file}:${line}: ${text}`);
    print(`${passed} invariants hold, ${failed} do not`);
    return failed === 0;
  },
};

/** Runs a proof to its end and prints each finding when it is found. */
function told(run: ProofRun, line: (finding: Finding) => string): ProofCounts {
  for (let step = run.next(); ; step = run.next()) {
    if (step.done === true) return step.value;
    if (step.value.finding !== null) print(line(step.value.finding));
  }
}
