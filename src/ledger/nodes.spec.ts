import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { CompactRange, nodeHash, sha256 } from '../../audit/merkle.mjs';
import { appendLeaf, completeNodes } from './nodes.js';

const leavesOf = (count: number) => Array.from({ length: count }, (_, index) => sha256(Buffer.from(String(index))));

/** The roots of the full subtrees of 256 hashes, computed of those hashes alone. */
function rootsOf(hashes: readonly Buffer[]): Buffer[] {
  let row = hashes.slice(0, hashes.length - (hashes.length % 256));
  for (let height = 0; height < 8; height++) {
    row = Array.from({ length: row.length / 2 }, (_, pair) =>
      nodeHash(row[2 * pair] as Buffer, row[2 * pair + 1] as Buffer),
    );
  }
  return row;
}

describe('appendLeaf', () => {
  it('keeps the range as CompactRange does and names each full tile once, at every level', () => {
    const leaves = leavesOf(66_000);
    const range = new CompactRange();
    const nodes: Buffer[][] = [[], []];
    for (const leaf of leaves) {
      for (const { level, index, hash } of appendLeaf(range, leaf)) {
        expect(nodes[level - 1]?.length).toBe(index);
        nodes[level - 1]?.push(hash);
      }
    }
    const first = rootsOf(leaves);
    expect(nodes).toEqual([first, rootsOf(first)]);
    expect([first.length, nodes[1]?.length]).toEqual([257, 1]);
  });

  it('goes on from any size', () => {
    const leaves = leavesOf(1_200);
    fc.assert(
      fc.property(fc.nat(1_200), (start) => {
        const range = new CompactRange();
        for (const leaf of leaves.slice(0, start)) range.append(leaf);
        const whole = range.clone();
        const nodes = new Map<number, Buffer>();
        for (const leaf of leaves.slice(start)) {
          for (const { index, hash } of appendLeaf(range, leaf)) nodes.set(index, hash);
          whole.append(leaf);
        }
        expect(range).toEqual(whole);
        const expected = [...rootsOf(leaves).entries()].filter(([index]) => (index + 1) * 256 > start);
        expect([...nodes]).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });
});

describe('completeNodes', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());

  const SIZE = 65_536 + 700;
  const sequencer = {
    query: <Row>(statement: Parameters<TestDatabase['sequencer']['query']>[1]) =>
      database.sequencer.query<Row>(null, statement),
  };

  async function check(leaves: readonly Buffer[]): Promise<void> {
    const { rows } = await database.owner.query<{ level: number; idx: string; hash: Buffer }>(
      'SELECT level, idx, hash FROM ledger_node ORDER BY level, idx',
    );
    const first = rootsOf(leaves);
    expect(rows.filter(({ level }) => level === 1).map(({ hash }) => hash)).toEqual(first);
    expect(rows.filter(({ level }) => level === 2).map(({ hash }) => hash)).toEqual(rootsOf(first));
    expect(rows).toHaveLength(first.length + 1);
  }

  it('makes what a database of before has not, and goes on where it was interrupted', async () => {
    await database.owner.query(
      `INSERT INTO ledger_leaf (log, idx, entry_id, recorded_at, leaf)
       SELECT 'T-CN', i, i, now(), sha256(i::text::bytea) FROM generate_series(0, ${SIZE - 1}) AS i`,
    );
    await database.owner.query(
      `INSERT INTO ledger_head (log, size, last_leaf, compact_range, mac, incarnation)
       VALUES ('T-CN', ${SIZE}, sha256(''), '', sha256(''), 1), ('T-US', 255, sha256(''), '', sha256(''), 1)`,
    );
    const leaves = leavesOf(SIZE);
    let left = 3;
    const dying = {
      query: async <Row>(statement: Parameters<typeof sequencer.query>[0]) => {
        if (statement.text.startsWith('INSERT') && left-- === 0) throw new Error('killed');
        return sequencer.query<Row>(statement);
      },
    };
    await expect(completeNodes(dying)).rejects.toThrow('killed');
    await completeNodes(sequencer);
    await check(leaves);
    await completeNodes(sequencer);
    await check(leaves);
  });

  it('names the leaf that is missing', async () => {
    await database.owner.query("UPDATE ledger_head SET size = 256 WHERE log = 'T-US'");
    await expect(completeNodes(sequencer)).rejects.toMatchObject({ log: 'T-US', index: 0, kind: 'missing-entry' });
  });
});
