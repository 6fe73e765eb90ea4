import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import path from 'node:path';

const support = path.resolve(import.meta.dirname, '..', '..', 'test', 'support');

/** Runs the same checks in a process of its own, where a second thread can load the sources; answers what it said. */
function run(script: string): unknown {
  const loader = path.join(support, 'typescript.mjs');
  const output = execFileSync(process.execPath, ['--import', loader, path.join(support, script)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
  return JSON.parse(output);
}

test('rows opened in the second thread are those that were sealed, in order; without a key there is nothing', () => {
  expect(run('bulk-opening.ts')).toEqual({
    threaded: true,
    same: true,
    sameAgain: true,
    withoutKey: {},
    nothingAsked: {},
    changedValue: 'INTEGRITY_FAILED',
    changedKey: 'INTEGRITY_FAILED',
    movedValue: 'INTEGRITY_FAILED',
    afterFailure: true,
    sameHere: true,
  });
});
