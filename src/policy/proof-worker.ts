import { parentPort, workerData } from 'node:worker_threads';
import { AttributeRegistry } from '../kernel/attribute.js';
import { taskRun, type ProofMessage, type ProofWork } from './proof-task.js';

const tell = (message: ProofMessage) => parentPort?.postMessage(message, []);

/** The other thread: proves or checks what it was started with, tells how far it is, and ends. The first message says that it runs. */
tell('running');
const { task, nouns } = workerData as ProofWork;
const registry = new AttributeRegistry();
for (const { attributes, ...noun } of nouns) {
  for (const attribute of attributes.values()) registry.addAttribute(noun.type, attribute);
  registry.addNoun(noun);
}
const run = taskRun(task, registry);
let told = 0;
for (let step = run.next(); ; step = run.next()) {
  if (step.done === true) {
    tell({ outcome: step.value });
    break;
  }
  if (step.value === null) continue;
  const { done, total } = step.value;
  const hundredths = Math.floor((100 * done) / total);
  if (hundredths > told) tell({ progress: step.value });
  told = Math.max(told, hundredths);
}
