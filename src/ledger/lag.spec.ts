import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Statement } from '../persistence/statement.js';
import { type Lag, LagWatch } from './lag.js';

/** A ledger whose entries have the ids 1, 2, 3 … and whose sequencer stands at `position`. */
class Model {
  time = 0;
  newest = 0;
  position = 0;
  down = false;
  /** When each entry was first seen by a look. */
  private readonly seen: number[] = [];

  /** Counts from the first look that saw an entry, as the watch must. */
  age(): number {
    for (let id = this.seen.length + 1; id <= this.newest; id++) this.seen.push(this.time);
    return this.position === this.newest ? 0 : this.time - (this.seen[this.position] ?? this.time);
  }

  watch(limit = 15_000): LagWatch {
    return new LagWatch({ database: this, limit, monotonic: () => this.time });
  }

  async query<Row>(_: null, { text }: Statement): Promise<Row[]> {
    if (this.down) throw new Error('down');
    if (text.includes('pg_locks')) return [{ pid: 4711 } as Row];
    const open = this.newest > this.position;
    const place = open ? { xid: String(this.newest), id: String(this.newest) } : { xid: null, id: null };
    return [{ last_xid: String(this.position), last_id: String(this.position), ...place } as Row];
  }
}

describe('the lag', () => {
  it('is the age of the oldest entry without an index, by this process alone', async () => {
    const step = fc.record({ time: fc.nat(3_000), entries: fc.nat(3), sequenced: fc.nat(4) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const model = new Model();
        const watch = model.watch();
        for (const { time, entries, sequenced } of steps) {
          model.time += time;
          model.newest += entries;
          model.position = Math.min(model.newest, model.position + sequenced);
          const expected = model.age();
          const lag = await watch.look();
          // Entries of one look have one mark: the sequencer that stands between them has reached none.
          expect(lag.milliseconds).toBe(expected);
          expect(lag.refusing).toBe(expected > 15_000);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('is alarming once, refuses above the limit, and both are over by themselves', async () => {
    const model = new Model();
    const watch = model.watch();
    const alarms: [Lag, boolean][] = [];
    watch.onAlarm((lag, over) => alarms.push([lag, over]));
    model.newest = 1;
    const seen: [number, boolean][] = [];
    for (; model.time <= 20_000; model.time += 4_000) {
      const { milliseconds, refusing } = await watch.look();
      seen.push([milliseconds, refusing]);
    }
    expect(seen).toEqual([0, 4_000, 8_000, 12_000, 16_000, 20_000].map((age) => [age, age > 15_000]));
    model.position = 1;
    expect(await watch.look()).toMatchObject({ milliseconds: 0, blockedByPid: null, refusing: false });
    await watch.look();
    expect(alarms).toEqual([
      [{ milliseconds: 8_000, blockedByPid: 4711, refusing: false, measured: true }, false],
      [{ milliseconds: 0, blockedByPid: null, refusing: false, measured: true }, true],
    ]);
  });

  it('that cannot be measured grows, and is forgotten with the first look that succeeds', async () => {
    const model = new Model();
    const watch = model.watch();
    await watch.look();
    model.down = true;
    for (const expected of [0, 10_000, 20_000]) {
      expect(await watch.look()).toMatchObject({
        milliseconds: expected,
        refusing: expected > 15_000,
        measured: false,
      });
      model.time += 10_000;
    }
    model.down = false;
    expect(await watch.look()).toMatchObject({ milliseconds: 0, refusing: false, measured: true });
  });

  it('of an entry that was deleted before it was sequenced is that of the entries before it, or none', async () => {
    const model = new Model();
    const watch = model.watch();
    model.newest = 2;
    await watch.look();
    model.time = 7_000;
    model.newest = 1;
    expect((await watch.look()).milliseconds).toBe(7_000);
    model.newest = 0;
    expect((await watch.look()).milliseconds).toBe(0);
  });
});
