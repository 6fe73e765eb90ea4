import { parentPort } from 'node:worker_threads';
import { Failure, type FailureCode } from '../kernel/failure.js';
import { openTask, type OpeningTask } from './opening-task.js';

/** The answer to one task, with its number: the text of `openTask`, or what failed. */
export type OpeningAnswer =
  | { readonly number: number; readonly opened: string }
  | { readonly number: number; readonly failure: { code: FailureCode; message: string; nextStep: string } };

/** The other thread: opens what it is sent and keeps nothing. The first message says that it runs. */
parentPort?.on('message', ({ number, task }: { number: number; task: OpeningTask }) => {
  let answer: OpeningAnswer;
  try {
    answer = { number, opened: openTask(task) };
  } catch (error) {
    const { code, message, nextStep } =
      error instanceof Failure ? error : new Failure('INTERNAL_SERVER_ERROR', 'A row was not opened.', 'Try again.');
    answer = { number, failure: { code, message, nextStep } };
  }
  parentPort?.postMessage(answer, []);
});
parentPort?.postMessage('running', []);
