import { join } from 'node:path';
import { parseCheckpoint, splitNote } from '../../audit/note.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { Refusal } from '../config/refusal.js';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import type { Queryable } from '../persistence/statement.js';
import { dropMonth, type MonthOfLog, monthPartitions, readMonth } from './archive-months.js';
import { exportLog } from './export.js';
import { requireLogName } from './keys.js';
import type { LogFiles } from './log-files.js';
import { manifestHash, writeManifest } from './manifest.js';
import { isPast } from './month.js';
import { bareDraft, type RecordDraft } from './record.js';
import { readRetention, shortestHotMonths } from './retention.js';
import { registeredWriters, writerKeysText } from './writer-release.js';

/** What touches the archive's files. */
export interface ArchiveTools {
  /** Brings the log's archive up to its published checkpoint; returns how many entries that covers. */
  readonly exportLog: (log: string, directory: string) => Promise<number>;
  /** Throws INTEGRITY_FAILED unless the archive holds so many entries and is in order from the bytes of their records up. */
  readonly verify: (log: string, directory: string, size: number) => Promise<void>;
  readonly writeManifest: typeof writeManifest;
}

export interface ArchiveOptions {
  /** The database owner's session, without a limit on statements; no role of the running system may drop a table. */
  readonly owner: Queryable;
  readonly tools: ArchiveTools;
  /** The archive; each log has a directory of its own in it. */
  readonly directory: string;
  /** Durable in the ledger when it resolves. */
  readonly append: (draft: RecordDraft) => Promise<unknown>;
  /** Resolves when everything that was recorded is under a stored checkpoint. */
  readonly settle: () => Promise<void>;
  readonly clock: Clock;
  /** Is told what is going on, a line at a time. */
  readonly say: (line: string) => void;
}

/** What an archive run is to do; a log or month that is not named: all that are due. */
export interface ArchiveOrder {
  readonly log?: string;
  readonly month?: string;
  /** Say only what would be done. */
  readonly dryRun?: boolean;
}

export interface ArchiveOutcome {
  readonly sealed: readonly { readonly log: string; readonly month: string; readonly entries: number }[];
  readonly dropped: readonly string[];
}

/** The standard tools: verified is with the key that signs, and against the checkpoints that are kept, not with what lies there. */
export function archiveTools(files: LogFiles, say: (line: string) => void): ArchiveTools {
  return {
    exportLog: (log, directory) =>
      exportLog(files, log, directory, { progress: progressOf(log, 'in the archive', say) }),
    verify: async (log, directory, size) => {
      const kept = await files.store.kept(log);
      const report = await verifyDirectory(directory, {
        vkeys: [files.vkey(log)],
        progress: progressOf(log, 'verified', say),
        // The log goes on while this runs: what was signed since the export is not in the archive yet.
        checkpoints: kept.filter((note) => parseCheckpoint(splitNote(note).text).size <= size),
        writerKeys: writerKeysText(files.keys.macKey, log, await registeredWriters(files.database, log)) ?? undefined,
      });
      if (!report.ok || report.size !== size) throw unsound(log, report.first);
    },
    writeManifest,
  };
}

/**
 * Moves months of the ledger out of the database. For every log: the month is over, older than the hot period, sequenced and
 * under a stored checkpoint; the log is exported, the files verified from scratch, their hashes written down and recorded in
 * the log. When all logs of a month are that far and none is under a legal hold, the month's partitions are dropped.
 *
 * A crash at any point leaves a state from which the same run starts over: files that are there are kept, a record may be
 * made twice, and until the last statement nothing has left the database.
 */
export class Archiver {
  constructor(private readonly options: ArchiveOptions) {}

  async run(order: ArchiveOrder = {}): Promise<ArchiveOutcome> {
    const months = await this.dueMonths(order);
    const sealed: { log: string; month: string; entries: number }[] = [];
    const byLog = Map.groupBy(months, ({ log }) => log);
    for (const [log, own] of byLog) {
      for (const { month, entries } of own) this.options.say(`${log}: ${month} has ${entries} entries`);
      if (!order.dryRun) await this.seal(log, own);
      sealed.push(...own.map(({ month, entries }) => ({ log, month, entries })));
    }
    if (!order.dryRun) await this.bringUpToDate(order, byLog);
    if (order.dryRun || months.length === 0) return { sealed, dropped: [] };
    // The records of what was archived are to be as safe as what is dropped after them.
    await this.options.settle();
    return { sealed, dropped: await this.drop(new Set(months.map(({ month }) => month))) };
  }

