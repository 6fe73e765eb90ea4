import path from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { AttributeRegistry } from '../kernel/attribute.js';
import {
  taskRun,
  type ProofMessage,
  type ProofOutcome,
  type ProofProgress,
  type ProofTask,
  type ProofWork,
  type TaskOutcome,
} from './proof-task.js';
import type { ProposalOutcome, ProposalTask } from './proposal-check.js';

/** What the shipped policies need three times over; policies that need more end their own proof and nothing else. */
const MEMORY = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };

/** How long the work holds this thread at once, where no other can be had; in milliseconds. */
const LONGEST_TURN = 20;

/**
 * Proves in another thread, which lives as long as the proof: what takes many seconds of a processor costs the requests
 * beside it nothing. Where no thread can be started, the work is done here, in pieces: slower for the others, the same for the
 * caller. Rejects where the thread ends before its proof does, and when the signal is given.
 */
export async function proveApart(
  task: ProofTask,
  registry: AttributeRegistry,
  tell: (progress: ProofProgress) => void,
  signal: AbortSignal,
): Promise<ProofOutcome> {
  return (await runApart(task, registry, tell, signal)) as ProofOutcome;
}

/** Checks proposed policies likewise: they may be made to take for ever, and the signal ends that. */
export async function checkApart(
  task: ProposalTask,
  registry: AttributeRegistry,
  signal: AbortSignal,
): Promise<ProposalOutcome> {
  return (await runApart(task, registry, () => undefined, signal)) as ProposalOutcome;
}

async function runApart(
  task: ProofTask | ProposalTask,
  registry: AttributeRegistry,
  tell: (progress: ProofProgress) => void,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  signal.throwIfAborted();
  const apart = await inThread(task, registry, tell, signal);
  if (apart !== null) return apart;
  const run = taskRun(task, registry);
  let since = performance.now();
  for (let step = run.next(); ; step = run.next()) {
    if (step.done === true) return step.value;
    if (step.value !== null) tell(step.value);
    if (performance.now() - since < LONGEST_TURN) continue;
    await breathe();
    signal.throwIfAborted();
    since = performance.now();
  }
}

/** Runs the file beside this one: compiled where this is compiled, a source where this is a source. Null: it cannot. */
function inThread(
  task: ProofTask | ProposalTask,
  registry: AttributeRegistry,
  tell: (progress: ProofProgress) => void,
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  const file = new URL(`./proof-worker${path.extname(import.meta.filename)}`, import.meta.url);
  const workerData: ProofWork = { task, nouns: registry.all() };
  const worker = new Worker(file, { name: 'proof', env: {}, resourceLimits: MEMORY, workerData });
  // A process that ends does not wait for a proof.
  worker.unref();
  const end = () => void worker.terminate();
  signal.addEventListener('abort', end, { once: true });
  let runs = false;
  return new Promise<TaskOutcome | null>((resolve, reject) => {
    worker.on('message', (message: ProofMessage) => {
      if (message === 'running') runs = true;
      else if ('progress' in message) tell(message.progress);
      else resolve(message.outcome);
    });
    const lost = (cause?: unknown) =>
      runs || signal.aborted ? reject(new Error('The thread of a proof ended.', { cause })) : resolve(null);
    worker.once('error', lost);
    worker.once('exit', () => lost());
  }).finally(() => signal.removeEventListener('abort', end));
}
