import { Failure, type FailureCode } from '../../kernel/failure.js';
import { sum, type Counts, type ImportedBundle } from './import-bundle.js';
import { readSource, type SourceFile } from './source-files.js';

export interface Totals {
  readonly bundles: number;
  readonly rejected: number;
  readonly created: Counts;
  readonly unchanged: Counts;
  readonly skipped: Counts;
}

export interface ImportObserver {
  /** After every file, taken or not. */
  progress(done: number, all: number): void;
  /** `reason` holds places and rules, never a value. */
  rejected(file: SourceFile, reason: string): void;
}

/** Failures that say something about one bundle. Any other says that no bundle can be taken now. */
const ABOUT_THE_BUNDLE: readonly FailureCode[] = ['BAD_USER_INPUT', 'BULK_LIMIT', 'INTERNAL_SERVER_ERROR'];

/**
 * Imports files one after the other, the next one being read meanwhile: two are in memory, however many there are. A file
 * that is refused is reported and the others go on; what stops all of them (no audit, no permission) is thrown.
 */
export async function importFiles(
  files: readonly SourceFile[],
  take: (text: string) => Promise<ImportedBundle>,
  observer: ImportObserver,
): Promise<Totals> {
  let totals: Totals = { bundles: 0, rejected: 0, created: {}, unchanged: {}, skipped: {} };
  let reading = readAhead(files[0]);
  for (const [index, file] of files.entries()) {
    const text = reading;
    reading = readAhead(files[index + 1]);
    try {
      const { created, unchanged, skipped } = await take(await text);
      totals = {
        ...totals,
        created: sum(totals.created, created),
        unchanged: sum(totals.unchanged, unchanged),
        skipped: sum(totals.skipped, skipped),
      };
    } catch (error) {
      totals = { ...totals, rejected: totals.rejected + 1 };
      observer.rejected(file, reasonOf(error));
    }
    totals = { ...totals, bundles: totals.bundles + 1 };
    observer.progress(index + 1, files.length);
  }
  return totals;
}

/** A failure to read belongs to the file it happened to, not to the one that is imported meanwhile. */
function readAhead(file: SourceFile | undefined): Promise<string> {
  const text = file === undefined ? Promise.resolve('') : readSource(file);
  text.catch(() => undefined);
  return text;
}

function reasonOf(error: unknown): string {
  if (error instanceof Failure && ABOUT_THE_BUNDLE.includes(error.code)) return error.message;
  const code = error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : null;
  if (code !== null) return `file: cannot be read (${code}).`;
  throw error;
}
