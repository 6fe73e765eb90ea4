import { hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LogDirectory } from '../../audit/directory.mjs';
import { splitBundle } from '../../audit/entry.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import { Refusal } from '../config/refusal.js';
import { newId } from '../kernel/identifier.js';
import type { ArchiveOptions } from './archive.js';
import { writeDurably } from './durable-file.js';
import { requireLogName } from './keys.js';
import { logPath } from './log-path.js';
import { bareDraft } from './record.js';
import { hasExpired, type KeptRecord, readRetention, type Retention } from './retention.js';

/** What a prune removes, or would: the entries from `from` to before `minimum`. */
export interface PruneOutcome {
  readonly from: number;
  readonly minimum: number;
}

const KINDS = ['entries', 'mac', 'detail'] as const;
/** The index of the first entry that the archive keeps (tlog-tiles: "minimum index"), and the policy behind it. */
const MINIMUM = 'minimum';
const POLICY = 'retention-policy.txt';
/** Bundles that must be missing in a row before the search for remains of an interrupted prune ends. */
const GAP = 4;

/**
 * Deletes from a log's archive what need not be kept any longer (c2sp.org/tlog-tiles, "Pruning"): bundles of entries with
 * what lies beside them, from the beginning, up to the first that holds an entry whose retention has not ended. One
 * disclosure so keeps everything after it. Tiles of hashes stay, so that everything that is left can still be proven.
 *
 * The record of it comes first and goes into the archive, then the minimum is written, then files are deleted: a crash
 * leaves at most files below the minimum, which the next run removes.
 */
export class Pruner {
  constructor(private readonly options: ArchiveOptions) {}

  /** Throws a Refusal under a legal hold, INTEGRITY_FAILED when the archive is not in order; then nothing is deleted. */
  async run(log: string, { dryRun = false } = {}): Promise<PruneOutcome> {
    const { owner, tools, append, settle, clock, say } = this.options;
    const directory = join(this.options.directory, requireLogName(log));
    const archive = new LogDirectory(directory);
    if ((await archive.text('checkpoint')) === null) throw new Refusal(`There is no archive of log ${log}.`);
    const retention = await readRetention(owner, log);
    if (retention.hold) throw new Refusal(`The log ${log} is under a legal hold: nothing of it is pruned.`);

    const from = await minimumIn(archive);
    const minimum = await this.firstKept(log, archive, from, retention);
    if (dryRun) return { from, minimum };
    // The file that names this minimum is no evidence: what need not go yet stays, whatever it says.
    await removeBelow(archive, directory, from, (bytes) => {
      if (recordsIn(bytes).some((record) => record !== null && !hasExpired(record, retention, clock.now()))) {
        throw new Refusal(
          `The archive holds entries below its minimum ${from} whose retention has not ended. Set its file ${MINIMUM} right.`,
        );
      }
    });
    if (minimum === from) return { from, minimum };

    say(`${log}: verifying the archive`);
    await tools.verify(log, directory, await tools.exportLog(log, directory));
    const policy = policyText(log, minimum, retention, clock.now());
    const detail = { key: `prune:${minimum}`, sha256: hash('sha256', policy) };
    await append({ ...bareDraft(log, 'ledger.prune', 'ARCHIVE', newId()), detail });
    await settle();
    // The archive must hold the record that explains what it lacks.
    const size = await tools.exportLog(log, directory);
    await writeDurably(join(directory, POLICY), policy);
    await writeDurably(join(directory, MINIMUM), `${minimum}\n`);
    say(`${log}: deleting entries ${from} to ${minimum - 1}`);
    await removeBelow(archive, directory, minimum);
    await tools.verify(log, directory, size);
    return { from, minimum };
  }

  /** The first index that must stay: of a full bundle with an entry that has not expired, or that the database still has. */
  private async firstKept(log: string, archive: LogDirectory, from: number, retention: Retention): Promise<number> {
    const now = this.options.clock.now();
    let index = from / TILE_WIDTH;
    while (await isExpired(archive, index, retention, now)) index += 1;
    const [stored] = await this.options.owner.query<{ idx: string }>({
      text:
        'SELECT leaf.idx FROM ledger_leaf AS leaf JOIN ledger_entry AS entry ' +
        'ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at ' +
        'WHERE leaf.log = $1 AND leaf.idx >= $2 AND leaf.idx < $3 ORDER BY leaf.idx LIMIT 1',
      values: [log, from, index * TILE_WIDTH],
    });
    if (stored !== undefined) index = Math.floor(Number(stored.idx) / TILE_WIDTH);
    return index * TILE_WIDTH;
  }
}

/** The first index that an archive keeps; 0 where nothing was pruned. */
export async function minimumIn(archive: LogDirectory): Promise<number> {
  const text = (await archive.text(MINIMUM))?.trim() ?? '0';
  const minimum = Number(text);
  if (/^\d{1,15}$/.test(text) && minimum % TILE_WIDTH === 0) return minimum;
  throw new Refusal(`The file ${MINIMUM} of the archive holds no index at which a bundle begins.`);
}

async function isExpired(archive: LogDirectory, index: number, retention: Retention, now: Date): Promise<boolean> {
  const bundle = await archive.bundle(index, TILE_WIDTH);
  if (bundle === null || bundle.entries.length < TILE_WIDTH) return false;
  return bundle.entries.map(recordIn).every((record) => record !== null && hasExpired(record, retention, now));
}

/** The records of a bundle; null for what is none. */
function recordsIn(bundle: Uint8Array): (KeptRecord | null)[] {
  return splitBundle(bundle).entries.map(recordIn);
}

function recordIn(entry: Uint8Array): KeptRecord | null {
  try {
    return JSON.parse(Buffer.from(entry).subarray(32).toString()) as KeptRecord | null;
  } catch {
    return null;
  }
}

/** Removes the bundles before an index. Upwards, so that what a crash leaves lies directly below the minimum. */
async function removeBelow(
  archive: LogDirectory,
  directory: string,
  minimum: number,
  check: (bundle: Uint8Array) => void = () => undefined,
): Promise<void> {
  const end = minimum / TILE_WIDTH;
  let start = end;
  for (let index = end - 1, missing = 0; index >= 0 && missing < GAP; index--) {
    const found = await Promise.all(KINDS.map((kind) => archive.read(pathOf(kind, index))));
    if (found[0] != null) check(found[0]);
    missing = found.every((bytes) => bytes === null) ? missing + 1 : 0;
    if (missing === 0) start = index;
  }
  for (let index = start; index < end; index++) {
    for (const kind of KINDS) await rm(join(directory, pathOf(kind, index)), { force: true });
  }
}

function pathOf(kind: (typeof KINDS)[number], index: number): string {
  return logPath({ kind, level: 0, index, width: TILE_WIDTH });
}

function policyText(log: string, minimum: number, { months, transferMonths }: Retention, now: Date): string {
  return (
    `Retention policy of the log ${log}\n\n` +
    `Entries are kept for ${months} whole months after the month in which they were made, disclosures and exports for ` +
    `${Math.max(months, transferMonths)}. Only the beginning of a log can be removed, so an entry stays as long as one before it.\n` +
    `Entries below index ${minimum} were removed on ${now.toISOString().slice(0, 10)}. Their hashes stay, and so does every proof.\n`
  );
}
