import { registry } from '../kernel/attribute.js';
import type { LedgerEntry } from '../ledger/stored-entries.js';
import { UNWRAPPED } from './key-use.js';
import { declaredOperations, type AnyOperation } from './operation.js';
import { hasCompartments } from './own-row.js';

/** What an entry about clinical data says instead of its operation and its kind. */
export const CLINICAL = { operation: 'clinical', kind: 'CLINICAL', categories: ['clinical'], fields: [] } as const;

type Told = Pick<LedgerEntry, 'record'>;

/**
 * How much a report says of an entry to somebody else than the patient: a guardian. A special compartment keeps from him
 * that there is anything in it (45 CFR 164.502(g)(3): what a minor may consent to alone is not the parent's to know; 42 CFR
 * 2.14). The ledger does not say which entries are about one, on purpose; the patient's own report has them in full.
 *
 * `CLINICAL`: it is about a type of which rows may lie in a compartment, or its document looked for some. Reading, finding
 * nothing and writing are told alike: when, who, and for what purpose. `NONE`: left out. That is the answer to a write, which
 * would tell it from a read, and a reminder, which tells an appointment. `ACCESS`: a look into the ledger, without what was
 * found there. What remains to be seen is that somebody had to do with clinical data at that time.
 */
export type Telling = 'WHOLE' | 'CLINICAL' | 'ACCESS' | 'NONE';

export function tellingOf({ record }: Told, subject: string): Telling {
  const types = new Set(registry.all().flatMap((noun) => (hasCompartments(noun) ? [noun.type] : [])));
  const operations = String(record['operation'] ?? '')
    .split(' ')
    .flatMap((name) => declaredOperations().get(name) ?? []);
  if (record['role'] === 'reminder_service') return 'NONE';
  if (record['kind'] === 'LEDGER_READ') return 'ACCESS';
  const accesses = record.accesses.filter(({ type, subjects }) => type !== UNWRAPPED && subjects.includes(subject));
  const touched = accesses.map(({ type }) => types.has(type));
  if (!touched.includes(true) && !operations.some((one) => reaches(one, types))) return 'WHOLE';
  const isAnswer = record['kind'] === 'READ' && operations.every(({ mode }) => mode === 'write');
  return isAnswer && operations.length > 0 && !touched.includes(false) ? 'NONE' : 'CLINICAL';
}

function reaches({ type, brings = [] }: AnyOperation, types: ReadonlySet<string>): boolean {
  return types.has(type) || brings.some((one) => types.has(one));
}
