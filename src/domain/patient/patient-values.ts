import { instantText } from '../../kernel/clock.js';
import { Failure } from '../../kernel/failure.js';

/** What a client may send of a patient. An absent field stays as it is, null clears it. */
export interface PatientValues {
  readonly name?: string | null;
  readonly gender?: string | null;
  readonly birthDate?: string | null;
  readonly phone?: string | null;
  readonly email?: string | null;
  readonly address?: string | null;
  readonly nationalId?: string | null;
  readonly insuranceNumber?: string | null;
  readonly notes?: string | null;
}

/** Administrative gender of FHIR R4. */
const GENDERS = ['male', 'female', 'other', 'unknown'];
/** UTC+14: what is today anywhere is no future. */
const EASTERNMOST = 14 * 3_600_000;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;

/** Checks what only makes sense for a patient. Names the field, never the value. */
export function checkPatient(values: PatientValues, now: Date): void {
  if (values.gender && !GENDERS.includes(values.gender)) {
    throw refuse('gender', `is one of ${GENDERS.join(', ')}`);
  }
  if (values.email && !EMAIL.test(values.email.trim())) throw refuse('email', 'is an e-mail address');
  const birthDate = values.birthDate?.trim();
  if (birthDate && birthDate.length < 10) throw refuse('birthDate', 'is a whole date, YYYY-MM-DD');
  if (birthDate && birthDate > instantText(now.getTime() + EASTERNMOST).slice(0, 10)) {
    throw refuse('birthDate', 'is not in the future');
  }
}

function refuse(field: string, rule: string): Failure {
  return new Failure('BAD_USER_INPUT', `Patient.${field} ${rule}.`, 'Correct the field and send it again.', {
    extensions: { field: `Patient.${field}` },
  });
}
