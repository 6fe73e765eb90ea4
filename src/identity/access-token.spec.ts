import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { newId } from '../kernel/identifier.js';
import { AccessTokens } from './access-token.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= ';
const NOW = Date.UTC(2026, 10, 21);

describe('an access token', () => {
  const tokens = new AccessTokens(createSecretKey(randomBytes(32)));
  const claim = { tenant: 'T-CN', sessionId: newId() };
  const token = tokens.issue(claim, NOW + 1000);

  it('says which session, until it expires', () => {
    expect(tokens.verify(token, NOW + 999)).toEqual(claim);
    expect(tokens.verify(token, NOW + 1000)).toBeNull();
  });

  it('is refused when any one character is another one, missing or added', () => {
    for (let index = 0; index < token.length; index++) {
      const before = token.slice(0, index);
      const after = token.slice(index + 1);
      expect(tokens.verify(before + after, NOW)).toBeNull();
      for (const character of ALPHABET) {
        if (character !== token[index]) expect(tokens.verify(before + character + after, NOW)).toBeNull();
        expect(tokens.verify(before + character + token.slice(index), NOW)).toBeNull();
      }
    }
    for (const character of ALPHABET) expect(tokens.verify(token + character, NOW)).toBeNull();
  });

  it('of another key is refused, as is what is no token', () => {
    const foreign = new AccessTokens(createSecretKey(randomBytes(32))).issue(claim, NOW + 1000);
    for (const text of [foreign, '', '.', '...', 'é'.repeat(120), '\u0000'.repeat(90), 'a'.repeat(100_000)]) {
      expect(tokens.verify(text, NOW)).toBeNull();
    }
  });
});
