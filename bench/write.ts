import { signIn } from './client.js';
import type { Installation } from './installation.js';
import { compare, type Pace, type Side } from './rounds.js';
import { seedGoverned, seedPeer } from './seed.js';
import type { MeasuredServer } from './server.js';
import type { Field } from './work.js';

const TENANT = 'T-CN';
const CONNECTIONS = 16;
const FIELDS: readonly Field[] = ['id', 'name', 'birthDate'];

/**
 * createPatient with eight fields, answered with three: sign-in, policy, seals, blind indexes, subject key and ledger record
 * in one statement, against the bare server's persist and flush. Both tables hold the same number of patients at the start.
 */
export async function write(installation: Installation, patients: number, pace: Pace): Promise<number> {
  await seedPeer(installation.peerUrl, patients);
  const governed = await installation.startGoverned();
  const headers = await signIn(governed.port, installation.account(TENANT, 'front_desk'), 'PATADMIN');
  await seedGoverned(installation, governed, headers, patients);
  const bare = await installation.startPeer();
  await installation.settle();
  return compare([side('governed', governed, headers), side('bare', bare, {})], pace);

  function side(name: string, server: MeasuredServer, headers: Readonly<Record<string, string>>): Side {
    let from = patients;
    return {
      name,
      server,
      databaseTime: () => installation.databaseTime(),
      async load(milliseconds) {
        const work = { kind: 'create', from, to: Number.MAX_SAFE_INTEGER, fields: FIELDS, masked: [] } as const;
        const figures = await installation.load({
          port: server.port,
          headers,
          connections: CONNECTIONS,
          milliseconds,
          work,
        });
        from += figures.requests;
        return figures;
      },
    };
  }
}
