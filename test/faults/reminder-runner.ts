import { readConfiguration } from '../../src/config/configuration.js';
import { compose } from '../../src/composition.js';
import { ReminderDirectory } from '../../src/jobs/appointment-reminder-sink.js';
import { AppointmentReminders } from '../../src/jobs/appointment-reminders.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { stepped } from './reminder-steps.js';

/** What a test tells the process that it is going to kill. */
export interface RunnerOrders {
  readonly logins: { readonly appUrl: string; readonly sequencerUrl: string; readonly auditorUrl: string };
  readonly environment: Readonly<Record<string, string>>;
  readonly outbox: string;
  /** Unix milliseconds of its clock. */
  readonly now: number;
  /** The step after which it waits to be killed. */
  readonly last: string;
}

// A process of its own that sends reminders until it has done one step, says so, and does nothing more.
const orders = JSON.parse(process.argv[2] ?? '') as RunnerOrders;
const clock = new ManualClock(orders.now);
const composition = await compose(readConfiguration(orders.environment), orders.logins, { clock });
const { services, sink } = stepped(
  { ...composition, tenants: ['T-CN'] },
  new ReminderDirectory(orders.outbox),
  async (moment, number, name) => {
    if (`${moment} ${name}` !== orders.last && `${moment} ${number}` !== orders.last) return;
    process.stdout.write('waiting\n');
    await new Promise(() => setInterval(() => undefined, 60_000));
  },
);
await new AppointmentReminders(services, sink, null).run();
process.stdout.write('done\n');
await composition.close();
