/**
 * The verification of a whole log, or of what came since the last one, from the bytes of its records up.
 *
 * @module
 */
import { InlineInspections, walkBundles } from './bundles.mjs';
import { toHex } from './bytes.mjs';
import { restore, save } from './incremental.mjs';
import { KeptCheckpoints } from './kept.mjs';
import { parseWriterKeys } from './mac.mjs';
import { parsePolicy } from './policy.mjs';
import { RecordChecks } from './records.mjs';
import { Findings } from './report.mjs';
import { MissingTile, TiledTree } from './roots.mjs';
import { keysOf, openCheckpoint, requireQuorum } from './trust.mjs';
import { Walk } from './walk.mjs';

/** @typedef {import('./bundles.mjs').Inspections} Inspections */
/** @typedef {import('./incremental.mjs').StateStore} StateStore */
/** @typedef {import('./inspection.mjs').InspectionOptions} InspectionOptions */
/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('./source.mjs').LogSource} LogSource */

/**
 * @typedef {object} VerifyOptions
 * @property {readonly string[]} [vkeys] verifier keys that the auditor holds: the log's own, and witnesses'
 * @property {readonly string[]} [checkpoints] older checkpoints (whole notes) that the auditor kept
 * @property {string} [policy] the text of a policy (c2sp.org/tlog-policy): its quorum of witnesses is demanded
 * @property {string} [writerKeys] lines `<writer> <key>`, beside those that the log itself has released
 * @property {boolean} [withoutDetails] sealed details are neither demanded nor checked
 * @property {boolean} [hashesOnly] chain, leaves and tree alone; no record is read
 * @property {StateStore} [state] where an earlier verification left what it came to; this one goes on from it
 * @property {number} [workers] threads beside this one; 0 and 1 mean none
 * @property {(entries: number, size: number) => void} [progress] called as the entries are checked
 */

/** Opens what inspects the bundles. @typedef {(source: LogSource, size: number, from: number, options: InspectionOptions) => Inspections} StartInspections */

/** @type {StartInspections} */
const inline = (source, size, _, options) => new InlineInspections(source, size, options);

/**
 * @param {LogSource} source
 * @param {VerifyOptions} [options]
 * @param {StartInspections} [start] in other threads, where the platform has them
 * @returns {Promise<Report>}
 * @throws {Error} for options that make no sense, and for a source that cannot be read; never for what a log contains
 */
export async function verifySource(source, options = {}, start = inline) {
  if (options.hashesOnly && options.state) throw new Error('An incremental verification needs the records.');
  const findings = new Findings();
  const policy = options.policy === undefined ? null : parsePolicy(options.policy);
  const trust = await keysOf(source, options.vkeys, policy, findings);
  const note = await source.text('checkpoint');
  const { checkpoint, verified } = openCheckpoint(note, trust, 'The checkpoint', findings);
  if (policy !== null && note !== null && checkpoint !== null) requireQuorum(policy, note, findings);
  if (checkpoint === null) {
    return findings.report({ origin: trust.name, size: null, root: null, verified });
  }
  const kept = (options.checkpoints ?? [])
    .map((older) => openCheckpoint(older, trust, 'A kept checkpoint', findings).checkpoint)
    .filter((older) => older !== null);
  const { size } = checkpoint;
  const earlier = options.state === undefined ? null : await restore(options.state, source, checkpoint, findings);
  if (earlier?.ok === false) return findings.report({ ...checkpoint, verified });

  const inspection = await inspectionOf(source, options, findings);
  const records = new RecordChecks(findings, inspection, earlier?.records);
  const walk = new Walk(findings, records, earlier?.start);
  const from = walk.size;
  const older = new KeptCheckpoints(kept, checkpoint, findings);
  const tree = new TiledTree(source, size);
  await older.compareBefore(walk, tree);
  const inspections = start(source, size, from, inspection);
  try {
    const minimum = minimumOf(await source.text('minimum'));
    const { progress } = options;
    const journey = { source, size, minimum, options: inspection, walk, findings, kept: older, inspections, progress };
    await walkBundles(journey);
  } finally {
    await inspections.close();
  }
  walk.finish(checkpoint.root);
  records.witnessed(checkpoint.witnessed);
  records.finish(checkpoint.origin);
  older.finish(records.starts);
  const { unasked } = records.details;
  if (unasked > 0) {
    const message = `${unasked} records name sealed details, which were not looked at.`;
    findings.warn({ index: null, class: 'detail', message });
  }
  if (findings.faultCount === 0) await compareReplaced(records, tree, from, findings);
  const report = findings.report({ ...checkpoint, verified }, { entries: walk.size - from, ...records.checked });
  if (options.state !== undefined && report.ok) await save(options.state, checkpoint, walk, records);
  return report;
}

/**
 * @param {LogSource} source
 * @param {VerifyOptions} options
 * @param {Findings} findings
 * @returns {Promise<InspectionOptions>}
 */
async function inspectionOf(source, { hashesOnly = false, withoutDetails = false, writerKeys = '' }, findings) {
  if (hashesOnly) {
    const message = 'Only hashes were checked: not what the records say, nor their numbers, MACs and details.';
    findings.warn({ index: null, class: 'hashes-only', message });
    return { records: false, details: false, keys: new Map() };
  }
  const own = parseWriterKeys(writerKeys);
  const released = (await source.text('writer.keys')) ?? '';
  const details = !withoutDetails && (await source.hasDetails());
  try {
    return { records: true, details, keys: new Map([...parseWriterKeys(released), ...own]) };
  } catch (error) {
    const message = `The log's file writer.keys cannot be read. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'mac', expected: null, found: null, message });
    return { records: true, details, keys: own };
  }
}

/**
 * A restore that gave up nothing: the checkpoint that it names must be a prefix of the log.
 * @param {RecordChecks} records
 * @param {TiledTree} tree
 * @param {number} from
 * @param {Findings} findings
 * @returns {Promise<void>}
 */
async function compareReplaced({ starts }, tree, from, findings) {
  for (const { index, replaces } of starts.starts) {
    if (replaces === null || index < from || replaces.size > index) continue;
    const found = await tree.rootAt(replaces.size).then(toHex, (error) => {
      if (error instanceof MissingTile) return null;
      throw error;
    });
    if (found === replaces.root) continue;
    const message = `The log did not have the root at size ${replaces.size} that START says it replaces.`;
    findings.fault({ index, class: 'consistency', expected: replaces.root, found, message });
  }
}

/**
 * @param {string | null} text
 * @returns {number}
 */
function minimumOf(text) {
  return /^(0|[1-9][0-9]{0,14})\n?$/.test(text ?? '') ? Number(text) : 0;
}
