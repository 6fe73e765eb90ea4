// The bare server: Nest, Apollo and MikroORM as their manuals put them together, on Fastify, with production settings.
// PEER_DATABASE_URL names its database. Prints `ready <url>` and serves until SIGTERM.
import 'reflect-metadata';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule } from '@nestjs/graphql';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { peerDatabase } from './database.js';
import { PatientResolver } from './patient.resolver.js';

@Module({
  imports: [
    MikroOrmModule.forRoot({ ...peerDatabase(process.env['PEER_DATABASE_URL'] ?? ''), registerRequestContext: false }),
    GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
  ],
  providers: [PatientResolver],
})
class PeerModule {}

const application = await NestFactory.create<NestFastifyApplication>(PeerModule, new FastifyAdapter(), {
  logger: false,
});
application.enableShutdownHooks();
await application.listen(0, '127.0.0.1');
process.stdout.write(`ready ${await application.getUrl()}/graphql\n`);
