import { expect, it } from '@jest/globals';
import { insteadOf } from './nearest.js';

const ROLES = ['physician', 'nurse', 'front_desk', 'marketer'];

it.each([
  ['physican', ' Did you mean "physician"?'],
  ['Nurse', ' Did you mean "nurse"?'],
  ['nusre', ' Did you mean "nurse"?'],
  ['frontdesk', ' Did you mean "front_desk"?'],
  ['surgeon', ' Known: physician, nurse, front_desk, marketer.'],
  ['', ' Known: physician, nurse, front_desk, marketer.'],
])('of %s names what was meant', (word, said) => {
  expect(insteadOf(word, ROLES)).toBe(said);
});

it('lists no more than can be read, and nothing where nothing is known', () => {
  const many = Array.from({ length: 40 }, (_, index) => `word number ${index}`);
  expect(insteadOf('x', many)).toBe('');
  expect(insteadOf('word numbre 7', many)).toBe(' Did you mean "word number 7"?');
  expect(insteadOf('x', [])).toBe('');
});
