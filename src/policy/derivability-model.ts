import type { MaskName } from '../kernel/attribute.js';
import type { FieldView, Visibility } from './decision.js';
import { applyMask } from './mask.js';

/** Divisions of the county level in mainland China, of which the first six digits name one; and its provinces. */
const COUNTIES = 2_844;
const PROVINCES = 31;
/** Days of a hundred years, of one, of a band of five. */
const DAYS = { century: 36_525, year: 365, band: 1_826 } as const;
/** GB 11643: the three digits after the birth date; the last is odd for a man. */
const SEQUENCES = 999;
/** GB 11643 and ISO 7064 MOD 11-2: one in eleven numbers has the check digit that is shown. */
const CHECK = 11;
const RESIDENT_NUMBER = '11010519491231002X';
/** Areas that are assigned (not 000, 666, 900 to 999) and groups of a Social Security number. */
const SOCIAL_SECURITY_AREAS = 898;
const SOCIAL_SECURITY_GROUPS = 99;
const SOCIAL_SECURITY_NUMBER = '123456789';
const MOBILE = '13800138000';

/** How much is left to guess of a field that is not shown in clear. */
export interface Guess {
  readonly field: string;
  /** What is shown of it: `HIDDEN` or `MASKED M_ID4`. */
  readonly state: string;
  /** Values that fit everything that is shown of the row. */
  readonly candidates: number;
  /** The same if the number was issued in the province of the address, which is likely and not certain. */
  readonly likely: number;
  /** What is shown beside it, such as `birthDate CLEAR`. */
  readonly beside: readonly string[];
}

/** What a mask makes of a value: the functions of the system, or what a test puts in their place. */
export type Masking = (mask: MaskName, value: string) => unknown;
export const masking: Masking = (mask, value) => applyMask(mask, value, { now: new Date(0) });

/** What is known of a person beside the field in question. */
interface Known {
  /** Birth dates that fit what is shown of the date itself and of its facets. */
  readonly days: number;
  readonly gender: boolean;
  readonly province: boolean;
  readonly beside: readonly string[];
}

/** Fields of which something may be left to guess. `candidates` gives how much, in all and with the province taken for certain. */
const SUBJECTS: readonly {
  readonly field: string;
  candidates(view: FieldView, known: Known, visibility: Visibility, mask: Masking): readonly [number, number];
}[] = [
  { field: 'nationalId', candidates: numberCandidates },
  // In mainland China the number of a social insurance is often that of the identity card. Under a mask it is taken for one.
  { field: 'insuranceNumber', candidates: numberCandidates },
  { field: 'birthDate', candidates: birthDateCandidates },
  { field: 'phone', candidates: phoneCandidates },
];

export const GUESSED_FIELDS: readonly string[] = SUBJECTS.map(({ field }) => field);

/** What is left to guess of the fields that a pattern of a row masks or hides. */
export function leftToGuess(visibility: Visibility, mask: Masking): Guess[] {
  const known = knownOf(visibility);
  return SUBJECTS.flatMap(({ field, candidates }) => {
    const view = visibility.fields.get(field);
    if (view === undefined || view.state === 'CLEAR') return [];
    const beside = [...known.beside, ...numbersInClear(visibility)].filter((one) => !one.startsWith(`${field} `));
    // Nothing of it and nothing beside it: there is nothing to work with.
    if (beside.length === 0 && view.state === 'HIDDEN') return [];
    const [all, likely] = candidates(view, known, visibility, mask);
    const state = view.mask === null ? view.state : `${view.state} ${view.mask}`;
    return [{ field, state, candidates: all, likely, beside }];
  });
}

