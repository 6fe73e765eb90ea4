// The whole check, as `npm test` runs it: every step to its end with live output, a table, and the count. Names of steps
// as arguments run only those. Needs the built-in server only; no step changes a source file.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const temporary = mkdtempSync(path.join(tmpdir(), 'custodia-check-'));
const jestReport = path.join(temporary, 'jest.json');
const bin = (/** @type {string} */ name) => path.join(root, 'node_modules', ...name.split('/'));
const node =
  (/** @type {string[]} */ ...words) =>
  () =>
    run(process.execPath, words);

/**
 * @typedef {{ passed: number, failed: number, skipped: number, note?: string }} Count
 * @type {Record<string, () => Promise<boolean | Count>>}
 */
const STEPS = {
  types: node(bin('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json', '--incremental', 'false'),
  build: node('src/cli/launch.mjs', 'build'),
  lint: node(bin('oxlint/bin/oxlint'), '--deny-warnings'),
  format: node(bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'),
  arrows: node(bin('dependency-cruiser/bin/dependency-cruiser.mjs'), '--config', '.dependency-cruiser.cjs', ...rooms()),
  jest,
  drift: node('--enable-source-maps', 'dist/src/cli/migration.js', 'check'),
  schema: node('--enable-source-maps', 'dist/src/cli/schema.js', '--check'),
  advisories,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`There is no step ${unknown.join(', ')}: ${Object.keys(STEPS).join(', ')}.`);
  process.exit(2);
}

/** @type {(Count & { name: string, seconds: number })[]} */
const results = [];
for (const [name, step] of Object.entries(STEPS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n── ${name}`);
  const start = performance.now();
  const outcome = await step();
  const count = typeof outcome === 'boolean' ? single(outcome) : outcome;
  results.push({ name, ...count, seconds: (performance.now() - start) / 1000 });
}
rmSync(temporary, { recursive: true, force: true });

console.log('');
for (const { name, failed, passed, skipped, seconds, note } of results) {
  const state = failed > 0 ? 'FAILED' : passed === 0 ? 'SKIPPED' : 'ok';
  const counts = passed + failed + skipped > 1 ? `${passed} passed, ${failed} failed, ${skipped} skipped` : '';
  console.log(`${name.padEnd(12)}${state.padEnd(9)}${seconds.toFixed(1).padStart(6)} s  ${note ?? counts}`);
}
const sum = (/** @type {'passed' | 'failed' | 'skipped'} */ key) => results.reduce((total, one) => total + one[key], 0);
console.log(
  `${sum('passed')} passed, ${sum('failed')} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`,
);
process.exit(sum('failed') > 0 ? 1 : 0);

/** The step and each test of it count. A test file that could not be loaded is a failure too. @returns {Promise<Count>} */
async function jest() {
  const words = [bin('jest/bin/jest.js'), '--config', 'jest.config.js', '--json', `--outputFile=${jestReport}`];
  const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
  const succeeded = await run(process.execPath, words, { NODE_OPTIONS }, ['ignore', 'ignore', 'inherit']);
  if (!existsSync(jestReport)) return single(false, 'jest wrote no report');
  const report = JSON.parse(readFileSync(jestReport, 'utf8'));
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'pending') console.log(`SKIPPED ${test.fullName}`);
    }
  }
  return {
    passed: report.numPassedTests + (succeeded ? 1 : 0),
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites + (succeeded ? 0 : 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Known vulnerabilities, from moderate up, in what ships. Without an answer from the registry the step is skipped, loudly. */
async function advisories() {
  let output = '';
  const npm = process.env.npm_execpath;
  const [program, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const words = [...first, 'audit', '--omit=dev', '--audit-level=moderate', '--json', '--fetch-retries=0'];
  const succeeded = await run(
    program,
    words,
    { npm_config_audit: 'true' },
    ['ignore', 'pipe', 'ignore'],
    (text) => (output += text),
  );
  /** @type {{ metadata?: { vulnerabilities?: Record<string, number> }, vulnerabilities?: Record<string, { severity: string }> } | null} */
  let report = null;
  try {
    report = JSON.parse(output);
  } catch {}
  const found = report?.metadata?.vulnerabilities;
  if (found === undefined) {
    console.log('SKIPPED: the registry does not answer for advisories; nothing is known about vulnerable packages.');
    return { passed: 0, failed: 0, skipped: 1, note: 'the registry does not answer' };
  }
  for (const [name, { severity }] of Object.entries(report?.vulnerabilities ?? {})) console.log(`${severity}: ${name}`);
  console.log(`${found.total ?? 0} packages with advisories`);
  return succeeded;
}

/** @param {boolean} passed @param {string} [note] @returns {Count} */
function single(passed, note) {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, ...(note && { note }) };
}

function rooms() {
  return ['src', 'audit', 'migrations', 'bench', 'test'].filter((room) => existsSync(path.join(root, room)));
}

/**
 * @param {string} program @param {string[]} words @param {NodeJS.ProcessEnv} [env]
 * @param {import('node:child_process').StdioOptions} [stdio] @param {(text: string) => void} [onOutput]
 * @returns {Promise<boolean>} whether it ended with 0
 */
function run(program, words, env = {}, stdio = ['ignore', 'inherit', 'inherit'], onOutput = () => undefined) {
  return new Promise((resolve) => {
    const child = spawn(program, words, { cwd: root, stdio, env: { ...process.env, ...env } });
    child.stdout?.on('data', (chunk) => onOutput(String(chunk)));
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}
