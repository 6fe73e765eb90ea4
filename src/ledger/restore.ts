import { createHmac, hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { LogDirectory } from '../../audit/directory.mjs';
import { SUITE, ZERO_LEAF } from '../../audit/entry.mjs';
import { type Checkpoint, parseCheckpoint, verifyNote, vkey } from '../../audit/note.mjs';
import { Refusal } from '../config/refusal.js';
import type { Clock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import type { Database } from '../persistence/database.js';
import type { Queryable } from '../persistence/statement.js';
import { retireArchive } from './archive-retirement.js';
import { Chain } from './chain.js';
import { Checkpointer } from './checkpoint.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { insertEntries, type PreparedRecord } from './entry-statement.js';
import { LedgerFault } from './fault.js';
import { headMac } from './head.js';
import { type Incarnations, readIncarnations } from './incarnation.js';
import type { LedgerKeys } from './keys.js';
import { type HeadRow, requirePriorState } from './prior-state.js';
import { bareDraft, encodeRecord, type RecordStamp } from './record.js';
import { LEADER_LOCK, type Session } from './session.js';
import { releaseWriters } from './writer-ending.js';
import { commitmentOf, writerKey } from './writer-key.js';

export interface RestoreOptions {
  /** A session of the sequencer's role: holds the leader's lock, so that no process of the system runs meanwhile. */
  readonly session: Session;
  /** The database owner's session, which keeps other commands from the archive too. */
  readonly owner: Queryable;
  readonly app: Database;
  readonly sequencer: Database;
  readonly keys: LedgerKeys;
  readonly store: CheckpointStore;
  readonly archiveDirectory: string;
  readonly clock: Clock;
}

/** What was signed for a log, and what the database has of it. */
export interface RestoredLog {
  readonly log: string;
  /** The last checkpoint; null: none was signed. */
  readonly signed: Checkpoint | null;
  /** Sequenced entries, and committed ones that wait for it. */
  readonly size: number;
  readonly unsequenced: number;
  /** Of its last START record; the last that was signed, for a log that the database does not know. */
  readonly incarnation: number;
}

export interface Survey {
  readonly incarnations: Incarnations;
  /** The incarnation that a declaration begins, or finishes to begin. */
  readonly next: number;
  /** Whether there is anything to declare. */
  readonly needed: boolean;
  readonly logs: readonly RestoredLog[];
}

interface SurveyedHead extends HeadRow {
  readonly incarnation: number;
  readonly unsequenced: string;
}

const EMPTY_ROOT = hash('sha256', '', 'buffer');

/** What the operator has to repeat, so that nobody declares a state that was not looked at. */
export function confirmationOf({ logs }: Survey): string {
  return logs.map(({ log, size, unsequenced }) => `${log}=${size + unsequenced}`).join(',');
}

/**
 * The declared restore: an older database becomes the ledger's present, in the open. Every log goes on under a new origin, in
 * a new incarnation, and its first record then names the checkpoint that is given up. What was signed before is set aside, not
 * deleted. A crash at any point leaves a system that does not start; declaring again finishes it.
 */
export class Restore {
  private constructor(private readonly options: RestoreOptions) {}

  /** Takes the leader's lock for as long as the session lives; refuses while a process of the system runs. */
  static async open(options: RestoreOptions): Promise<Restore> {
    const [row] = await options.session.query<{ taken: boolean }>({
      text: 'SELECT pg_try_advisory_lock($1::bigint) AS taken',
      values: [LEADER_LOCK],
    });
    if (row?.taken !== true) throw new Refusal('A process of the system is running on this database: stop it first.');
    // Between its statements whole logs are read, and without the session there is no lock.
    await options.session.query({ text: 'SET idle_session_timeout = 0', values: [] });
    return new Restore(options);
  }

  /** Throws a {@link LedgerFault} where the database is no earlier state of what was signed, but another one. */
  async survey(): Promise<Survey> {
    const { sequencer, store, keys } = this.options;
    const incarnations = await readIncarnations(sequencer, store, keys);
    const { stored, declared, unfinished, foreign } = incarnations;
    if (stored > declared + 1) throw new Refusal('The checkpoint store is older than the database: restore it first.');
    const next = unfinished ? stored : Math.max(stored, declared) + 1;
    const heads = new Map((await this.heads()).map((head) => [head.log, head]));
    const logs: RestoredLog[] = [];
    for (const log of [...new Set([...heads.keys(), ...(await store.logs())])].sort()) {
      const head = heads.get(log);
      const signed = await this.signed(log, next - 1);
      if (head !== undefined && !unfinished)
        await requirePriorState({ database: sequencer, store, keys }, head, signed);
      const [size, unsequenced] = [Number(head?.size ?? 0), Number(head?.unsequenced ?? 0)];
      logs.push({ log, signed, size, unsequenced, incarnation: head?.incarnation ?? next - 1 });
    }
    const lost = logs.some(({ signed, size }) => signed !== null && signed.size > size);
    return { incarnations, next, needed: unfinished || stored < declared || foreign || lost, logs };
  }

  /**
   * @param reason SHA-256 (hexadecimal) of what was confirmed or of the written reason: it stands in every START record
   */
  async declare({ incarnations, next, logs }: Survey, reason: string): Promise<void> {
    const { session, sequencer, store, keys, archiveDirectory } = this.options;
    const chain = new Chain(keys.macKey);
    if (incarnations.stored < next) {
      while ((await chain.pass(session, { restored: true })) > 0);
      await this.raise(incarnations.stored, next);
      chain.forget();
    }
    await this.releaseAgain(logs);
    const cuts = await this.start(next, logs, reason);
    while ((await chain.pass(session)) > 0);
    for (const { log } of logs) {
      await retireArchive(archiveDirectory, log, next - 1, cuts.get(log) ?? 0);
    }
    for (const { log, signed } of logs) if (signed !== null) await store.retire(log, next - 1);
    if ((await store.incarnation()) < next) await store.retire(logs[0]?.log ?? '', next - 1);
    const signer = (log: string) => keys.signer(log, next);
    await new Checkpointer({ database: sequencer, store, keys: { ...keys, signer } }).publish();
  }

  /** What was made public stays public: the sequencer must know it before it takes the next record. */
  private async releaseAgain(logs: readonly RestoredLog[]): Promise<void> {
    const { owner, archiveDirectory, clock } = this.options;
    for (const { log } of logs) {
      const text = (await new LogDirectory(join(archiveDirectory, log)).text('writer.keys')) ?? '';
      const writers = text.split('\n').flatMap((line) => line.split(' ')[0] || []);
      if (writers.length > 0) await releaseWriters(owner, log, writers, clock.now());
    }
  }

  /** One statement: everything is sequenced, or nothing is raised. From here on ids say what is old, not transaction ids. */
  private async raise(from: number, to: number): Promise<void> {
    const raised = await this.options.session.query({
      text:
        'UPDATE ledger_sequence SET incarnation = $2, last_xid = pg_snapshot_xmin(pg_current_snapshot()), last_id = 0, ' +
        'restored_id = greatest(restored_id, (SELECT coalesce(max(entry_id), 0) FROM ledger_leaf)) ' +
        'WHERE incarnation = $1 AND NOT EXISTS (SELECT 1 FROM ledger_entry ' +
        'WHERE (xid, id) > (last_xid, last_id) AND id > restored_id) RETURNING incarnation',
      values: [from, to],
    });
    if (raised.length !== 1) throw new Refusal('Somebody writes to this database: stop every process first.');
  }

  /**
   * A START record for every log that has none of this incarnation, all of them or none; one more for each declaration that
   * was rolled back with the database. Returns how many sequenced entries of each log were there when it was declared.
   */
  private async start(next: number, logs: readonly RestoredLog[], reason: string): Promise<Map<string, number>> {
    const { app, sequencer, clock } = this.options;
    const writer = randomBytes(8).toString('hex');
    const recordedAt = clock.now();
    await sequencer.query(null, { text: 'SELECT ensure_ledger_months($1, 2)', values: [recordedAt] });
    const cuts = await this.started(next);
    const records: PreparedRecord[] = [];
    for (const own of logs) {
      if (cuts.has(own.log)) continue;
      cuts.set(own.log, own.size);
      await this.ensureHead(own.log, next);
      for (let life = own.incarnation + 1; life <= next; life++) {
        const given = life === next ? own.signed : await this.retired(own.log, life - 1);
        const stamp = { incarnation: life, writer, number: life - own.incarnation, time: recordedAt.toISOString() };
        records.push(this.record(own, given, stamp, recordedAt, reason));
      }
    }
    if (records.length > 0) await app.query(null, insertEntries(records));
    await sequencer.query(null, { text: 'UPDATE ledger_head SET incarnation = $1', values: [next] });
    return cuts;
  }

  private record(
    { log, size }: RestoredLog,
    given: Checkpoint | null,
    stamp: RecordStamp,
    recordedAt: Date,
    reason: string,
  ): PreparedRecord {
    const { keys } = this.options;
    const { incarnation, writer, number } = stamp;
    const key = writerKey(keys.macKey, log, writer);
    const detail = { key: `restored:${size}`, sha256: reason };
    const bytes = encodeRecord(
      { ...bareDraft(log, 'ledger.restored', 'START', newId()), reason: true, detail },
      stamp,
      {
        ...(number === 1 ? { commitment: commitmentOf(key) } : {}),
        suite: SUITE,
        origin: keys.signer(log, incarnation).name,
        replaces: {
          origin: keys.signer(log, incarnation - 1).name,
          size: given?.size ?? 0,
          root: (given?.root ?? EMPTY_ROOT).toString('hex'),
        },
      },
    );
    const mac = createHmac('sha256', key).update(bytes).digest();
    return { log, writer, number, bytes, hash: hash('sha256', bytes, 'buffer'), mac, recordedAt, sealed: null };
  }

  /** Logs that have their START record of an incarnation, with the size that it names. */
  private async started(incarnation: number): Promise<Map<string, number>> {
    const rows = await this.options.sequencer.query<{ log: string; record: Buffer }>(null, {
      text:
        'SELECT log, record FROM ledger_entry, ledger_sequence WHERE id > restored_id ' +
        'AND position($1::bytea IN record) > 0',
      values: [Buffer.from(`"incarnation":${incarnation},"kind":"START"`)],
    });
    return new Map(
      rows.map(({ log, record }) => {
        const { detail } = JSON.parse(record.toString()) as { detail?: { key: string } };
        return [log, Number(detail?.key.split(':')[1] ?? 0)];
      }),
    );
  }

  /** A log that was made after the dump is lost whole; it begins again, so that this stands somewhere. */
  private async ensureHead(log: string, incarnation: number): Promise<void> {
    const { sequencer, keys } = this.options;
    const empty = { log, size: 0, lastLeaf: ZERO_LEAF, range: Buffer.alloc(0) };
    await sequencer.query(null, {
      text:
        'INSERT INTO ledger_head (log, size, last_leaf, compact_range, incarnation, mac) ' +
        "VALUES ($1, 0, $2, '', $3, $4) ON CONFLICT DO NOTHING",
      values: [log, ZERO_LEAF, incarnation, headMac(keys.macKey, empty)],
    });
  }

  /** The stored checkpoint of a log, if it is of the incarnation that is given up. */
  private async signed(log: string, incarnation: number): Promise<Checkpoint | null> {
    return this.opened(log, incarnation, await this.options.store.read(log));
  }

  /** The last checkpoint of an earlier incarnation. */
  private async retired(log: string, incarnation: number): Promise<Checkpoint | null> {
    return this.opened(log, incarnation, await this.options.store.readRetired(log, incarnation));
  }

  private opened(log: string, incarnation: number, note: string | null): Checkpoint | null {
    if (note === null) return null;
    const { name, privateKey } = this.options.keys.signer(log, incarnation);
    try {
      const { text } = verifyNote(note, [vkey(name, privateKey)]);
      const checkpoint = parseCheckpoint(text);
      if (checkpoint.origin === name) return checkpoint;
    } catch {
      // What is wrong with it is the verifier's business.
    }
    throw new LedgerFault(log, 0, 'signature', `The stored checkpoint of log ${log} cannot be relied on.`);
  }

  private heads(): Promise<SurveyedHead[]> {
    return this.options.sequencer.query<SurveyedHead>(null, {
      text:
        'SELECT head.log, size, last_leaf, compact_range, mac, head.incarnation, (SELECT count(*) FROM ledger_entry AS entry, ledger_sequence ' +
        'WHERE entry.log = head.log AND (xid, id) > (last_xid, last_id) AND id > restored_id) AS unsequenced ' +
        'FROM ledger_head AS head ORDER BY log',
      values: [],
    });
  }
}
