import type { ReminderSink } from '../../src/jobs/appointment-reminder-sink.js';
import type { ReminderServices } from '../../src/jobs/appointment-reminders.js';

/** Called before and after each step of a sender, with the number and the name of the step. */
export type OnStep = (moment: 'before' | 'after', number: number, name: string) => Promise<void> | void;

/** The services and the sink of a sender, with everything it does outside its own memory as a numbered step. */
export function stepped(
  services: ReminderServices,
  sink: ReminderSink,
  onStep: OnStep,
): { services: ReminderServices; sink: ReminderSink } {
  let steps = 0;
  const step = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    const number = ++steps;
    await onStep('before', number, name);
    const result = await work();
    await onStep('after', number, name);
    return result;
  };
  const { operations, answering, identity } = services;
  return {
    services: {
      ...services,
      operations: {
        run: (operation, ...rest) => step(operation.name, () => operations.run(operation, ...rest)),
      },
      answering: { settle: (...settled) => step('settle', () => answering.settle(...settled)) },
      identity: { machine: (...asked) => step('machine', () => identity.machine(...asked)) },
    },
    sink: {
      has: (key) => step('has', () => sink.has(key)),
      write: (...message) => step('write', () => sink.write(...message)),
    },
  };
}
