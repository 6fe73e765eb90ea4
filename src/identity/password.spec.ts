import { describe, expect, it } from '@jest/globals';
import { parseOptions } from '@node-rs/argon2';
import { Failure } from '../kernel/failure.js';
import { acceptNewPassword, normalisePassword, Passwords } from './password.js';

describe('a password', () => {
  it.each([
    ['eleven characters', 'a'.repeat(11), false],
    ['twelve', 'a'.repeat(12), true],
    ['128', 'a'.repeat(128), true],
    ['129', 'a'.repeat(129), false],
    ['twelve code points of two UTF-16 units', '😀'.repeat(12), true],
    ['eleven of them', '😀'.repeat(11), false],
    ['a composition rule is no rule', 'correct horse', true],
    ['characters that NFKC multiplies', '\ufdfa'.repeat(12), false],
    ['a lone surrogate', `${'a'.repeat(12)}\ud800`, false],
    ['a megabyte', 'a'.repeat(1 << 20), false],
  ])('%s', (_, text, accepted) => {
    expect(normalisePassword(text) !== null).toBe(accepted);
  });

  it('is the same however it was typed', () => {
    expect(normalisePassword('Zu\u0308rich-12345')).toBe(normalisePassword('Z\u00fcrich-12345'));
    expect(normalisePassword('ｐａｓｓｗｏｒｄ１２３４５')).toBe('password12345');
  });

  it('does not contain the name in the e-mail, and the refusal does not contain the password', () => {
    const password = 'xx-MEI.ling-2026';
    const refused = () => acceptNewPassword(password, 'mei.ling@hospital.example');
    expect(refused).toThrow(Failure);
    try {
      refused();
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toMatch(/mei/i);
    }
    expect(acceptNewPassword('a long sentence', 'a@hospital.example')).toBe('a long sentence');
  });
});

describe('hashing', () => {
  const passwords = new Passwords();

  it('is Argon2id with the parameters that OWASP names', async () => {
    const stored = await passwords.hash('correct horse battery');
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(parseOptions(stored)).toMatchObject({ memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 });
    expect(await passwords.verify(stored, 'correct horse battery')).toBe(true);
    expect(await passwords.verify(stored, 'correct horse batterz')).toBe(false);
    expect(await passwords.verify(stored, null)).toBe(false);
  });

  it('runs with the same parameters when there is nothing to compare with, and never matches', async () => {
    const decoy = (passwords as unknown as { decoy: string }).decoy;
    expect(parseOptions(decoy)).toEqual(parseOptions(await passwords.hash('correct horse battery')));
    expect(await passwords.verify(null, 'correct horse battery')).toBe(false);
    expect(await passwords.verify(null, null)).toBe(false);
  });
});
