#!/usr/bin/env node
/**
 * Verifies a log from the bytes of its records up: one that lies in a directory of files, or one that is served over HTTP.
 * Imports nothing but what lies beside it and Node's own modules: copy the folder anywhere and run it with Node 20 or
 * later.
 *
 * @module
 */
import { realpathSync } from 'node:fs';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { toHex } from './bytes.mjs';
import { verifyCheckpoints } from './consistency.mjs';
import { LogDirectory } from './directory.mjs';
import { parseVkey } from './note.mjs';
import { verifyProof } from './proof.mjs';
import { Findings, renderReport } from './report.mjs';
import { SlicedInspections } from './slices.mjs';
import { HttpLog } from './source.mjs';
import { keysIn } from './trust.mjs';
import { verifySource as verifyLog } from './verification.mjs';
import { InspectorThread } from './workers.mjs';

/** @typedef {import('./incremental.mjs').StateStore} StateStore */
/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('./source.mjs').LogSource} LogSource */
/** @typedef {import('./verification.mjs').VerifyOptions} VerifyOptions */

/**
 * Verifies the log in a directory: `checkpoint`, `log.vkey`, `tile/entries/…`, `tile/<level>/…`.
 * @param {string} directory
 * @param {VerifyOptions} [options]
 * @returns {Promise<Report>}
 */
export function verifyDirectory(directory, options = {}) {
  return verifySource(new LogDirectory(directory, { blocking: true }), options);
}

/**
 * Verifies the log of a source, with worker threads where the options ask for them and the source can be opened again.
 * @param {LogSource} source
 * @param {VerifyOptions} [options]
 * @returns {Promise<Report>}
 */
export function verifySource(source, options = {}) {
  const description = source.description?.();
  const { workers = 1 } = options;
  if (workers < 2 || description === undefined) return verifyLog(source, options);
  return verifyLog(source, options, (_, size, from, inspection) => {
    const threads = Array.from({ length: workers }, () => new InspectorThread(description, size, inspection));
    return new SlicedInspections(threads, size, from);
  });
}

const USAGE = `Usage: node verify.mjs <directory or URL> [options]
       node verify.mjs <directory or URL> --from <checkpoint> --to <checkpoint> [options]
       node verify.mjs --proof <file.tlog-proof> --record <file> --vkey <key> | --policy <file>

Verifies a ledger that lies in a directory of files (checkpoint, log.vkey, tile/…) or is served over HTTP, whole; or that
one checkpoint extends another; or that one record is in a log.

  --vkey <key or file>   the log's verifier key, or a file of keys, as the auditor got it; may be repeated.
                         Without it the key that comes with the log is used, which shows no origin.
  --policy <file>        a policy (c2sp.org/tlog-policy): its keys, and the quorum of witnesses that it demands
  --checkpoint <file>    an older checkpoint that the auditor kept; may be repeated
  --state <file>         goes on from the last verification, whose outcome is in this file, and saves the new one.
                         Without the file the whole log is verified
  --writer-keys <file>   keys of writers that have ended, beside those in the log's writer.keys: their MACs are checked
  --without-details      sealed details are not demanded
  --hashes-only          chain, leaves and tree alone; the verdict says so
  --from <file> --to <file>
                         two checkpoints: does the newer extend the older? Reads tiles, no entries
  --proof <file> --record <file>
                         the exact bytes of one record, and the proof that it is in the log. Needs no log
  --token-file <file>    for a URL: the file with the token that the server demands
  --purpose <code>       for a URL: the purpose of use that is declared, such as HCOMPL
  --workers <N>          threads, 1 to 64 (1)
  --progress             how far it is, on stderr; by itself on a terminal
  --json                 the whole report as JSON
  --help                 this text

Exit code: 0 no fault, 1 faults, 2 wrong use, or a log that cannot be read.
`;

const FLAGS = /** @type {const} */ ({
  vkey: { type: 'string', multiple: true },
  policy: { type: 'string' },
  checkpoint: { type: 'string', multiple: true },
  state: { type: 'string' },
  'writer-keys': { type: 'string' },
  'without-details': { type: 'boolean' },
  'hashes-only': { type: 'boolean' },
  from: { type: 'string' },
  to: { type: 'string' },
  proof: { type: 'string' },
  record: { type: 'string' },
  'token-file': { type: 'string' },
  purpose: { type: 'string' },
  workers: { type: 'string' },
  progress: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
});

/** @typedef {ReturnType<typeof read>['values']} Flags */

/** @param {readonly string[]} argv */
function read(argv) {
  return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
}

/**
 * @param {readonly string[]} argv
 * @returns {Promise<number>} the exit code
 */
