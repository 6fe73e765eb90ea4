import { instantText } from '../../kernel/clock.js';
import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { versionConflict } from '../../operation/writing.js';
import { reminderTime } from './appointment-period.js';
import { changeAppointment, currentAppointment, type AppointmentVersion } from './current-appointment.js';

/** After so long, an attempt to send counts as abandoned, and whoever looks next takes it up. */
export const CLAIM_MILLISECONDS = 2 * 60_000;

/**
 * Reminders whose time has come by `until`, and attempts that were abandoned by then: a page, the longest due first. The
 * next page follows the cursor, so that those which fail again and again do not stand before the others.
 */
export const dueReminders = defineOperation<{ readonly until: string; readonly after: string | null }, Connection>({
  name: 'reminder.due',
  kind: 'SEARCH',
  action: 'read',
  type: 'Appointment',
  mode: 'read',
  handler: (scope, { until, after }) =>
    scope.list('Appointment', {
      first: 50,
      after,
      filter: { reminderAt: { lte: until }, reminderStatus: { in: ['due', 'sending'] } },
      sort: [{ field: 'reminderAt', direction: 'ASC' }],
    }),
});

/** Takes a reminder for one sender: of several that claim it at the same version, one succeeds. */
export const claimReminder = defineOperation<AppointmentVersion, View>({
  name: 'reminder.claim',
  kind: 'UPDATE',
  action: 'update',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, asked) => {
    const appointment = await currentAppointment(scope, asked);
    const reminderAt = instantText(scope.now.getTime() + CLAIM_MILLISECONDS);
    return changeAppointment(scope, asked.id, appointment, { reminderStatus: 'sending', reminderAt });
  },
});

/**
 * Where the reminder of a claimed appointment goes: the patient's phone, under the policy and the consent of this moment.
 * CONSENT_WITHDRAWN, CONSENT_REQUIRED or NOT_FOUND where the patient is not to be reached, null where there is no phone
 * or it is not shown, VERSION_CONFLICT where the claim is lost. The record of it must be durable before anything is sent.
 */
export const reminderContact = defineOperation<AppointmentVersion, string | null>({
  name: 'reminder.contact',
  kind: 'DISCLOSE',
  action: 'read',
  type: 'Patient',
  mode: 'read',
  refusal: 'NOT_FOUND',
  handler: async (scope, asked) => {
    const appointment = await currentAppointment(scope, asked);
    if (appointment.value('reminderStatus') !== 'sending') throw versionConflict('Appointment');
    const { phone, status } = await scope.get('Patient', appointment.subjectId);
    return typeof phone === 'string' && status === 'active' ? phone : null;
  },
});

/** Notes what became of a claimed reminder. */
export const closeReminder = defineOperation<
  AppointmentVersion & { readonly start: string; readonly outcome: 'sent' | 'withheld' },
  View
>({
  name: 'reminder.close',
  kind: 'UPDATE',
  action: 'update',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, { start, outcome, ...asked }) => {
    const appointment = await currentAppointment(scope, asked);
    const changes = { reminderStatus: outcome, reminderAt: reminderTime(start) };
    return changeAppointment(scope, asked.id, appointment, changes);
  },
});
