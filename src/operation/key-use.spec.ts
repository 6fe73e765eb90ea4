import { describe, expect, test } from '@jest/globals';
import type { Access } from '../ledger/record.js';
import { UNWRAPPED, UnwrappedSubjects } from './key-use.js';

const [ANNA, BERT] = ['a'.repeat(32), 'b'.repeat(32)];
const access = (...subjects: string[]): Access => ({ type: 'Patient', rows: 1, fields: {}, subjects });

describe('subjects whose keys were unwrapped', () => {
  test('are named once: by a record of their data, or by one of their own', () => {
    const unwrapped = new UnwrappedSubjects();
    unwrapped.add([ANNA, BERT]);
    unwrapped.add([BERT]);
    unwrapped.name([access(ANNA)]);
    expect(unwrapped.take()).toEqual([{ type: UNWRAPPED, rows: 1, fields: {}, subjects: [BERT] }]);
    expect(unwrapped.take()).toEqual([]);
  });

  test('are named again when they are unwrapped again after their record', () => {
    const unwrapped = new UnwrappedSubjects();
    unwrapped.name([access(ANNA)]);
    unwrapped.add([ANNA]);
    expect(unwrapped.take()[0]?.subjects).toEqual([ANNA]);
    unwrapped.add([ANNA]);
    expect(unwrapped.take()[0]?.subjects).toEqual([ANNA]);
  });

  test('fit into records, however many they are', () => {
    const unwrapped = new UnwrappedSubjects();
    const many = Array.from({ length: 2_500 }, (_, at) => at.toString(16).padStart(32, '0'));
    unwrapped.add(many);
    const taken = unwrapped.take();
    expect(taken.map(({ rows }) => rows)).toEqual([1_000, 1_000, 500]);
    expect(taken.flatMap(({ subjects }) => subjects)).toEqual(many);
  });
});
