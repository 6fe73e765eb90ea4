import { Failure } from '../../kernel/failure.js';
import type { Scope } from '../../operation/scope.js';
import type { StoredRow } from '../../operation/stored-row.js';
import type { View } from '../../operation/view.js';
import { versionConflict } from '../../operation/writing.js';

export interface AppointmentVersion {
  readonly id: string;
  readonly version: number;
}

/**
 * The appointment at this version, for a rule of the domain. NOT_FOUND where the caller may not see it, VERSION_CONFLICT
 * where it has moved on: a write at the same version is therefore a write of what was looked at here.
 */
export async function currentAppointment(scope: Scope, { id, version }: AppointmentVersion): Promise<StoredRow> {
  const appointment = await scope.write.stored('Appointment', id);
  if (appointment.version !== version) throw versionConflict('Appointment');
  return appointment;
}

/** Stages a change of an appointment as it was looked at, and the notice of it to whoever watches appointments. */
export async function changeAppointment(
  scope: Scope,
  id: string,
  { version, subjectId }: StoredRow,
  changes: Readonly<Record<string, unknown>>,
  action: 'update' | 'deactivate' = 'update',
): Promise<View> {
  const view = await scope.write.update('Appointment', id, version, changes, { action });
  scope.write.unit.notify('Appointment', id, subjectId);
  return view;
}

/** Refuses an appointment that is not in one of these states, without saying in which it is. `act` completes "cannot be …". */
export function refuseUnless(appointment: StoredRow, states: readonly string[], act: string): void {
  if (states.includes(String(appointment.value('status')))) return;
  throw new Failure('BAD_USER_INPUT', `An appointment in this state cannot be ${act}.`, 'Read it again.');
}
