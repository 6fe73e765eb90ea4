import { describe, expect, it } from '@jest/globals';
import { AttributeRegistry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { ProofDesk } from './proof-desk.js';
import type { ProofOutcome, ProofProgress, ProofTask } from './proof-task.js';

const OUTCOME: ProofOutcome = { counts: { passed: 1, failed: 0, equivalent: 0, refused: 0 }, findings: [] };
const task = (rule: string | null = null): ProofTask => ({ texts: new Map(), proof: 'MUTATION', rule });

/** A desk whose proofs end when the test says so. */
function desk(patience = 1) {
  const begun: {
    task: ProofTask;
    tell: (one: ProofProgress) => void;
    end: (outcome: ProofOutcome) => void;
    fail: (error: Error) => void;
  }[] = [];
  const run = (given: ProofTask, _: AttributeRegistry, tell: (one: ProofProgress) => void, signal: AbortSignal) =>
    new Promise<ProofOutcome>((end, fail) => {
      begun.push({ task: given, tell, end, fail });
      signal.addEventListener('abort', () => fail(new Error('stopped')));
    });
  return { begun, proofs: new ProofDesk(new AttributeRegistry(), run, patience) };
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('the proofs of a process', () => {
  it('are answered when they end, and kept: the same is not proved twice', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = Promise.all([proofs.ask('a', task()), proofs.ask('a', task())]);
    await turn();
    begun[0]?.end(OUTCOME);
    const done = { state: 'DONE', outcome: OUTCOME };
    expect(await asked).toEqual([done, done]);
    expect(await proofs.ask('a', task())).toEqual(done);
    expect(begun).toHaveLength(1);
  });

  it('go on when the caller has his answer, and say how far they are', async () => {
    const { proofs, begun } = desk();
    expect(await proofs.ask('a', task())).toEqual({ state: 'RUNNING', progress: null });
    begun[0]?.tell({ done: 3, total: 8 });
    expect(await proofs.ask('a', task())).toEqual({ state: 'RUNNING', progress: { done: 3, total: 8 } });
    begun[0]?.end(OUTCOME);
    await turn();
    expect(await proofs.ask('a', task())).toMatchObject({ state: 'DONE' });
  });

  it('run one at a time, in the order in which they were asked for; too many are refused', async () => {
    const { proofs, begun } = desk();
    for (let number = 0; number < 9; number += 1) {
      const { state } = await proofs.ask('a', task(`rule-${number}`));
      expect([number, state]).toEqual([number, number === 0 ? 'RUNNING' : 'WAITING']);
    }
    expect(begun).toHaveLength(1);
    const refused = await proofs.ask('a', task('one-more')).catch((error: unknown) => error);
    expect(refused instanceof Failure && refused.code).toBe('RATE_LIMITED');
    begun[0]?.end(OUTCOME);
    await turn();
    expect(begun.map((one) => one.task.rule)).toEqual(['rule-0', 'rule-1']);
    expect(await proofs.ask('a', task('one-more'))).toEqual({ state: 'WAITING' });
    await proofs.close();
  });

  it('that come to no end are begun anew by whoever asks next, and hold nobody up', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = proofs.ask('a', task());
    const second = proofs.ask('b', task());
    await turn();
    begun[0]?.fail(new Error('out of memory'));
    expect(await asked).toEqual({ state: 'FAILED' });
    begun[1]?.end(OUTCOME);
    expect(await second).toMatchObject({ state: 'DONE' });
    const again = proofs.ask('a', task());
    await turn();
    begun[2]?.end(OUTCOME);
    expect(await again).toMatchObject({ state: 'DONE' });
  });

  it('end with the process: what runs is stopped, what waits is not begun', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = [proofs.ask('a', task()), proofs.ask('b', task())];
    await turn();
    await proofs.close();
    expect(await Promise.all(asked)).toEqual([{ state: 'FAILED' }, { state: 'FAILED' }]);
    expect(begun).toHaveLength(1);
  });
});
