import { describe, expect, it } from '@jest/globals';
import { AttributeRegistry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { ProofDesk } from './proof-desk.js';
import type { ProposalOutcome, ProposalTask } from './proposal-check.js';
import type { ProofOutcome, ProofProgress, ProofTask } from './proof-task.js';

const OUTCOME: ProofOutcome = { counts: { passed: 1, failed: 0, equivalent: 0, refused: 0 }, findings: [] };
const task = (rule: string | null = null): ProofTask => ({
  texts: new Map(),
  shipped: null,
  proof: 'MUTATION',
  rule,
});

/** A desk whose proofs end when the test says so. */
function desk(patience = 1, times: { proof?: number; wait?: number; check?: number } = {}) {
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
  const checked: { task: ProposalTask; end: (outcome: ProposalOutcome) => void }[] = [];
  const check = (given: ProposalTask, _: AttributeRegistry, signal: AbortSignal) =>
    new Promise<ProposalOutcome>((end, fail) => {
      checked.push({ task: given, end });
      signal.addEventListener('abort', () => fail(new Error('stopped')));
    });
  return { begun, checked, proofs: new ProofDesk(new AttributeRegistry(), { patience, ...times }, run, check) };
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('the proofs of a process', () => {
  it('are answered when they end, and kept: the same is not proved twice', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = Promise.all([proofs.ask('T-CN', 'a', task()), proofs.ask('T-CN', 'a', task())]);
    await turn();
    begun[0]?.end(OUTCOME);
    const done = { state: 'DONE', outcome: OUTCOME };
    expect(await asked).toEqual([done, done]);
    expect(await proofs.ask('T-CN', 'a', task())).toEqual(done);
    expect(begun).toHaveLength(1);
  });

  it('go on when the caller has his answer, and say how far they are', async () => {
    const { proofs, begun } = desk();
    expect(await proofs.ask('T-CN', 'a', task())).toEqual({ state: 'RUNNING', progress: null });
    begun[0]?.tell({ done: 3, total: 8 });
    expect(await proofs.ask('T-CN', 'a', task())).toEqual({ state: 'RUNNING', progress: { done: 3, total: 8 } });
    begun[0]?.end(OUTCOME);
    await turn();
    expect(await proofs.ask('T-CN', 'a', task())).toMatchObject({ state: 'DONE' });
  });

  it('run one at a time; a tenant waits with one, and another goes before its next', async () => {
    const { proofs, begun } = desk();
    const states = [
      await proofs.ask('T-CN', 'a', task('1')),
      await proofs.ask('T-CN', 'a', task('2')),
      await proofs.ask('T-US', 'a', task('3')),
    ];
    expect(states.map(({ state }) => state)).toEqual(['RUNNING', 'WAITING', 'WAITING']);
    for (const [tenant, rule] of [
      ['T-CN', '4'],
      ['T-US', '5'],
    ] as const) {
      const refused = await proofs.ask(tenant, 'a', task(rule)).catch((error: unknown) => error);
      expect(refused instanceof Failure && refused.code).toBe('RATE_LIMITED');
    }
    begun[0]?.end(OUTCOME);
    await turn();
    begun[1]?.end(OUTCOME);
    await turn();
    expect(begun.map((one) => one.task.rule)).toEqual(['1', '3', '2']);
    await proofs.close();
  });

  it('end when their time is over', async () => {
    const { proofs, begun } = desk(60_000, { proof: 20 });
    expect(await proofs.ask('T-CN', 'a', task())).toEqual({ state: 'FAILED' });
    expect(begun).toHaveLength(1);
  });

  it('that come to no end are begun anew by whoever asks next, and hold nobody up', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = proofs.ask('T-CN', 'a', task());
    const second = proofs.ask('T-CN', 'b', task());
    await turn();
    begun[0]?.fail(new Error('out of memory'));
    expect(await asked).toEqual({ state: 'FAILED' });
    begun[1]?.end(OUTCOME);
    expect(await second).toMatchObject({ state: 'DONE' });
    const again = proofs.ask('T-CN', 'a', task());
    await turn();
    begun[2]?.end(OUTCOME);
    expect(await again).toMatchObject({ state: 'DONE' });
  });

  it('end with the process: what runs is stopped, what waits is not begun', async () => {
    const { proofs, begun } = desk(60_000);
    const asked = [proofs.ask('T-CN', 'a', task()), proofs.ask('T-CN', 'b', task())];
    await turn();
    await proofs.close();
    expect(await Promise.all(asked)).toEqual([{ state: 'FAILED' }, { state: 'FAILED' }]);
    expect(begun).toHaveLength(1);
  });
});

describe('the checks of proposals', () => {
  const proposal: ProposalTask = { proposed: {}, base: {}, shipped: {} };
  const fine: ProposalOutcome = { hash: 'a', version: '1', problems: [] };
  const codeOf = (asked: Promise<unknown>) =>
    asked.then(
      () => 'none',
      (error: unknown) => (error instanceof Failure ? error.code : String(error)),
    );

  it('are one at a time, one of each tenant, and beside the proofs', async () => {
    const { proofs, begun, checked } = desk();
    await proofs.ask('T-CN', 'a', task());
    const first = proofs.check('T-CN', proposal);
    const other = proofs.check('T-US', proposal);
    expect(await codeOf(proofs.check('T-CN', proposal))).toBe('RATE_LIMITED');
    await turn();
    expect([begun.length, checked.length]).toEqual([1, 1]);
    checked[0]?.end(fine);
    expect(await first).toEqual(fine);
    await turn();
    checked[1]?.end(fine);
    expect(await other).toEqual(fine);
    const again = proofs.check('T-CN', proposal);
    await turn();
    checked[2]?.end(fine);
    expect(await again).toEqual(fine);
    await proofs.close();
  });

  it('have a problem where they take too long, and who waits too long for others is told to come again', async () => {
    const { proofs } = desk(1, { wait: 20, check: 60 });
    const asked = proofs.check('T-CN', proposal);
    const late = codeOf(proofs.check('T-US', proposal));
    const { hash, problems } = await asked;
    expect([hash, problems.map(({ message }) => message)]).toEqual([
      null,
      [expect.stringMatching(/takes longer than/)],
    ]);
    expect(await late).toBe('RATE_LIMITED');
  });
});
