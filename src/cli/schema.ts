import 'reflect-metadata';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { NestFactory } from '@nestjs/core';
import { GraphQLSchemaBuilderModule, GraphQLSchemaFactory } from '@nestjs/graphql';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { resolvers } from '../app.module.js';
import { runCommand } from './command.js';

const usage = `Usage: npm run schema [-- --check]

  Writes src/api/schema.graphql, the full form of the public contract, from the resolvers.

  --check   writes nothing; exit 1 when the committed file is stale`;

const FILE = path.resolve('src/api/schema.graphql');
const HEADER = '# Generated from the resolvers by `npm run schema`. Do not edit.\n\n';

await runCommand({
  usage,
  options: { check: { type: 'boolean' } },
  async run({ values }) {
    const text = await generated();
    if (values['check'] !== true) {
      writeFileSync(FILE, text);
      process.stdout.write(`${path.relative(process.cwd(), FILE)} written\n`);
      return true;
    }
    const fresh = existsSync(FILE) && readFileSync(FILE, 'utf8') === text;
    process.stdout.write(fresh ? 'schema.graphql is current\n' : 'schema.graphql is stale: run npm run schema\n');
    return fresh;
  },
});

async function generated(): Promise<string> {
  const application = await NestFactory.create(GraphQLSchemaBuilderModule, new FastifyAdapter(), { logger: false });
  await application.init();
  const schema = await application.get(GraphQLSchemaFactory).create(resolvers);
  await application.close();
  return `${HEADER}${printSchema(lexicographicSortSchema(schema))}\n`;
}
