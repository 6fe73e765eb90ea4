import 'graphql';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import '../domain/nouns.js';
import type { Access } from '../ledger/record.js';
import { WrittenRows, type VersionsByType } from './row-history.js';

const [ANNA, BERT, CARL] = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)];

function written(type: string, rows: number, ...subjects: string[]): Access {
  return { type, rows, subjects, fields: { id: 'WRITTEN' } };
}

function record(accesses: readonly Access[], kind = 'UPDATE', outcome = 'success') {
  return { kind, outcome, accesses };
}

function stored(rows: Record<string, Record<string, number>>): VersionsByType {
  return new Map(Object.entries(rows).map(([type, counts]) => [type, new Map(Object.entries(counts))]));
}

describe('rows and what the ledger says of them', () => {
  it('agree when every version has its record', () => {
    const history = new WrittenRows();
    history.take(record([written('Patient', 2, ANNA, BERT), written('Visit', 3, ANNA, BERT)], 'CREATE'));
    history.take(record([written('Patient', 1, ANNA)]));
    history.take(record([written('Visit', 1, CARL)]));
    history.take(record([written('Practitioner', 1)], 'CREATE'));
    const now = {
      Patient: { [ANNA]: 2, [BERT]: 1 },
      Visit: { [ANNA]: 1, [BERT]: 2, [CARL]: 1 },
      Practitioner: { '': 1 },
    };
    expect(history.differences(stored(now))).toEqual([]);
  });

  it('count neither reads, nor what was refused, nor what is about keys', () => {
    const history = new WrittenRows();
    history.take(record([{ type: 'Patient', rows: 1, subjects: [ANNA], fields: { name: 'CLEAR' } }], 'READ'));
    history.take(record([written('Patient', 1, ANNA)], 'UPDATE', 'denied'));
    history.take(record([written('Patient', 1, ANNA)], 'KEY'));
    history.take(record([written('PolicyRelease', 1)], 'POLICY'));
    expect(history.differences(stored({}))).toEqual([]);
  });

  it('differ for any row that was taken back, deleted or changed aside, and say whose', () => {
    const person = fc.constantFrom(ANNA, BERT, CARL);
    fc.assert(
      fc.property(
        fc.array(person, { minLength: 1, maxLength: 20 }),
        person,
        fc.integer({ min: -5, max: 5 }),
        (writes, victim, by) => {
          const history = new WrittenRows();
          const counts: Record<string, number> = {};
          for (const subject of writes) {
            history.take(record([written('Patient', 1, subject)]));
            counts[subject] = (counts[subject] ?? 0) + 1;
          }
          const before = counts[victim] ?? 0;
          const after = Math.max(0, before + by);
          const found = history.differences(stored({ Patient: { ...counts, [victim]: after } }));
          const expected = { type: 'Patient', subject: victim, stored: after, written: before };
          expect(found).toEqual(after === before ? [] : [expected]);
        },
      ),
    );
  });

  it('are compared together where one record wrote rows of several persons', () => {
    const history = new WrittenRows();
    history.take(record([written('Visit', 3, ANNA, BERT)], 'CREATE'));
    history.take(record([written('Visit', 1, ANNA)]));
    expect(history.differences(stored({ Visit: { [ANNA]: 3, [BERT]: 1 } }))).toEqual([]);
    expect(history.differences(stored({ Visit: { [ANNA]: 2, [BERT]: 1 } }))).toEqual([
      { type: 'Visit', subject: null, stored: 3, written: 4 },
    ]);
  });

  it('are not compared of persons who were erased', () => {
    const history = new WrittenRows();
    history.take(record([written('Patient', 1, ANNA), written('Visit', 2, ANNA)], 'CREATE'));
    history.take(record([{ type: 'Patient', rows: 1, subjects: [ANNA], fields: {} }], 'ERASE'));
    expect(history.differences(stored({}))).toEqual([]);
  });
});
