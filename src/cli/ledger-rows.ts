import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import '../domain/nouns.js';
import type { LogFiles } from '../ledger/log-files.js';
import { listLogs } from '../ledger/logs.js';
import {
  storedVersions,
  WrittenRows,
  type RowDifference,
  type VersionsByType,
  type WritingRecord,
} from '../operation/row-history.js';
import { Database } from '../persistence/database.js';
import type { CommandInput } from './command.js';
import { say, withLedger } from './ledger-access.js';

export const rowsUsage = `npm run ledger -- rows --tenant T

  compares how often every row was written, by the ledger, with the versions of the rows that are there: names persons, by
  their references, whose rows were taken back to an older version, deleted or changed without a record; exit 1 for any.
  Verify the ledger as well (npm run audit:verify): this command takes its word`;

export const rowsOptions = { tenant: { type: 'string' } } as const;

const PAGE = 4_096;
/** Who writes all the time is not judged: his rows and records were never looked at in the same moment. */
const ROUNDS = 5;

export async function rows({ values }: CommandInput): Promise<boolean> {
  const { tenant } = values;
  if (typeof tenant !== 'string') throw new Refusal(rowsUsage, 2);
  return withLedger(readConfiguration(), async (files, fault, open) => {
    if (fault !== null) throw fault;
    if (open === null) throw new Error('The ledger is neither open nor at fault.');
    if (tenant === 'system' || !(await listLogs(files.database)).includes(tenant)) {
      throw new Refusal(`There is no log ${tenant} of a tenant.`);
    }
    const database = await Database.connect(open.database.appUrl, { maximum: 1, name: 'custodia ledger rows' });
    try {
      const written = new HistoryReader(files, tenant, () => open.ledger.settle(10_000));
      const found = await settledDifferences(written, () => storedVersions(database, tenant));
      for (const { type, subject, stored, written: times } of found) {
        const whose = subject === null ? 'several persons together' : subject === '' ? 'nobody' : subject;
        process.stdout.write(`${type} of ${whose}: versions ${stored}, written ${times} times by the ledger\n`);
      }
      process.stdout.write(`${tenant}: ${written.read} entries read, ${found.length} differences\n`);
      return found.length === 0;
    } finally {
      await database.close();
    }
  });
}

/** Reads a log once, and later what was added. */
class HistoryReader {
  readonly rows = new WrittenRows();
  read = 0;

  constructor(
    private readonly files: LogFiles,
    private readonly log: string,
    private readonly settle: () => Promise<void>,
  ) {}

  async goOn(): Promise<void> {
    await this.settle();
    const end = (await this.files.published(this.log))?.size ?? 0;
    while (this.read < end) {
      const page = await this.files.rows(this.log, this.read, Math.min(PAGE, end - this.read));
      for (const { entry } of page) {
        if (entry === null)
          throw new Refusal('An entry of the log is not at hand: verify the ledger, or fetch its archive.');
        this.rows.take(JSON.parse(entry.subarray(32).toString()) as WritingRecord);
      }
      this.read += page.length;
      if (this.read % (64 * PAGE) === 0) say(`${this.read} of ${end} entries`);
    }
  }
}

/** Differences that stand still: the ledger says the same of them before and after the rows were looked at. */
async function settledDifferences(
  history: HistoryReader,
  stored: () => Promise<VersionsByType>,
): Promise<RowDifference[]> {
  const settled = new Map<string, RowDifference>();
  let before: ReadonlyMap<string, RowDifference> | null = null;
  for (let round = 0; round < ROUNDS; round += 1) {
    const versions = await stored();
    await history.goOn();
    const now = new Map(history.rows.differences(versions).map((one) => [`${one.type} ${one.subject}`, one]));
    let moving = false;
    for (const [name, one] of now) {
      const earlier = before?.get(name);
      if (earlier !== undefined && earlier.written === one.written) settled.set(name, one);
      else moving = true;
    }
    if (!moving) break;
    before = now;
  }
  return [...settled.values()];
}