async function main(argv) {
  try {
    const { values, positionals } = read(argv);
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const report = await reportOf(values, positionals);
    process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report));
    return report.ok ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\nnode verify.mjs --help tells more.\n`);
    return 2;
  }
}

/**
 * @param {Flags} values
 * @param {string[]} positionals
 * @returns {Promise<Report>}
 */
async function reportOf(values, positionals) {
  const vkeys = values.vkey && (await Promise.all(values.vkey.map(keysFrom))).flat();
  const policy = values.policy === undefined ? undefined : await readFile(values.policy, 'utf8');
  if (values.proof !== undefined || values.record !== undefined) {
    if (positionals.length > 0) throw new Error('A proof is verified without the log.');
    return oneRecord(values, { vkeys, policy });
  }
  const source = await sourceOf(values, positionals);
  const { from, to } = values;
  if (from !== undefined || to !== undefined) {
    if (from === undefined || to === undefined) throw new Error('Give both --from and --to.');
    return verifyCheckpoints(source, await readFile(from, 'utf8'), await readFile(to, 'utf8'), { vkeys, policy });
  }
  const checkpoints = await Promise.all((values.checkpoint ?? []).map((file) => readFile(file, 'utf8')));
  const workers = Number(values.workers ?? 1);
  if (!(Number.isInteger(workers) && workers >= 1 && workers <= 64)) throw new Error('--workers is 1 to 64.');
  return verifySource(source, {
    vkeys,
    policy,
    checkpoints,
    workers,
    writerKeys: values['writer-keys'] && (await readFile(values['writer-keys'], 'utf8')),
    withoutDetails: values['without-details'],
    hashesOnly: values['hashes-only'],
    state: values.state === undefined ? undefined : stateIn(values.state),
    progress: values.progress || process.stderr.isTTY ? progressOn(process.stderr) : undefined,
  });
}

/**
 * @param {Flags} values
 * @param {string[]} positionals
 * @returns {Promise<LogSource>}
 */
async function sourceOf(values, [place, ...others]) {
  if (place === undefined || others.length > 0) throw new Error('Give one directory or URL.');
  if (/^https?:\/\//.test(place)) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (values['token-file'])
      headers['authorization'] = `Bearer ${(await readFile(values['token-file'], 'utf8')).trim()}`;
    if (values.purpose) headers['x-purpose-of-use'] = values.purpose;
    return new HttpLog(place, headers);
  }
  if (!(await stat(place)).isDirectory()) throw new Error(`${place} is not a directory.`);
  return new LogDirectory(place, { blocking: true });
}

/**
 * @param {Flags} values
 * @param {{vkeys?: readonly string[], policy?: string}} trust
 * @returns {Promise<Report>}
 */
async function oneRecord({ proof, record }, { vkeys, policy }) {
  if (proof === undefined || record === undefined) throw new Error('Give both --proof and --record.');
  if (vkeys === undefined && policy === undefined) throw new Error('Give the key of the log with --vkey, or --policy.');
  const [text, bytes] = [await readFile(proof, 'utf8'), await readFile(record)];
  const findings = new Findings();
  try {
    const { origin, size, verified, index, leaf, latestTime } = verifyProof(text, { record: bytes }, { vkeys, policy });
    return {
      ...findings.report({ origin, size, root: null, verified }),
      proven: { index, leaf: toHex(leaf), latestTime },
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : `${error}`;
    findings.fault({ index: null, class: 'proof', expected: null, found: null, message });
    return findings.report({ origin: null, size: null, root: null, verified: [] });
  }
}

/**
 * @param {string} file
 * @returns {StateStore} that is replaced as a whole or not at all
 */
function stateIn(file) {
  return {
    read: () =>
      readFile(file, 'utf8').catch((error) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      }),
    async write(text) {
      const temporary = `${file}.new`;
      const handle = await open(temporary, 'w', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    },
  };
}

/**
 * @param {NodeJS.WriteStream} stream
 * @returns {(entries: number, size: number) => void} writes a line a second from the second second on
 */
function progressOn(stream) {
  const start = performance.now();
  let [last, first] = [start, -1];
  return (entries, size) => {
    if (first < 0) first = entries;
    const now = performance.now();
    if (now - last < 1000 && !(entries === size && last > start)) return;
    last = now;
    const perSecond = Math.round(((entries - first) * 1000) / (now - start));
    const line = `${((100 * entries) / size).toFixed(1)} %  ${entries} of ${size} entries  ${perSecond} entries/s`;
    stream.write(stream.isTTY ? `\r${line}${entries === size ? '\n' : ' '}` : `${line}\n`);
  };
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
