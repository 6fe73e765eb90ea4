import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import path from 'node:path';

interface Said {
  readonly outcome: { readonly counts: object; readonly findings: readonly unknown[] };
  readonly here: object;
  readonly turns: number;
  readonly told: number;
}

interface Checked {
  readonly problems: readonly string[];
  readonly stood: number;
}

const support = path.resolve(import.meta.dirname, '..', '..', 'test', 'support');

/** Asks a process of its own, where a second thread can load the sources. */
function said(): {
  cases: Said;
  mutation: Said;
  unloadable: { problems: { file: string }[] };
  aborted: string;
  wide: Checked;
  keys: Checked;
} {
  const loader = path.join(support, 'typescript.mjs');
  const output = execFileSync(process.execPath, ['--import', loader, path.join(support, 'policy-proofs.ts')], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
  return JSON.parse(output) as ReturnType<typeof said>;
}

test('a proof in another thread counts the same as here, leaves this one free, and ends when it is told to', () => {
  const { cases, mutation, unloadable, aborted, wide, keys } = said();
  expect(cases.outcome).toEqual({ counts: cases.here, findings: [] });
  expect(mutation.outcome).toEqual({ counts: mutation.here, findings: [] });
  expect(mutation.here).toMatchObject({ failed: 0 });
  // Every five milliseconds of more than half a second; done here it would have been none but between two steps.
  expect(cases.turns).toBeGreaterThan(50);
  expect(mutation.turns).toBeGreaterThan(50);
  expect(cases.told).toBeGreaterThan(10);
  expect(unloadable.problems.map(({ file }) => file)).toContain('policies/patient.yaml');
  expect(aborted).toBe('rejected');
  // Proposals that would hold the processor for minutes end when their time is over, and hold this thread at no time.
  expect(wide.problems).toEqual([expect.stringMatching(/takes longer than 3 seconds/)]);
  expect(keys.problems).toEqual([expect.stringMatching(/1000 keys at most/)]);
  for (const { stood } of [wide, keys]) expect(stood).toBeLessThan(300);
});
