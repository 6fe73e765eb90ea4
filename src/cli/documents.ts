import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  buildSchema,
  GraphQLError,
  Kind,
  parse,
  print,
  Source,
  validate,
  visit,
  type DefinitionNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
} from 'graphql';
import { Refusal } from '../config/refusal.js';
import { documentId, manifestOf, type TrustedDocument } from '../config/trusted-documents.js';
import { execute, type CommandInput } from './command.js';

const usage = `Usage: npm run documents -- build | check <directory> [--out F]

  build   writes the list of trusted documents: every operation of the *.graphql files below the directory with the
          fragments that it uses, checked against the schema, by the SHA-256 of its text
  check   writes nothing; exit 1 when the list is not what build would write
  --out   the list (./trusted-documents.json), the file that CUSTODIA_TRUSTED_DOCUMENTS names`;

const SCHEMA = path.resolve('src/api/schema.graphql');

/** The command line of whoever releases a frontend. Returns the exit code: 0 done, 1 something is wrong, 2 wrong use. */
export async function main(argv: string[]): Promise<number> {
  return execute({ usage, words: [2, 2], options: { out: { type: 'string' } }, run }, argv);
}

async function run({ positionals, values }: CommandInput): Promise<boolean> {
  const [action, directory = ''] = positionals;
  if (action !== 'build' && action !== 'check') throw new Refusal(usage, 2);
  const file = path.resolve(String(values['out'] ?? 'trusted-documents.json'));
  const documents = trustedDocuments(path.resolve(directory));
  const text = manifestOf(documents);
  const name = path.relative(process.cwd(), file);
  if (action === 'build') {
    writeFileSync(file, text);
    process.stdout.write(`${name} written\n${documents.length} documents\n`);
    return true;
  }
  const current = existsSync(file) && readFileSync(file, 'utf8') === text;
  process.stdout.write(current ? `${documents.length} documents\n` : `${name} is stale: build it again\n`);
  return current;
}

/** The operations below a directory. Throws a Refusal that names file, line and column of what is wrong. */
function trustedDocuments(directory: string): TrustedDocument[] {
  const definitions = filesBelow(directory).flatMap(definitionsOf);
  const fragments = named(definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION));
  const operations = definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  if (operations.length === 0) throw new Refusal('There is no operation in the *.graphql files of the directory.');
  named(operations);
  const schema = buildSchema(readFileSync(SCHEMA, 'utf8'));
  return operations.map((operation) => {
    const document = closure(operation, fragments);
    const problems = validate(schema, document);
    if (problems.length > 0) throw new Refusal(problems.map(place).join('\n'));
    const body = print(document);
    return { id: documentId(body), name: nameOf(operation), type: operation.operation, body };
  });
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) throw new Refusal('There is no such directory.', 2);
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.graphql'))
    .sort()
    .map((name) => path.join(directory, name));
}

function definitionsOf(file: string): DefinitionNode[] {
  const source = new Source(readFileSync(file, 'utf8'), path.relative(process.cwd(), file));
  try {
    return [...parse(source).definitions];
  } catch (error) {
    throw error instanceof GraphQLError ? new Refusal(place(error)) : error;
  }
}

/** By name. A definition without a name, or with one that another has, cannot be asked for. */
function named<Definition extends OperationDefinitionNode | FragmentDefinitionNode>(
  definitions: readonly Definition[],
): ReadonlyMap<string, Definition> {
  const known = new Map<string, Definition>();
  for (const one of definitions) {
    const name = nameOf(one);
    const why = name === '' ? 'An operation needs a name.' : known.has(name) ? `There are two of ${name}.` : null;
    if (why !== null) throw new Refusal(place(new GraphQLError(why, { nodes: [one] })));
    known.set(name, one);
  }
  return known;
}

function nameOf(definition: OperationDefinitionNode | FragmentDefinitionNode): string {
  return definition.name?.value ?? '';
}

/** The operation and the fragments that it uses, directly or not, by name: the text must not hang on the order of files. */
function closure(
  operation: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): DocumentNode {
  const used = new Set<string>();
  const collect = (definition: OperationDefinitionNode | FragmentDefinitionNode) => {
    visit(definition, {
      FragmentSpread({ name: { value } }) {
        const fragment = fragments.get(value);
        if (fragment === undefined || used.has(value)) return;
        used.add(value);
        collect(fragment);
      },
    });
  };
  collect(operation);
  const needed = [...used].sort().flatMap((name) => fragments.get(name) ?? []);
  return { kind: Kind.DOCUMENT, definitions: [operation, ...needed] };
}

function place({ message, source, locations }: GraphQLError): string {
  const [at] = locations ?? [];
  return at === undefined ? message : `${source?.name ?? ''}:${at.line}:${at.column} ${message}`;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
