import { MOST_PROBLEMS, PolicyDocument } from './document.js';

type Files = Readonly<Record<string, string>>;

const CASES = 'cases/';

interface CasesFile {
  readonly subject?: unknown;
  readonly cases?: unknown;
}
interface InvariantsFile {
  readonly invariants?: unknown;
}

/** What a file of cases lost against another version of it. */
interface LostCases {
  readonly file: string;
  /** The type that the cases are about. */
  readonly subject: string | null;
  readonly lost: number;
  readonly of: number;
  /** Whether the rows that cases ask about are others. */
  readonly rowsDiffer: boolean;
}

/**
 * What was watched over before and is no more, in sentences for whoever approves: cases that are gone or say something else,
 * and invariants likewise. Reads the files that differ and no others.
 * @param before files by name, of the release in force
 * @param shipped those that came with the software
 */
export function removalsOf(before: Files, after: Files, shipped: Files): string[] {
  const cases = lostCases(before, after).flatMap(({ file, lost, of, rowsDiffer }) => {
    const name = file.slice(CASES.length);
    const gone = after[file] === undefined;
    return [
      ...(lost > 0 ? [`${gone ? 'removes' : 'removes or changes'} ${lost} of ${of} cases of ${name}`] : []),
      ...(rowsDiffer && !gone ? [`changes the rows that the cases of ${name} ask about`] : []),
    ];
  });
  const [old, made, standard] = [before, after, shipped].map(invariantsOf) as [Said, Said, Said];
  const invariants = [...old].flatMap(([id, words]) => {
    if (made.get(id) === words) return [];
    const what = made.has(id) ? 'changes' : 'removes';
    return [`${what} the invariant "${id}"${standard.has(id) ? ', which applies as the software has it' : ''}`];
  });
  return [...cases, ...invariants].slice(0, MOST_PROBLEMS);
}

/** Files of cases of which something is gone or says something else. */
export function lostCases(before: Files, after: Files): LostCases[] {
  return Object.keys(before)
    .filter((name) => name.startsWith(CASES) && before[name] !== after[name])
    .sort()
    .map((file) => {
      const [old, made] = [before[file], after[file]].map((text) => valueOf<CasesFile>(file, text));
      const left = Map.groupBy(casesIn(made).map(wordsOf), (words) => words);
      // As often as before: two cases of the same words are two.
      const all = casesIn(old).map(wordsOf);
      const lost = all.filter((words) => left.get(words)?.pop() === undefined).length;
      const rows = (one: object | null) => wordsOf({ ...one, cases: null });
      const subject = typeof old?.subject === 'string' ? old.subject : null;
      return { file, subject, lost, of: all.length, rowsDiffer: rows(old ?? null) !== rows(made ?? null) };
    })
    .filter(({ lost, rowsDiffer }) => lost > 0 || rowsDiffer);
}

type Said = ReadonlyMap<string, string>;

/** Invariants by id, in their words. */
function invariantsOf(files: Files): Said {
  const found = new Map<string, string>();
  for (const [name, text] of Object.entries(files)) {
    if (name.includes('/') || !text.includes('nvariants')) continue;
    const { invariants } = valueOf<InvariantsFile>(name, text) ?? {};
    if (!Array.isArray(invariants)) continue;
    for (const one of invariants as { id?: unknown }[]) found.set(String(one.id), wordsOf(one));
  }
  return found;
}

const casesIn = (file: CasesFile | null | undefined): unknown[] => (Array.isArray(file?.cases) ? file.cases : []);

function valueOf<Value extends object>(file: string, text: string | undefined): Value | null {
  const read = text === undefined ? null : PolicyDocument.read(file, text);
  return read instanceof PolicyDocument && typeof read.value === 'object' ? (read.value as Value | null) : null;
}

/** The same for the same content, however it is laid out. */
function wordsOf(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
