// The way into every npm command, with nothing but Node 20: install what is missing, build what changed, then hand over
// to the Node runtime of the lock file. Files are only written below node_modules/ and dist/.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const inRoot = (/** @type {string[]} */ ...parts) => path.join(root, ...parts);
const runtime = inRoot('node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

/** What each command runs after the build; null: the build is all. @type {Record<string, string | null>} */
const COMMANDS = {
  start: 'dist/src/cli/start.js',
  check: 'test/run.mjs',
  build: null,
  import: 'dist/src/cli/import.js',
  'audit-verify': 'dist/src/cli/audit-verify.js',
  ledger: 'dist/src/cli/ledger.js',
  policy: 'dist/src/cli/policy.js',
  documents: 'dist/src/cli/documents.js',
  schema: 'dist/src/cli/schema.js',
  migration: 'dist/src/cli/migration.js',
  organisation: 'dist/src/cli/organisation.js',
  keys: 'dist/src/cli/keys.js',
  'key-agent': 'dist/src/cli/key-agent.js',
  backup: 'dist/src/cli/backup.js',
  restore: 'dist/src/cli/restore.js',
  'restore-replay': 'dist/src/cli/restore-replay.js',
  sbom: 'dist/src/cli/sbom.js',
  bench: 'dist/bench/run.js',
};

const [command = '', ...rest] = process.argv.slice(2);
if (!Object.hasOwn(COMMANDS, command)) {
  const known = Object.keys(COMMANDS).join(', ');
  stop(command === '' ? `Name a command: ${known}.` : `There is no command "${command}": ${known}.`, 2);
}
if (!isInstalled()) install();
if (command !== 'check') build();
const script = COMMANDS[command];
if (script) handOver(script);

/**
 * True when node_modules holds what the lock file demands: npm keeps its own account of it in a hidden lock file.
 * Packages for other platforms are optional and rightly absent.
 */
function isInstalled() {
  const hidden = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(hidden) || !existsSync(runtime)) return false;
  const wanted = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  for (const [place, entry] of Object.entries(wanted)) {
    if (place === '') continue;
    if (present[place] === undefined ? !entry.optional : present[place].integrity !== entry.integrity) return false;
  }
  return true;
}

/** `npm ci`, with every setting of the machine overruled that would leave something out. Registry and proxy stay its own. */
function install() {
  console.log('Installing what package-lock.json names …');
  const flags = ['--include=dev', '--include=optional', '--ignore-scripts=false', '--global=false', '--dry-run=false'];
  const npm = process.env.npm_execpath;
  const [program, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const result = spawnSync(program, [...first, 'ci', ...flags, '--no-fund', '--no-audit'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32' && program === 'npm',
  });
  if (result.status !== 0) stop('The packages could not be installed: is the package registry reachable?', 1);
  if (!existsSync(runtime)) stop('The Node runtime was not installed: let npm run the install script of "node".', 1);
}

/** Compiles when a source is not the one that was compiled last. A source that went away takes its old output along. */
function build() {
  const stamp = inRoot('dist', '.sources.json');
  const sources = hashes();
  /** @type {Record<string, string>} */
  const built = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : {};
  const names = Object.keys(sources);
  if (names.length === Object.keys(built).length && names.every((name) => built[name] === sources[name])) return;
  if (Object.keys(built).some((name) => sources[name] === undefined)) rmSync(inRoot('dist'), { recursive: true });
  rmSync(stamp, { force: true });
  const compiler = inRoot('node_modules', 'typescript', 'bin', 'tsc');
  const result = spawnSync(runtime, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) stop('The build failed.', 1);
  mkdirSync(inRoot('dist'), { recursive: true });
  writeFileSync(stamp, JSON.stringify(sources));
}

/** Content hash by file, of everything the compiler reads that is ours. */
function hashes() {
  /** @type {Record<string, string>} */
  const found = {};
  const add = (/** @type {string} */ name) => {
    found[name] = createHash('sha256')
      .update(readFileSync(inRoot(name)))
      .digest('base64');
  };
  for (const name of ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json']) add(name);
  for (const room of ['src', 'audit', 'migrations', 'bench']) {
    if (!existsSync(inRoot(room))) continue;
    for (const name of readdirSync(inRoot(room), { recursive: true, encoding: 'utf8' }).sort()) {
      if (/\.(ts|mjs)$/.test(name) && !name.endsWith('.spec.ts')) add(path.join(room, name));
    }
  }
  return found;
}

/** Runs the command in place of this process, as far as the terminal and whoever waits can tell. @param {string} script */
function handOver(script) {
  if (!existsSync(inRoot(script))) stop(`The command "${command}" is not part of this build (${script}).`, 1);
  const env = { NODE_ENV: command === 'check' ? 'test' : 'production', ...process.env };
  // The heap of a server grows in small steps: an export must not make it large for good.
  const memory = command === 'start' ? ['--max-semi-space-size=8', '--heap-growing-percent=20'] : [];
  // The fourth channel carries nothing: it closes when this process is killed, and then the command stops too.
  const child = spawn(runtime, ['--enable-source-maps', ...memory, inRoot(script), ...rest], {
    cwd: root,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env,
  });
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGINT', 'SIGHUP'])) {
    process.on(signal, () => {
      // Ctrl-C reaches everybody in the terminal by itself.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.once('error', () => stop('The Node runtime in node_modules could not be started.', 1));
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (signal ? os.constants.signals[signal] : 0)));
}

/** @param {string} sentence @param {number} code @returns {never} */
function stop(sentence, code) {
  console.error(sentence);
  process.exit(code);
}
