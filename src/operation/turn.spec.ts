import { describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../kernel/clock.js';
import type { Statement } from '../persistence/statement.js';
import { Turns, type Reads } from './turn.js';

/** A database that answers with what it holds when a statement reaches it. */
class Held implements Reads {
  value = 'first';
  readonly asked: [string | null, Statement][] = [];

  async query<Row>(tenant: string | null, statement: Statement): Promise<Row[]> {
    this.asked.push([tenant, statement]);
    if (statement.text === 'broken') throw new Error('broken');
    const { value } = this;
    await nextTurn();
    return [{ value } as Row];
  }
}

const statement = (text: string, ...values: unknown[]): Statement => ({ text, values });

describe('a turn', () => {
  it('sends what is the same to the last parameter once, and all else by itself', async () => {
    const held = new Held();
    const turn = new Turns(held, new ManualClock(0)).take();
    const same = Array.from({ length: 100 }, () => turn.query('T-CN', statement('a', ['x'], new Date(1))));
    const others = [
      turn.query('T-US', statement('a', ['x'], new Date(1))),
      turn.query('T-CN', statement('b', ['x'], new Date(1))),
      turn.query('T-CN', statement('a', ['x'], new Date(2))),
      turn.query('T-CN', statement('a', ['y'], new Date(1))),
      turn.query('T-CN', statement('a', 'x', new Date(1))),
    ];
    await Promise.all([...same, ...others]);
    expect(held.asked).toHaveLength(6);
  });

  it('answers nobody with what was read before he asked', async () => {
    const held = new Held();
    const turn = new Turns(held, new ManualClock(0)).take();
    const first = turn.query('T-CN', statement('a'));
    held.value = 'second';
    const second = turn.query('T-CN', statement('a'));
    await nextTurn();
    held.value = 'third';
    const third = turn.query('T-CN', statement('a'));
    expect(await Promise.all([first, second, third])).toEqual([
      [{ value: 'second' }],
      [{ value: 'second' }],
      [{ value: 'third' }],
    ]);
    expect(held.asked).toHaveLength(2);
  });

  it('tells a failure to all who share it', async () => {
    const turn = new Turns(new Held(), new ManualClock(0)).take();
    const asked = await Promise.allSettled([
      turn.query('T-CN', statement('broken')),
      turn.query('T-CN', statement('broken')),
    ]);
    expect(asked.map((one) => one.status)).toEqual(['rejected', 'rejected']);
  });

  it('is one for what begins at once, with one moment, and another for what begins later', async () => {
    const clock = new ManualClock(5);
    const turns = new Turns(new Held(), clock);
    const turn = turns.take();
    clock.advance(1);
    expect(turns.take()).toBe(turn);
    expect(turn.now).toEqual(new Date(5));
    await nextTurn();
    expect(turns.take().now).toEqual(new Date(6));
  });
});
