#!/usr/bin/env node
/**
 * Verifies a log that lies in a directory of files, from the bytes of its records up. Imports nothing but what lies
 * beside it and Node's own modules: copy the folder anywhere and run it with Node 20 or later.
 *
 * @module
 */
import { realpathSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { walkBundles } from './bundles.mjs';
import { LogDirectory } from './directory.mjs';
import { parseCheckpoint, parseVkey, splitNote, TYPE_ED25519, verifyNote } from './note.mjs';
import { RecordChecks } from './records.mjs';
import { Findings, renderReport } from './report.mjs';
import { Walk } from './walk.mjs';

/** @typedef {import('./note.mjs').Checkpoint} Checkpoint */
/** @typedef {import('./report.mjs').Report} Report */

/**
 * @typedef {object} VerifyOptions
 * @property {readonly string[]} [vkeys] verifier keys that the auditor holds: the log's own, and witnesses'
 * @property {readonly string[]} [checkpoints] older checkpoints (whole notes) that the auditor kept
 */

/**
 * Verifies the log in a directory: `checkpoint`, `log.vkey`, `tile/entries/…`, `tile/<level>/…`.
 * @param {string} directory
 * @param {VerifyOptions} [options]
 * @returns {Promise<Report>}
 */
export async function verifyDirectory(directory, options = {}) {
  const log = new LogDirectory(directory);
  const findings = new Findings();
  const vkeys = options.vkeys ?? (await ownKeys(log, findings));
  const { checkpoint, verified } = openCheckpoint(await log.text('checkpoint'), vkeys, 'The checkpoint', findings);
  if (checkpoint === null) {
    return findings.report({ origin: nameOf(vkeys), size: null, root: null, verified });
  }
  const kept = (options.checkpoints ?? [])
    .map((note) => openCheckpoint(note, vkeys, 'A kept checkpoint', findings).checkpoint)
    .filter((older) => older !== null)
    .sort((a, b) => a.size - b.size);
  const records = new RecordChecks(findings, checkpoint.origin);
  const walk = new Walk(findings, records);
  await walkBundles(log, checkpoint, walk, findings, kept);
  walk.finish(checkpoint.root);
  records.finish();
  return findings.report({ ...checkpoint, verified });
}

/**
 * @param {LogDirectory} log
 * @param {Findings} findings
 * @returns {Promise<string[]>}
 */
async function ownKeys(log, findings) {
  const message = 'The key comes with the log itself, so its signature shows no origin: give the key with --vkey.';
  findings.warn({ index: null, class: 'key', message });
  return keysIn((await log.text('log.vkey')) ?? '');
}

/**
 * @param {string} text verifier keys, one a line
 * @returns {string[]}
 */
function keysIn(text) {
  return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

/**
 * @param {readonly string[]} vkeys
 * @returns {string | null} the name in the first key
 */
function nameOf(vkeys) {
  return vkeys[0]?.split('+')[0] ?? null;
}

/**
 * A checkpoint whose signature fails is a fault, but its text still says where to look for more.
 * @param {string | null} note
 * @param {readonly string[]} vkeys
 * @param {string} what begins the sentence about a fault
 * @param {Findings} findings
 * @returns {{checkpoint: Checkpoint | null, verified: string[]}}
 */
function openCheckpoint(note, vkeys, what, findings) {
  /** @type {Checkpoint | null} */
  let checkpoint = null;
  try {
    if (note === null) throw new Error('It is missing or not text.');
    checkpoint = parseCheckpoint(splitNote(note).text);
    const { origin } = checkpoint;
    const { verified } = verifyNote(note, vkeys);
    const own = vkeys.map(parseVkey).filter((key) => key.name === origin && key.type === TYPE_ED25519);
    if (!own.some((key) => verified.some(({ name, keyId }) => name === key.name && keyId === key.keyId))) {
      throw new Error('It is not signed by the key of its origin.');
    }
    return { checkpoint, verified: verified.map(({ name, keyId }) => `${name}+${keyId}`) };
  } catch (error) {
    const message = `${what} cannot be relied on. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'signature', expected: null, found: null, message });
    return { checkpoint, verified: [] };
  }
}

const USAGE = `Usage: node verify.mjs <directory> [options]

Verifies a ledger that lies in a directory of files (checkpoint, log.vkey, tile/…).

  --vkey <key or file>   the log's verifier key, or a file of keys, as the auditor got it; may be repeated.
                         Without it the key in the directory is used, which shows no origin.
  --checkpoint <file>    an older checkpoint that the auditor kept; may be repeated
  --json                 the whole report as JSON
  --help                 this text

Exit code: 0 no fault, 1 faults, 2 wrong use.
`;

/**
 * @param {readonly string[]} argv
 * @returns {Promise<number>} the exit code
 */
async function main(argv) {
  const flags = /** @type {const} */ ({
    vkey: { type: 'string', multiple: true },
    checkpoint: { type: 'string', multiple: true },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: flags, allowPositionals: true });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const [directory, ...others] = positionals;
    if (directory === undefined || others.length > 0) throw new Error('Give one directory.');
    if (!(await stat(directory)).isDirectory()) throw new Error(`${directory} is not a directory.`);
    const vkeys = values.vkey && (await Promise.all(values.vkey.map(keysFrom))).flat();
    const checkpoints = await Promise.all((values.checkpoint ?? []).map((file) => readFile(file, 'utf8')));
    const report = await verifyDirectory(directory, { vkeys, checkpoints });
    process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report));
    return report.ok ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 2;
  }
}

/**
 * @param {string} textOrFile
 * @returns {Promise<string[]>}
 */
async function keysFrom(textOrFile) {
  const text =
    textOrFile.includes('+') && !(await isFile(textOrFile)) ? textOrFile : await readFile(textOrFile, 'utf8');
  const keys = keysIn(text);
  for (const key of keys) parseVkey(key);
  if (keys.length === 0) throw new Error(`${textOrFile} holds no key.`);
  return keys;
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function isFile(path) {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

const program = process.argv[1];
if (program !== undefined && import.meta.url === pathToFileURL(realpathSync(program)).href) {
  process.exitCode = await main(process.argv.slice(2));
}