  /** The months that are in the database and old enough, by log; one that was asked for by name must be. */
  private async dueMonths({ log, month }: ArchiveOrder): Promise<MonthOfLog[]> {
    const { owner, clock } = this.options;
    const now = clock.now();
    const youngest = month === undefined ? await shortestHotMonths(owner) : 0;
    const due: MonthOfLog[] = [];
    for (const name of await monthPartitions(owner)) {
      if ((month !== undefined && name !== month) || !isPast(name, now, youngest)) continue;
      for (const own of await readMonth(owner, name)) {
        if (log !== undefined && own.log !== log) continue;
        const { hotMonths } = await readRetention(owner, own.log);
        if (isPast(name, now, hotMonths)) due.push(own);
        else if (month !== undefined) {
          throw new Refusal(`The month ${month} of log ${own.log} stays in the database for ${hotMonths} months.`);
        }
      }
    }
    if (month !== undefined && due.length === 0)
      throw new Refusal(`There is nothing to archive of the month ${month}.`);
    return due;
  }

  /** Archives in which nothing is due grow all the same: what was erased since is taken out of them so. */
  private async bringUpToDate({ log }: ArchiveOrder, done: ReadonlyMap<string, unknown>): Promise<void> {
    const { owner, tools, directory, settle } = this.options;
    const archived = await owner.query<{ log: string }>({
      text: 'SELECT DISTINCT log FROM ledger_archive ORDER BY log',
      values: [],
    });
    await settle();
    for (const { log: name } of archived) {
      if (done.has(name) || (log !== undefined && log !== name)) continue;
      await tools.exportLog(name, join(directory, requireLogName(name)));
    }
  }

  private async seal(log: string, months: readonly MonthOfLog[]): Promise<void> {
    const { owner, tools, append, clock, say } = this.options;
    for (const { month, entries, sequenced } of months) {
      if (sequenced !== entries) throw unsequenced(log, month, entries - sequenced);
    }
    const directory = join(this.options.directory, requireLogName(log));
    const size = await tools.exportLog(log, directory);
    for (const { month, lastIndex } of months) {
      if (lastIndex >= size) throw uncovered(log, month);
    }
    say(`${log}: verifying ${size} entries`);
    await tools.verify(log, directory, size);
    for (const own of months) {
      const { month, entries, firstIndex, lastIndex, archived } = own;
      const known = archived === null ? null : await manifestHash(directory, month);
      if (known !== null && archived?.manifest.equals(known) && archived.entries === entries) continue;
      const manifest = await tools.writeManifest(directory, own, size);
      const detail = { key: `archive:${month}`, sha256: manifest.toString('hex') };
      await append({ ...bareDraft(log, 'ledger.archive', 'ARCHIVE', newId()), detail });
      await owner.query({
        text:
          'INSERT INTO ledger_archive (log, month, entries, first_index, last_index, manifest, archived_at) ' +
          'VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (log, month) DO UPDATE SET entries = excluded.entries, ' +
          'first_index = excluded.first_index, last_index = excluded.last_index, manifest = excluded.manifest, ' +
          'archived_at = excluded.archived_at',
        values: [log, month, entries, firstIndex, lastIndex, manifest, clock.now()],
      });
      say(`${log}: ${month} is archived`);
    }
  }

  private async drop(months: ReadonlySet<string>): Promise<string[]> {
    const dropped: string[] = [];
    for (const month of months) {
      const obstacle = await dropMonth(this.options.owner, month, this.options.clock.now());
      this.options.say(obstacle === null ? `${month} is dropped` : `${month} stays in the database: ${obstacle}`);
      if (obstacle === null) dropped.push(month);
    }
    return dropped;
  }
}

function progressOf(log: string, what: string, say: (line: string) => void): (done: number, size: number) => void {
  let told = 0;
  return (done, size) => {
    const tenth = Math.floor((done * 10) / size);
    if (tenth > told && size > 100_000) say(`${log}: ${done} of ${size} entries ${what}`);
    told = tenth;
  };
}

function unsound(log: string, first: { readonly index: number | null; readonly class: string } | null): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    `The archive of log ${log} does not verify: ${first?.class ?? 'unknown'} at ${first?.index ?? '-'}. Nothing was dropped.`,
    'Run "npm run audit:verify" to see whether the database is in order; a file that a crash spoilt may be removed and is written again.',
  );
}

function unsequenced(log: string, month: string, count: number): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    `The month ${month} of log ${log} has entries that are not sequenced (${count}). Nothing was dropped.`,
    'Run "npm run audit:verify", which tells what stops the sequencer.',
  );
}

function uncovered(log: string, month: string): Failure {
  return new Failure(
    'AUDIT_UNAVAILABLE',
    `The month ${month} of log ${log} is not under a stored checkpoint yet. Nothing was dropped.`,
    'Look at /readyz, then try again.',
  );
}
