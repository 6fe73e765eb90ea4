// Writes generated.ts: the types of the documents, from the committed schema. Stale is red in the tests.
import { codegen } from '@graphql-codegen/core';
import * as typedDocumentNode from '@graphql-codegen/typed-document-node';
import * as typescriptOperations from '@graphql-codegen/typescript-operations';
import { parse } from 'graphql';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import prettier from 'prettier';

const here = import.meta.dirname;
const root = path.resolve(here, '..', '..');
export const FILE = path.join(here, 'generated.ts');

/** The text of generated.ts as it must be. */
export async function generated() {
  const directory = path.join(here, 'documents');
  const documents = readdirSync(directory)
    .sort()
    .map((name) => ({ location: name, document: parse(readFileSync(path.join(directory, name), 'utf8')) }));
  const config = {
    useTypeImports: true,
    enumsAsTypes: true,
    skipTypename: true,
    strictScalars: true,
  };
  const text = await codegen({
    filename: FILE,
    schema: parse(readFileSync(path.join(root, 'src/api/schema.graphql'), 'utf8')),
    documents,
    config,
    pluginMap: { typescriptOperations, typedDocumentNode },
    plugins: [{ typescriptOperations: {} }, { typedDocumentNode: {} }],
  });
  const header = '// Generated from documents/ and the schema by `npm run client`. Do not edit.\n';
  const options = await prettier.resolveConfig(FILE);
  return prettier.format(header + text, { ...options, parser: 'typescript' });
}

if (import.meta.main) {
  writeFileSync(FILE, await generated());
  console.log('generated.ts written');
}
