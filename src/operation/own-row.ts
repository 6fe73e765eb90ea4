import type { NounDeclaration } from '../kernel/attribute.js';
import type { Facts } from './row-facts.js';
import type { Scope } from './scope.js';
import { publicShape, Reading, type Pattern } from './view.js';
import type { Grounds } from './write-record.js';

/** How the answer to a write shows its row, and what the ledger says of it. */
export interface OwnRow {
  readonly reading: Reading;
  readonly bits: number;
  readonly recorded: Pattern;
  readonly grounds: Grounds;
}

const NO_GROUNDS: Grounds = { ruleIds: [], consents: [] };
/** The label of a row that is in no compartment. */
const ORDINARY = 'NONE';

/** Whether rows of this type may lie in a special compartment. */
export function hasCompartments({ facts }: NounDeclaration): boolean {
  return facts.some(({ source }) => source === 'granted');
}

/**
 * A row that the caller made: under the read decision or, where he may not see it, its public fields alone. Of one that a
 * compartment withholds from him the ledger says what it says of any other row of the type: states that differ would tell
 * everybody who reads the record that there is such a row. The caller wrote it, so no access goes unrecorded by that.
 */
export function ownRow(scope: Scope, noun: NounDeclaration, facts: Facts): OwnRow {
  const decision = scope.decide('read', noun.type);
  if (decision.allowed && decision.matches(facts)) {
    const [reading, bits] = [scope.reading(noun.type), decision.bitsOf(facts)];
    return { reading, bits, recorded: reading.pattern(bits), grounds: decision };
  }
  const reading = new Reading(noun, publicShape(noun), scope.selection);
  const pattern = reading.pattern(0);
  const ordinary = { ...facts, ...ordinaryLabels(noun) };
  if (!hasCompartments(noun) || !decision.allowed || !decision.matches(ordinary)) {
    return { reading, bits: 0, recorded: pattern, grounds: NO_GROUNDS };
  }
  const { selected } = scope.reading(noun.type).pattern(decision.bitsOf(ordinary));
  return { reading, bits: 0, recorded: { ...pattern, selected }, grounds: decision };
}

/**
 * Counts the patient of whom the answer to a change shows more than public fields, as a read of it would. BULK_LIMIT before
 * anything is staged. Not asked of a new row: of that the caller sees what he sends.
 */
export async function countAnswered(scope: Scope, noun: NounDeclaration, facts: Facts, subjectId: string) {
  const decision = scope.decide('read', noun.type);
  const { volume } = decision;
  if (volume === null || subjectId === '' || !decision.allowed || !decision.matches(facts)) return;
  const { steps } = scope.reading(noun.type).pattern(decision.bitsOf(facts));
  const shows = steps.some(({ attribute, view }) => attribute.group !== 'public' && view.state !== 'HIDDEN');
  if (shows) await scope.services.volumes.count(scope.actor, [subjectId], volume, scope.now);
}

/** The facts of compartments as they are of an ordinary row, by the names that policies use. */
function ordinaryLabels({ facts }: NounDeclaration): Facts {
  const columns = facts.flatMap((fact) => (fact.source === 'granted' ? [fact.column] : []));
  const labels = facts.filter((fact) => fact.source === 'column' && columns.includes(fact.column));
  return Object.fromEntries(labels.map(({ name }) => [name, ORDINARY]));
}
