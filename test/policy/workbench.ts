import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PolicyError, type PolicyProblem } from '../../src/policy/error.js';
import { PolicySource } from '../../src/policy/source.js';

/** A copy of the policies, or of its schema alone, to write to. */
export class Workbench {
  readonly directory = path.join(mkdtempSync(path.join(tmpdir(), 'custodia-policy-')), 'policies');

  constructor(options: { empty: boolean } = { empty: false }) {
    cpSync(
      options.empty ? 'policies/_schema' : 'policies',
      options.empty ? path.join(this.directory, '_schema') : this.directory,
      {
        recursive: true,
      },
    );
  }

  source(): PolicySource {
    return PolicySource.directory(this.directory);
  }

  files(): string[] {
    return readdirSync(this.directory).filter((name) => name.endsWith('.yaml'));
  }

  read(file: string): string {
    return readFileSync(path.join(this.directory, file), 'utf8');
  }

  write(file: string, text: string): void {
    writeFileSync(path.join(this.directory, file), text);
  }

  /** Replaces the first occurrence of a text; a text that is not there is a fault of the test. */
  edit(file: string, from: string, to: string): void {
    const text = this.read(file);
    if (!text.includes(from)) throw new Error(`${file} does not contain: ${from}`);
    this.write(
      file,
      text.replace(from, () => to),
    );
  }

  remove(file: string): void {
    rmSync(path.join(this.directory, file));
  }

  clean(): void {
    rmSync(path.dirname(this.directory), { recursive: true, force: true });
  }
}

/** What a load was refused for; an empty list when it was not. */
export function problemsOf(load: () => unknown): readonly PolicyProblem[] {
  try {
    load();
    return [];
  } catch (error) {
    if (error instanceof PolicyError) return error.problems;
    throw error;
  }
}
