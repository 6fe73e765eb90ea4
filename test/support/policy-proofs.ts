import '../../src/domain/nouns.js';
import { registry } from '../../src/kernel/attribute.js';
import { prove, type ProofKind } from '../../src/policy/proofs.js';
import type { ProofProgress } from '../../src/policy/proof-task.js';
import { ProofDesk } from '../../src/policy/proof-desk.js';
import { proveApart } from '../../src/policy/proof-thread.js';
import { PolicySource } from '../../src/policy/source.js';

/** What proof-thread.spec.ts wants to know; prints one JSON object. */
const { texts } = PolicySource.directory('policies');
const rule = 'compartments-need-a-grant';

/** The counts of the other thread, how often this thread had its turn meanwhile, and how far the other said it was. */
async function apart(proof: ProofKind, only: string | null) {
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 5);
  const told: ProofProgress[] = [];
  const task = { texts, shipped: null, proof, rule: only };
  const outcome = await proveApart(task, registry, (one) => told.push(one), new AbortController().signal);
  clearInterval(ticking);
  return { outcome, turns, told: told.length };
}

function here(proof: ProofKind, only: string | null): unknown {
  const run = prove(PolicySource.of('policies', texts), registry, proof, only);
  for (let step = run.next(); ; step = run.next()) if (step.done === true) return step.value;
}

/** A proposal that is made to take for ever: problems, and the longest that this thread stood still meanwhile, in milliseconds. */
async function hostile(check: number, name: string, change: (text: string) => string) {
  const shipped = Object.fromEntries(texts);
  const proposed = { ...shipped, [name]: change(shipped[name] ?? '') };
  let last = performance.now();
  let stood = 0;
  const ticking = setInterval(() => {
    stood = Math.max(stood, performance.now() - last);
    last = performance.now();
  }, 5);
  const { problems } = await new ProofDesk(registry, { check }).check('T-CN', { proposed, base: shipped, shipped });
  clearInterval(ticking);
  return { problems: problems.map(({ message }) => message), stood };
}
const values = Array.from({ length: 450 }, (_, index) => `v${index}`).join(', ');
const wide = await hostile(3_000, 'guardrails.yaml', (text) =>
  text.replace(
    '\nguardrails:\n',
    `\nguardrails:\n  - id: wide\n    effect: forbid\n    subjects: [Visit, Diagnosis, Appointment]\n` +
      `    actions: [read, update, deactivate, lookup]\n    where: { compartment: { $in: [${values}] } }\n`,
  ),
);
const keys = await hostile(20_000, 'patient.yaml', (text) =>
  text.concat(Array.from({ length: 9_000 }, (_, index) => `k${index}: 1\n`).join('')),
);

const cases = await apart('CASES', null);
const mutation = await apart('MUTATION', rule);
const unloadable = await proveApart(
  { texts: new Map([...texts, ['patient.yaml', 'kind: Policy']]), shipped: null, proof: 'INVARIANTS', rule: null },
  registry,
  () => undefined,
  new AbortController().signal,
);
const aborting = new AbortController();
const aborted = proveApart(
  { texts, shipped: null, proof: 'MUTATION', rule: null },
  registry,
  () => aborting.abort(),
  aborting.signal,
).then(
  () => 'ended',
  () => 'rejected',
);
console.log(
  JSON.stringify({
    cases: { ...cases, here: here('CASES', null) },
    mutation: { ...mutation, here: here('MUTATION', rule) },
    unloadable,
    aborted: await aborted,
    wide,
    keys,
  }),
);
