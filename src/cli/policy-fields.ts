import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, getNamedType, isLeafType, isObjectType } from 'graphql';
import { UNGOVERNED_FIELDS } from '../domain/governed.js';
import { registry } from '../kernel/attribute.js';
import { PolicyError, type PolicyProblem } from '../policy/error.js';
import type { CommandInput } from './command.js';

/** Where the generated schema lies beside the sources; what was built and shipped has none, and is checked when it boots. */
const GENERATED = path.join('src', 'api', 'schema.graphql');

export const schemaOption = { schema: { type: 'string' } } as const;

/** Throws PolicyError where a value of the GraphQL schema has no class: no policy could say anything about it. */
export function refuseUnclassified({ values }: CommandInput): void {
  const file = String(values['schema'] ?? GENERATED);
  if (values['schema'] === undefined && !existsSync(file)) return;
  const problems = unclassifiedFields(readFileSync(file, 'utf8'), file);
  if (problems.length > 0) throw new PolicyError(problems);
}

/** The leaves of governed types that were not declared as attributes. Relations are operations, which the boot checks. */
export function unclassifiedFields(text: string, file: string): PolicyProblem[] {
  const schema = buildSchema(text);
  return registry.all().flatMap((noun) => {
    const type = schema.getType(noun.type);
    if (!isObjectType(type)) return [];
    return Object.values(type.getFields())
      .filter((field) => isLeafType(getNamedType(field.type)))
      .filter(({ name }) => !noun.attributes.has(name) && !UNGOVERNED_FIELDS.has(name))
      .map(({ name, astNode }) => ({
        file,
        line: astNode?.loc?.startToken.line ?? 1,
        message: `${noun.type}.${name} has no class (UNCLASSIFIED_FIELD): declare it with @Attribute.`,
      }));
  });
}
