import type { Log } from '../telemetry/log.js';
import type { ReminderSink } from './appointment-reminder-sink.js';
import { AppointmentReminders, type ReminderServices } from './appointment-reminders.js';
import type { JobQueue } from './job-queue.js';

const QUEUE = 'appointment-reminder';
const EVERY_MINUTE = '* * * * *';

/** Reminders in the queue: once a minute one of the processes looks what is due. The appointments are the truth, the message only a hint. */
export class ReminderJobs {
  constructor(
    private readonly services: ReminderServices,
    private readonly sink: ReminderSink,
  ) {}

  async start(queue: JobQueue, log: Log): Promise<void> {
    const reminders = new AppointmentReminders(this.services, this.sink, log);
    await queue.work(QUEUE, async (_payload, stopping) => {
      const { sent, withheld, failed } = await reminders.run(stopping);
      if (sent + withheld + failed > 0) log.info('job done', { operation: 'reminder', count: sent, rejected: failed });
    });
    await queue.every(QUEUE, EVERY_MINUTE);
  }
}
