import { Refusal } from '../config/refusal.js';
import { registry } from '../kernel/attribute.js';
import { AllDecisions } from '../policy/all-decisions.js';
import { loadBundle } from '../policy/bundle.js';
import { judge, loadCases } from '../policy/cases.js';
import { coverageOf } from '../policy/coverage.js';
import { residualsOf } from '../policy/derivability.js';
import { PolicyEngine } from '../policy/engine.js';
import { counterExamples, problemOf, readInvariants } from '../policy/invariant.js';
import { mutants } from '../policy/mutant.js';
import type { PolicySource } from '../policy/source.js';
import type { CommandInput } from './command.js';
import { refuseUnclassified, schemaOption } from './policy-fields.js';
import { directoryOption, print, shareOf, sourceOf, type Verb } from './policy-verb.js';

const SCORE = 0.9;

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
  const { bundle, decisions } = opened(source);
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
    const source = sourceOf(input);
    const engine = PolicyEngine.load(source, registry);
    const cases = loadCases(source, registry, engine);
    let failed = 0;
    for (const one of cases) {
      const differences = judge(one, engine);
      if (differences.length === 0) continue;
      failed += 1;
      const question = `${one.role}, ${one.purpose || 'no purpose'}, ${one.action} ${one.type}`;
      print(`failed ${one.place} (${question}): ${differences.join('; ')}`);
    }
    print(`${cases.length - failed} passed, ${failed} failed`);
    return failed === 0;
  },
};

export const coverage: Verb = {
  usage: `npm run policy -- coverage [--directory D] [--minimum 1]

  what the cases never reach: a rule, one outcome of a comparison, a state of a field; exit 1 below the minimum`,
  options: { ...directoryOption, minimum: { type: 'string' } },
  run(input: CommandInput): boolean {
    const minimum = shareOf(input, 'minimum', 1);
    const all = coverageOf(sourceOf(input), registry);
    const covered = all.filter((one) => one.covered).length;
    for (const { name } of all.filter((one) => !one.covered)) print(`not covered ${name}`);
    print(`${covered} of ${all.length} covered`);
    return covered >= minimum * all.length;
  },
};

export const mutate: Verb = {
  usage: `npm run policy -- mutate [--directory D] [--minimum 0.9] [--rule ID]

  changes every rule in every way that the operators know and names the changes that no case notices; changes that do not
  load, and those that no row could tell from the original, do not count; exit 1 below the minimum
  --rule       one rule or guardrail only`,
  options: { ...directoryOption, minimum: { type: 'string' }, rule: { type: 'string' } },
  run(input: CommandInput): boolean {
    const minimum = shareOf(input, 'minimum', SCORE);
    const counts = { NOTICED: 0, SURVIVED: 0, EQUIVALENT: 0, REFUSED: 0 };
    const only = input.values['rule'];
    const isMeant = (id: string) => only === undefined || id === only;
    for (const { rule, mutation, outcome } of mutants(sourceOf(input), registry, isMeant)) {
      counts[outcome] += 1;
      if (outcome === 'SURVIVED') print(`survived ${rule}: ${mutation}`);
    }
    const total = counts.NOTICED + counts.SURVIVED;
    if (only !== undefined && total + counts.EQUIVALENT + counts.REFUSED === 0)
      throw new Refusal('There is no such rule.', 2);
    const score = total === 0 ? 1 : counts.NOTICED / total;
    print(`${counts.REFUSED} more do not load, ${counts.EQUIVALENT} more are the same for every row`);
    // Rounded down: a score never looks better than it is.
    print(`${counts.NOTICED} of ${total} mutants noticed (score ${(Math.floor(score * 100) / 100).toFixed(2)})`);
    return score >= minimum;
  },
};

export const invariants: Verb = {
  usage: `npm run policy -- invariants [--directory D]

  proves policies/invariants.yaml over every role, purpose and row that a rule can tell from another; what does not hold is
  shown by a row, exit 1`,
  options: directoryOption,
  run(input: CommandInput): boolean {
    const source = sourceOf(input);
    const { bundle, decisions } = opened(source);
    const claimed = readInvariants(source, registry, bundle.vocabulary);
    const found = counterExamples(claimed, bundle.vocabulary, decisions);
    for (const { file, line, message } of found.map(problemOf)) print(`${file}:${line}: ${message}`);
    const broken = new Set(found.map((one) => one.invariant.id)).size;
    print(`${claimed.length - broken} invariants hold, ${broken} do not`);
    return broken === 0;
  },
};

function opened(source: PolicySource) {
  const bundle = loadBundle(source, registry);
  return { bundle, decisions: new AllDecisions(bundle, registry, PolicyEngine.of(bundle, registry)) };
}
