import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { PostgreSqlDriver, type Options } from '@mikro-orm/postgresql';
import { Patient } from './patient.js';

/** As many connections as the governed server opens. */
const CONNECTIONS = 16;

export function peerDatabase(url: string): Options {
  return {
    driver: PostgreSqlDriver,
    clientUrl: url,
    entities: [Patient],
    metadataProvider: ReflectMetadataProvider,
    pool: { min: 0, max: CONNECTIONS },
  };
}
