import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../kernel/failure.js';
import { Admission } from './admission.js';

describe('admission', () => {
  it('never has more inside than places, turns away what the queue cannot hold, keeps the order, survives failures', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 8 }),
        fc.array(fc.record({ turns: fc.nat(4), fails: fc.boolean() }), { maxLength: 30 }),
        async (places, queueLength, visitors) => {
          const admission = new Admission(places, queueLength);
          const order: number[] = [];
          let inside = 0;
          let most = 0;
          const visits = visitors.map(({ turns, fails }, index) =>
            admission.run(async () => {
              order.push(index);
              most = Math.max(most, ++inside);
              for (let turn = 0; turn < turns; turn++) await Promise.resolve();
              inside -= 1;
              if (fails) throw new Error('inside');
            }),
          );
          const results = await Promise.allSettled(visits);
          const turnedAway = results.filter(
            (result) => result.status === 'rejected' && result.reason instanceof Failure,
          );
          expect(most).toBeLessThanOrEqual(places);
          expect(turnedAway).toHaveLength(Math.max(0, visitors.length - places - queueLength));
          expect(order).toEqual(Array.from({ length: order.length }, (_, index) => index));
          await expect(admission.run(async () => 'free again')).resolves.toBe('free again');
        },
      ),
    );
  });
});
