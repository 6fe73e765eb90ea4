import { describe, expect, it } from '@jest/globals';
import { answerType, isJson, LEGACY_TYPE, RESPONSE_TYPE } from './media-type.js';

describe('answerType', () => {
  it.each([
    [undefined, LEGACY_TYPE],
    ['', LEGACY_TYPE],
    ['*/*', LEGACY_TYPE],
    ['application/*', LEGACY_TYPE],
    ['application/json', LEGACY_TYPE],
    ['application/json; charset=utf-8', LEGACY_TYPE],
    ['application/graphql-response+json', RESPONSE_TYPE],
    ['Application/GraphQL-Response+JSON; charset=utf-8', RESPONSE_TYPE],
    ['application/graphql-response+json, application/json;q=0.9', RESPONSE_TYPE],
    ['application/graphql-response+json;q=0.5, application/json', LEGACY_TYPE],
    ['application/graphql-response+json, application/json', RESPONSE_TYPE],
    ['application/json, application/graphql-response+json', LEGACY_TYPE],
    ['*/*, application/graphql-response+json', RESPONSE_TYPE],
    ['*/*;q=0.1, application/json;q=0', RESPONSE_TYPE],
    ['text/html, */*;q=0.8', LEGACY_TYPE],
    ['text/html', null],
    ['application/json;q=0', null],
    ['multipart/mixed', null],
    ['application/json;q=x', null],
    [',;,', null],
  ])('%s → %s', (accept, expected) => expect(answerType(accept)).toBe(expected));
});

describe('isJson', () => {
  it.each([
    ['application/json', true],
    ['application/json; charset=utf-8', true],
    ['Application/JSON;charset="UTF-8"', true],
    ['application/json; charset=utf-16', false],
    ['application/jsonp', false],
    ['text/plain', false],
    ['text/plain; application/json', false],
    [undefined, false],
  ])('%s → %s', (type, expected) => expect(isJson(type)).toBe(expected));
});
