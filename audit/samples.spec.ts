import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { ORIGIN, PROVEN_INDEX, sampleFiles, SIZE, TAMPERED_INDEX } from './build-samples.mjs';
import type { Report } from './report.mjs';

const SAMPLES = fileURLToPath(new URL('samples', import.meta.url));
const VERIFIER = fileURLToPath(new URL('verify.mjs', import.meta.url));

/** What the verifier's command says, as the README tells auditors to run it. */
function verify(...words: string[]): { status: number | null; lines: string[] } {
  const { status, stdout } = spawnSync(process.execPath, [VERIFIER, ...words], { cwd: SAMPLES, encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n') };
}

describe('the samples', () => {
  it('are what "node audit/build-samples.mjs" makes', () => {
    const made = sampleFiles();
    const entries = readdirSync(SAMPLES, { recursive: true, withFileTypes: true });
    const paths = entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
    expect(paths.map((path) => path.slice(SAMPLES.length + 1)).sort()).toEqual([...made.keys()].sort());
    const stale = [...made].filter(
      ([path, content]) => !readFileSync(join(SAMPLES, path)).equals(Buffer.from(content)),
    );
    expect(stale.map(([path]) => path)).toEqual([]);
  });

  it('differ in one byte', () => {
    const [clean, tampered] = ['log', 'tampered'].map((name) => readFileSync(join(SAMPLES, name, 'tile/entries/000')));
    expect(clean!.filter((byte, at) => byte !== tampered![at])).toHaveLength(1);
  });
});

describe('the verifier', () => {
  it('says OK of the log, with its MACs, its details and the quorum of its policy', () => {
    const { status, lines } = verify(
      'log',
      '--vkey',
      'log.vkey',
      '--policy',
      'policy',
      '--checkpoint',
      'checkpoint-200',
    );
    expect([status, lines.at(-1)]).toEqual([0, `OK ${ORIGIN} ${SIZE}`]);
    expect(lines.some((line) => line.startsWith('warning'))).toBe(false);
    const report = JSON.parse(verify('log', '--policy', 'policy', '--json').lines.join('\n')) as Report;
    expect(report).toMatchObject({ ok: true, faultCount: 0, warningCount: 0 });
    expect(report.verified).toHaveLength(2);
  });

  it('says BAD of the tampered one, and names entry and fault', () => {
    const { status, lines } = verify('tampered', '--vkey', 'log.vkey', '--policy', 'policy');
    expect([status, lines.at(-1)]).toEqual([1, `BAD ${ORIGIN} ${TAMPERED_INDEX} leaf`]);
  });

  it('finds the one record in the log by its proof alone', () => {
    const proof = ['--proof', `entry-${PROVEN_INDEX}.tlog-proof`, '--policy', 'policy'];
    const { status, lines } = verify(...proof, '--record', `entry-${PROVEN_INDEX}.record`);
    expect([status, lines.at(-1)]).toEqual([0, expect.stringMatching(/^OK /)]);
    expect(verify(...proof, '--record', 'log.vkey').status).toBe(1);
  });
});
