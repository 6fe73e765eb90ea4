import 'graphql';
import { describe, expect, it } from '@jest/globals';
import '../domain/nouns.js';
import { registry, type IndexKind } from '../kernel/attribute.js';
import { indexChanges, readIndexes } from './indexes.js';

const noun = registry.noun('Patient');
const read = (stated: Readonly<Record<string, readonly string[]>>) => {
  const refused: string[] = [];
  const indexes = readIndexes(stated, noun, (_at, message) => void refused.push(message));
  return { refused, indexes };
};

describe('the indexes that a policy file names', () => {
  it('are those that the model makes possible', () => {
    const { refused, indexes } = read({ phone: ['exact', 'suffix'], name: ['tokens'] });
    expect(refused).toEqual([]);
    expect(indexes).toEqual(
      new Map<string, ReadonlySet<IndexKind>>([
        ['phone', new Set<IndexKind>(['exact', 'suffix'])],
        ['name', new Set<IndexKind>(['tokens'])],
      ]),
    );
  });

  it.each([
    [{ name: ['exact'] }, '"name" has no index of the kind "exact": write tokens.'],
    [{ nationalId: ['tokens'] }, '"nationalId" has no index of the kind "tokens": write exact.'],
    [{ gender: ['exact'] }, '"gender" cannot be indexed.'],
    [{ birthDate: ['exact'] }, '"birthDate" cannot be indexed.'],
    [{ nam: ['tokens'] }, 'Patient has no field "nam". Did you mean "name"?'],
  ])('%j is refused', (stated, message) => {
    expect(read(stated).refused[0]).toBe(message);
  });

  it('of two policies differ by what is found of rows that are there', () => {
    const before = new Map([['Patient', read({ phone: ['exact', 'suffix'] }).indexes]]);
    const after = new Map([['Patient', read({ phone: ['exact'], name: ['tokens'] }).indexes]]);
    expect(indexChanges(before, after).map((one) => one.split(':')[0])).toEqual([
      'the index Patient.name tokens is new',
      'the index Patient.phone suffix is no longer written',
    ]);
    expect(indexChanges(after, after)).toEqual([]);
  });

  it('are never offered for a field with few values, or one that is not sealed', () => {
    for (const { type, attributes } of registry.all())
      for (const { field, sealed, kind, indexes } of attributes.values())
        if (indexes.length > 0) expect([type, field, sealed, kind]).toEqual([type, field, true, 'text']);
  });
});
