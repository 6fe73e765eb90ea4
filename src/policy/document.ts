import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { LRUCache } from 'lru-cache';
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLMap,
} from 'yaml';
import type { PolicyProblem } from './error.js';
import { insteadOf } from './nearest.js';

/** Where in a document a value stands: keys and indexes from the root. */
export type DocumentPath = readonly (string | number)[];

/** Keys of one mapping: more is no policy that anybody reads. */
export const MOST_KEYS = 1_000;
/** Problems that are told of one file: what is wrong fifty times is wrong. */
export const MOST_PROBLEMS = 50;

/** One YAML file: its value, and the line of everything in it. */
export class PolicyDocument {
  private constructor(
    readonly file: string,
    readonly value: unknown,
    private readonly document: Document,
    private readonly lines: LineCounter,
  ) {}

  /**
   * Reads a file's text without judging its content. Aliases and tags are refused: what a reviewer reads in a place is what
   * is in force there. A syntax error is one problem per error and no document.
   */
  static read(file: string, text: string): PolicyDocument | PolicyProblem[] {
    const lines = new LineCounter();
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      schema: 'core',
      // The library compares every key with every other: done below in one pass.
      uniqueKeys: false,
    });
    const faults = [...document.errors, ...document.warnings].slice(0, MOST_PROBLEMS);
    if (faults.length > 0) {
      return faults.map((fault) => ({ file, line: lines.linePos(fault.pos[0]).line, message: fault.message }));
    }
    const strange = strangeKeys(document);
    if (strange.length > 0) {
      return strange.map(({ offset, message }) => ({ file, line: lines.linePos(offset).line, message }));
    }
    try {
      return new PolicyDocument(file, document.toJS({ maxAliasCount: 0 }), document, lines);
    } catch {
      return [{ file, line: 1, message: 'Aliases (*name) are not allowed: write the value out.' }];
    }
  }

  problem(at: DocumentPath, message: string): PolicyProblem {
    return { file: this.file, line: this.line(at), message };
  }

  /** The line of the value at a path; for a mapping's value the line of its key. The nearest ancestor for a path that is not there. */
  private line(at: DocumentPath): number {
    let node: unknown = this.document.contents;
    let offset = startOf(node) ?? 0;
    for (const step of at) {
      let key: unknown;
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
        key = pair?.key;
        node = pair?.value;
      } else {
        node = isSeq(node) ? node.items[Number(step)] : undefined;
        key = node;
      }
      const found = startOf(key);
      if (found === undefined) break;
      offset = found;
    }
    return this.lines.linePos(offset).line;
  }
}

function startOf(node: unknown): number | undefined {
  return (node as Node | undefined)?.range?.[0];
}

/** Keys that are written twice in a mapping, that are no texts, or that are too many: the first of them. */
function strangeKeys(document: Document): { offset: number; message: string }[] {
  const found: { offset: number; message: string }[] = [];
  visit(document, {
    Map(_, map: YAMLMap) {
      const known = new Set<unknown>();
      const note = (node: unknown, message: string) => void found.push({ offset: startOf(node) ?? 0, message });
      if (map.items.length > MOST_KEYS) note(map, `A mapping has ${MOST_KEYS} keys at most.`);
      for (const { key } of map.items.slice(0, MOST_KEYS)) {
        if (!isScalar(key)) note(key, 'A key is a text.');
        else if (known.has(String(key.value))) note(key, 'Map keys must be unique');
        else known.add(String(key.value));
      }
      return found.length < MOST_PROBLEMS ? undefined : visit.BREAK;
    },
  });
  return found.slice(0, MOST_PROBLEMS);
}

/** A release that was stored before an update of the software may have another schema than those since. */
const MOST_SCHEMAS = 4;
/** Compiled schemas by their text: compiling one takes longer than reading all policies. */
const validators = new LRUCache<string, ValidateFunction>({ max: MOST_SCHEMAS });

function validatorOf(text: string): ValidateFunction {
  const known = validators.get(text);
  if (known !== undefined) return known;
  const ajv = new Ajv2020({ allErrors: true, verbose: true, strict: true, strictTypes: false, strictRequired: false });
  const made = ajv.compile(JSON.parse(text) as object);
  validators.set(text, made);
  return made;
}

/** The JSON Schema (2020-12) that every policy file obeys. */
export class PolicySchema {
  private readonly validate: ValidateFunction;

  /** Throws for a text that is no schema. */
  constructor(readonly text: string) {
    this.validate = validatorOf(text);
  }

  /** Everything in a document that the schema refuses, one problem per line and message. */
  problems(document: PolicyDocument): PolicyProblem[] {
    if (this.validate(document.value)) return [];
    const errors = (this.validate.errors ?? []).filter((error) => error.keyword !== 'if');
    const problems = errors.slice(0, MOST_PROBLEMS).map((error) => document.problem(pathOf(error), messageOf(error)));
    return [...new Map(problems.map((problem) => [`${problem.line} ${problem.message}`, problem])).values()];
  }
}

function pathOf(error: ErrorObject): DocumentPath {
  const steps = error.instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const extra: unknown = error.params['additionalProperty'] ?? error.params['propertyName'] ?? error.propertyName;
  return typeof extra === 'string' ? [...steps, extra] : steps;
}

function messageOf(error: ErrorObject): string {
  const where = error.instancePath === '' ? 'The file' : error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params['additionalProperty']);
    const known = (error.parentSchema as { readonly properties?: object } | undefined)?.properties ?? {};
    return `Unknown key "${key}".${insteadOf(key, Object.keys(known))}`;
  }
  if (error.keyword === 'required') return `${where}: "${String(error.params['missingProperty'])}" is missing.`;
  if (error.keyword === 'enum')
    return `${where}: must be one of ${(error.params['allowedValues'] as unknown[]).join(', ')}.${nearest(error)}`;
  if (error.keyword === 'const') return `${where}: must be "${String(error.params['allowedValue'])}".`;
  return `${where}: ${error.message ?? 'is not allowed'}.`;
}

/** What was nearly meant; nothing where no allowed value is near, because all of them are listed already. */
function nearest({ data, params }: ErrorObject): string {
  const hint = typeof data === 'string' ? insteadOf(data, (params['allowedValues'] as unknown[]).map(String)) : '';
  return hint.startsWith(' Did') ? hint : '';
}
