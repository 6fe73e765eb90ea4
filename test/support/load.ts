import { setTimeout as pause } from 'node:timers/promises';
import type { Reply, SystemProcess } from './process.js';

/** What callers were told before the system was gone. */
export interface Acknowledged {
  /** Hashes of the records that the answers named, hexadecimal. */
  readonly records: Set<string>;
  /** Ids of the patients whose creation was answered. */
  readonly created: Set<string>;
  /** Answers with status 200 and data. */
  answers: number;
  /** Codes of the answers that were errors. */
  readonly codes: Set<string>;
}

const LIST = '{ patients(first: 5) { edges { node { id name phone } } } }';
const CREATE = 'mutation($i: CreatePatientInput!) { createPatient(input: $i) { id version } }';
const UPDATE =
  'mutation($id: ID!, $v: Int!, $i: UpdatePatientInput!) { updatePatient(id: $id, version: $v, input: $i) { id version } }';

/** Callers who read and write as fast as they are answered. */
export class Load {
  readonly acknowledged: Acknowledged = { records: new Set(), created: new Set(), answers: 0, codes: new Set() };
  private stopping = false;
  private running: Promise<unknown> = Promise.resolve();

  constructor(private readonly system: SystemProcess) {}

  /** Returns once every caller is signed in and the first answers have come. */
  async start(callers: number): Promise<this> {
    const { system } = this;
    await system.ask('call_center_agent', 'HOPERAT', LIST);
    await system.ask('front_desk', 'PATADMIN', LIST);
    this.running = Promise.all(Array.from({ length: callers }, (_, caller) => this.call(caller)));
    while (this.acknowledged.answers < callers) await pause(5);
    return this;
  }

  /** Resolves when every caller has its last answer or none. */
  async stop(): Promise<Acknowledged> {
    this.stopping = true;
    await this.running;
    return this.acknowledged;
  }

  private async call(caller: number): Promise<void> {
    for (let turn = 0; !this.stopping; turn++) {
      const going = caller % 2 === 0 ? await this.read() : await this.write(caller, turn);
      if (!going) return;
    }
  }

  private async read(): Promise<boolean> {
    return this.note(await this.system.ask('call_center_agent', 'HOPERAT', LIST));
  }

  private async write(caller: number, turn: number): Promise<boolean> {
    const i = { name: `Load ${caller} ${turn}`, gender: 'female', birthDate: '1980-02-03', phone: '13900001111' };
    const created = await this.system.ask('front_desk', 'PATADMIN', CREATE, { i });
    if (!this.note(created)) return false;
    const patient = created?.data['createPatient'] as { id: string; version: string } | undefined;
    if (patient === undefined) return true;
    this.acknowledged.created.add(patient.id);
    const variables = { id: patient.id, v: Number(patient.version), i: { address: `${turn} Long Street` } };
    return this.note(await this.system.ask('front_desk', 'PATADMIN', UPDATE, variables));
  }

  /** False when there was no answer: the system is gone. */
  private note(reply: Reply | null): boolean {
    if (reply === null) return false;
    if (reply.errors.length === 0) this.acknowledged.answers += 1;
    for (const { extensions } of reply.errors) this.acknowledged.codes.add(extensions.code);
    for (const { recordHash } of reply.extensions['ledger']?.records ?? []) this.acknowledged.records.add(recordHash);
    return true;
  }
}
