import { MikroORM } from '@mikro-orm/postgresql';
import type { Installation } from './installation.js';
import { peerDatabase } from './peer/database.js';
import { Patient } from './peer/patient.js';
import { syntheticPatient } from './patients.js';
import type { MeasuredServer } from './server.js';

const CONNECTIONS = 16;
const BATCH = 1_000;

/** The synthetic patients through the governed server's own door, one createPatient each. */
export async function seedGoverned(
  installation: Installation,
  server: MeasuredServer,
  headers: Readonly<Record<string, string>>,
  patients: number,
): Promise<void> {
  const figures = await installation.load({
    port: server.port,
    headers,
    connections: CONNECTIONS,
    milliseconds: null,
    work: { kind: 'create', from: 0, to: patients, fields: ['id'], masked: [] },
  });
  console.log(
    `seeded ${figures.requests} patients by createPatient in ${figures.seconds.toFixed(1)} s (${figures.perSecond.toFixed(0)} requests/s, first use of the process included)`,
  );
}

/** The bare server's table with the same patients, a second apart, inserted in bulk. */
export async function seedPeer(url: string, patients: number): Promise<void> {
  const orm = await MikroORM.init(peerDatabase(url));
  try {
    await orm.schema.create();
    const oldest = Date.now() - patients * 1000;
    for (let from = 0; from < patients; from += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, patients - from) }, (_, at) => {
        const values = syntheticPatient(from + at);
        const createdAt = new Date(oldest + (from + at) * 1000);
        return Object.assign(new Patient(), values, { birthYear: Number(values.birthDate.slice(0, 4)), createdAt });
      });
      await orm.em.fork().insertMany(Patient, batch);
    }
  } finally {
    await orm.close();
  }
}
