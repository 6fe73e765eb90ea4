import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PolicyDocument, PolicySchema } from './document.js';
import { PolicyError, type PolicyProblem } from './error.js';

/** The JSON Schema, which is a part of the software. */
export const SCHEMA = '_schema/policy.schema.json';
const CASES = 'cases/';
type Read = PolicyDocument | readonly PolicyProblem[];

/**
 * The policy files as text: those of a directory, or of a release that is kept elsewhere. What is read once is parsed once,
 * also by the sources that were made of this one with a file changed.
 */
export class PolicySource {
  private constructor(
    /** What problems call the whole: the last part of a directory's path, or the name of a release. */
    readonly name: string,
    /** Text by file, such as `patient.yaml`, `cases/patient.yaml`, `_schema/policy.schema.json`. */
    readonly texts: ReadonlyMap<string, string>,
    /** The policies of the software, whose invariants hold beside those of this source; null where it is those itself. */
    readonly standard: PolicySource | null = null,
    private readonly parsed: Map<string, Read> = new Map(),
  ) {}

  /** Reads a directory. Files of other kinds and further folders are not policies. */
  static directory(directory: string): PolicySource {
    const names = [
      ...yamlFiles(directory),
      ...yamlFiles(path.join(directory, 'cases')).map((name) => `${CASES}${name}`),
    ];
    const texts = [...names, SCHEMA].map((name) => [name, readFileSync(path.join(directory, name), 'utf8')] as const);
    return new PolicySource(path.basename(directory), new Map(texts));
  }

  static of(name: string, texts: ReadonlyMap<string, string>, standard: PolicySource | null = null): PolicySource {
    return new PolicySource(name, texts, standard);
  }

  /** The same with another text for one file, or with one file more. */
  with(file: string, text: string): PolicySource {
    const parsed = new Map(this.parsed);
    parsed.delete(file);
    return new PolicySource(this.name, new Map([...this.texts, [file, text]]), this.standard, parsed);
  }

  /** The files that are policies, in the order of their names. Throws PolicyError for those that the schema refuses. */
  policies(): PolicyDocument[] {
    return this.documents([...this.texts.keys()].filter((name) => !name.includes('/')));
  }

  /** The files of cases, likewise. */
  cases(): PolicyDocument[] {
    return this.documents([...this.texts.keys()].filter((name) => name.startsWith(CASES)));
  }

  /** The JSON Schema that the files obey: a part of what the source says. */
  schema(): PolicySchema {
    const text = this.texts.get(SCHEMA);
    if (text === undefined) throw new PolicyError([{ file: this.name, line: 1, message: `There is no ${SCHEMA}.` }]);
    try {
      return new PolicySchema(text);
    } catch {
      const file = path.join(this.name, SCHEMA);
      throw new PolicyError([{ file, line: 1, message: 'This is no JSON Schema (2020-12).' }]);
    }
  }

  private documents(names: readonly string[]): PolicyDocument[] {
    const schema = this.schema();
    const read = [...names].sort().map((name) => this.document(name, schema));
    const problems = read.flatMap((one) => (one instanceof PolicyDocument ? [] : one));
    if (problems.length > 0) throw new PolicyError(problems);
    return read as PolicyDocument[];
  }

  private document(name: string, schema: PolicySchema): Read {
    const known = this.parsed.get(name);
    if (known !== undefined) return known;
    const read = PolicyDocument.read(path.join(this.name, name), this.texts.get(name) ?? '');
    const problems = read instanceof PolicyDocument ? schema.problems(read) : read;
    const made = problems.length > 0 ? problems : read;
    this.parsed.set(name, made);
    return made;
  }
}

function yamlFiles(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
