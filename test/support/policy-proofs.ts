import '../../src/domain/nouns.js';
import { registry } from '../../src/kernel/attribute.js';
import { prove, type ProofKind } from '../../src/policy/proofs.js';
import type { ProofProgress } from '../../src/policy/proof-task.js';
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
  const task = { texts, proof, rule: only };
  const outcome = await proveApart(task, registry, (one) => told.push(one), new AbortController().signal);
  clearInterval(ticking);
  return { outcome, turns, told: told.length };
}

function here(proof: ProofKind, only: string | null): unknown {
  const run = prove(PolicySource.of('policies', texts), registry, proof, only);
  for (let step = run.next(); ; step = run.next()) if (step.done === true) return step.value;
}

const cases = await apart('CASES', null);
const mutation = await apart('MUTATION', rule);
const unloadable = await proveApart(
  { texts: new Map([...texts, ['patient.yaml', 'kind: Policy']]), proof: 'INVARIANTS', rule: null },
  registry,
  () => undefined,
  new AbortController().signal,
);
const aborting = new AbortController();
const aborted = proveApart(
  { texts, proof: 'MUTATION', rule: null },
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
  }),
);
