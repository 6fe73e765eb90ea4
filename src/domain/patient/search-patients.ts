import { Failure } from '../../kernel/failure.js';
import { hasControlCharacter } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import { LARGEST_SEARCH, searchRows, type SearchCriterion } from '../../operation/search.js';
import type { View } from '../../operation/view.js';
import { nameForm } from './name-form.js';
import { nameMatches, wantedTokens } from './name-tokens.js';
import { phoneSuffix } from './normalise.js';

export interface PatientSearchArguments {
  /** A part of a name, as `nameForm` reads it. */
  readonly name?: string | null;
  /** The last four digits. */
  readonly phoneSuffix?: string | null;
  readonly first?: number | null;
}

const STANDARD = 20;
const LONGEST = 60;
const FEWEST_LETTERS = 2;

/** Finds patients by a part of the name, the end of the phone, or both. Counted against the caller's limit. */
export const searchPatients = defineOperation<PatientSearchArguments, readonly View[]>({
  name: 'searchPatients',
  kind: 'SEARCH',
  action: 'search',
  type: 'Patient',
  mode: 'read',
  handler: (scope, { name, phoneSuffix: suffix, first }) => {
    const { country } = scope.actor;
    const criteria = [...(name == null ? [] : [byName(name)]), ...(suffix == null ? [] : [bySuffix(suffix, country)])];
    if (criteria.length === 0) throw refuse('A search has a name, the end of a phone, or both.', 'Send one of them.');
    const size = first ?? STANDARD;
    if (!Number.isInteger(size) || size < 1 || size > LARGEST_SEARCH) {
      throw refuse(`first is between 1 and ${LARGEST_SEARCH}.`, 'Ask for fewer, and search for more of the name.');
    }
    return searchRows(scope, 'Patient', criteria, size);
  },
});

function byName(text: string): SearchCriterion {
  if (hasControlCharacter(text)) throw refuse('The name holds a control character.', 'Send plain text.');
  if ([...text].length > LONGEST) throw refuse(`The name is longer than ${LONGEST} characters.`, 'Shorten it.');
  const wanted = nameForm(text);
  const alternatives = wantedTokens(wanted);
  if (alternatives.length === 0 || (wanted.runs.length === 0 && [...wanted.letters].length < FEWEST_LETTERS)) {
    throw refuse(`A name is searched by a Chinese character or ${FEWEST_LETTERS} letters.`, 'Send more of the name.');
  }
  return { field: 'name', kind: 'tokens', alternatives, matches: (opened) => nameMatches(opened, wanted) };
}

function bySuffix(text: string, country: string): SearchCriterion {
  const digits = text.normalize('NFKC').trim();
  if (!/^\d{4}$/u.test(digits)) throw refuse('The end of a phone has four digits.', 'Send the last four digits.');
  return {
    field: 'phone',
    kind: 'suffix',
    alternatives: [[digits]],
    matches: (opened) => phoneSuffix(opened, country) === digits,
  };
}

function refuse(sentence: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', sentence, nextStep);
}
