import type { FieldState } from './generated.js';

/** Every governed object that selected `fieldAccess`. */
export interface Governed {
  readonly fieldAccess: readonly { readonly field: string; readonly state: FieldState; readonly mask: string | null }[];
}

/** How much of a field this answer shows. A field that is not listed is not governed, such as `id`: it is clear. */
export function stateOf<Record extends Governed>(record: Record, field: keyof Record & string): FieldState {
  return record.fieldAccess.find((one) => one.field === field)?.state ?? 'CLEAR';
}

/**
 * A text for a screen. `null` alone never says why a value is missing: it is empty when the state is CLEAR, and withheld
 * when it is HIDDEN or MASKED, or gone for good when it is ERASED. A masked value may be null too.
 */
export function shown<Record extends Governed>(record: Record, field: keyof Record & string): string {
  const value = record[field];
  switch (stateOf(record, field)) {
    case 'HIDDEN':
      return '(withheld)';
    case 'ERASED':
      return '(erased)';
    case 'MASKED':
      return value == null ? '(masked)' : `${String(value)} (masked)`;
    case 'CLEAR':
      return value == null ? '(none)' : String(value);
  }
}

/** Only what was shown in clear may be edited. */
export function isEditable<Record extends Governed>(record: Record, field: keyof Record & string): boolean {
  return stateOf(record, field) === 'CLEAR';
}

/**
 * The patch for a form that was saved: the fields that a person changed, and none that was not clear. An absent field stays
 * as it is on the server; sending a mask back would destroy the value behind it, and is refused.
 */
export function changes<Record extends Governed, Form extends { readonly [field: string]: string | null }>(
  record: Record,
  form: Form,
): Partial<Form> {
  const changed = Object.entries(form).filter(([field, value]) => {
    const name = field as keyof Record & string;
    return isEditable(record, name) && value !== (record[name] ?? null);
  });
  return Object.fromEntries(changed) as Partial<Form>;
}