function knownOf(visibility: Visibility): Known {
  const view = (field: string) => visibility.fields.get(field);
  const clear = (field: string) => view(field)?.state === 'CLEAR';
  const year = clear('birthYear') || [view('birthDate'), view('birthYear')].some((one) => one?.mask === 'M_DOB');
  const days = clear('birthDate') ? 1 : year ? DAYS.year : clear('ageBand') ? DAYS.band : DAYS.century;
  const told = ['birthDate', 'birthYear', 'ageBand', 'gender', 'region', 'address'].flatMap((field) => {
    const { state, mask } = view(field) ?? { state: 'HIDDEN', mask: null };
    return state === 'HIDDEN' || mask === 'M_NULL'
      ? []
      : [mask === null ? `${field} ${state}` : `${field} ${state} ${mask}`];
  });
  const address = view('address');
  const province = clear('region') || clear('address') || address?.mask === 'M_ADDR';
  return { days, gender: clear('gender'), province, beside: told };
}

function numbersInClear({ fields }: Visibility): string[] {
  return ['nationalId', 'insuranceNumber']
    .filter((field) => fields.get(field)?.state === 'CLEAR')
    .map((field) => `${field} CLEAR`);
}

/** How many characters of a sample a view shows at either end. */
function shownOf(view: FieldView | undefined, sample: string, mask: Masking): { head: number; tail: number } {
  if (view === undefined || view.state === 'HIDDEN') return { head: 0, tail: 0 };
  const shown = view.mask === null ? sample : String(mask(view.mask, sample) ?? '');
  if (shown === sample) return { head: sample.length, tail: sample.length };
  const common = (at: (index: number) => boolean) => {
    let count = 0;
    while (count < Math.min(shown.length, sample.length) && at(count)) count += 1;
    return count;
  };
  return {
    head: common((index) => shown[index] === sample[index]),
    tail: common((index) => shown.at(-1 - index) === sample.at(-1 - index)),
  };
}

function numberCandidates(
  view: FieldView,
  known: Known,
  _visibility: Visibility,
  mask: Masking,
): readonly [number, number] {
  const social = shownOf(view, SOCIAL_SECURITY_NUMBER, mask);
  const hidden = SOCIAL_SECURITY_NUMBER.length - social.head - social.tail;
  const american = Math.min(10 ** Math.max(hidden, 0), SOCIAL_SECURITY_AREAS * SOCIAL_SECURITY_GROUPS * 10_000);
  const chinese = (province: boolean) => residentNumbers(shownOf(view, RESIDENT_NUMBER, mask), known, province);
  return [Math.min(chinese(false), american), Math.min(chinese(known.province), american)];
}

/** Resident identity numbers (GB 11643: six digits of place, eight of birth date, three in sequence, one to check) that fit. */
function residentNumbers({ head, tail }: { head: number; tail: number }, known: Known, province: boolean): number {
  const places = head >= 6 ? 1 : head >= 2 || province ? COUNTIES / PROVINCES : COUNTIES;
  const days = head >= 14 || tail >= 12 ? 1 : known.days;
  const sequences = tail >= 4 ? 1 : known.gender ? SEQUENCES / 2 : SEQUENCES;
  return Math.max(1, Math.round((places * days * sequences) / (tail >= 1 ? CHECK : 1)));
}

/** A resident number holds the birth date: in clear it tells it, and with the place and the check digit it tells the most of it. */
function birthDateCandidates(
  _view: FieldView,
  known: Known,
  { fields }: Visibility,
  mask: Masking,
): readonly [number, number] {
  const left = ['nationalId', 'insuranceNumber'].map((field) => {
    const { head, tail } = shownOf(fields.get(field), RESIDENT_NUMBER, mask);
    if (head >= 14 || tail >= 12) return 1;
    return head >= 6 && tail >= 4 ? known.days / CHECK : known.days;
  });
  const days = Math.max(1, Math.round(Math.min(...left)));
  return [days, days];
}

function phoneCandidates(
  view: FieldView,
  _known: Known,
  _visibility: Visibility,
  mask: Masking,
): readonly [number, number] {
  const { head, tail } = shownOf(view, MOBILE, mask);
  const numbers = 10 ** Math.max(0, MOBILE.length - Math.max(head, 2) - tail);
  return [numbers, numbers];
}
