import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { rejection } from './element.js';

/** A file of a feed. Its name may be a patient's: only the label may be printed or logged. */
export interface SourceFile {
  readonly path: string;
  /** Number in the sorted list and the start of the SHA-256 of the name: `#17 (a3f09c12)`. */
  readonly label: string;
}

const LARGEST_FILE = 64 * 1024 * 1024;

/** The `*.json` files of a directory in the order of their names, not of those below it; or the one file itself. */
export async function sourceFiles(place: string): Promise<SourceFile[]> {
  const found = await stat(place);
  const paths = found.isDirectory() ? await jsonFiles(place) : [place];
  return paths.map((file, index) => ({ path: file, label: `#${index + 1} (${digestOf(path.basename(file))})` }));
}

/** The text of a file. Throws BAD_USER_INPUT for one that is too large or is not UTF-8. */
export async function readSource(file: SourceFile): Promise<string> {
  const { size } = await stat(file.path);
  if (size > LARGEST_FILE) throw rejection('file', `is larger than ${LARGEST_FILE / 1024 / 1024} MiB`);
  const bytes = await readFile(file.path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw rejection('file', 'is not text in UTF-8');
  }
}

async function jsonFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && entry.name.toLowerCase().endsWith('.json'))
    .map((entry) => path.join(directory, entry.name))
    .sort();
}

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
