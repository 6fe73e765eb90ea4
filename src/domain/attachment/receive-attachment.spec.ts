import 'graphql';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Failure, type FailureCode } from '../../kernel/failure.js';
import type { Document } from '../../operation/document.js';
import type { Operations } from '../../operation/run.js';
import type { ContentPlace } from '../../operation/sealed-content.js';
import { receiveAttachment, storeAttachment, uploadAttachment } from './receive-attachment.js';

const TEXT = Buffer.from('findings');
const PLACE: ContentPlace = { tenant: 'T-CN', subjectId: 'p1', row: 'attachment a1', name: '0'.repeat(32) };

let kept: boolean;
let stored: unknown[];
let lastStep: () => Promise<unknown>;
beforeEach(() => {
  kept = false;
  stored = [];
  lastStep = () => Promise.resolve({ status: 'available' });
});

const contents = {
  keep: async (_place: ContentPlace, source: AsyncIterable<Uint8Array>) => {
    for await (const bytes of source) expect(bytes.length).toBeGreaterThan(0);
    kept = true;
  },
  discard: () => Promise.resolve((kept = false)),
};

/** The door, with the two operations answered from here. */
const operations = {
  run: (operation: unknown, _document: unknown, input: { content?: unknown }) => {
    if (operation === uploadAttachment) {
      return Promise.resolve({ version: 1, contentType: 'text/plain', size: TEXT.length, contents, place: PLACE });
    }
    expect(operation).toBe(storeAttachment);
    stored.push(input.content);
    return lastStep();
  },
} as unknown as Operations;

async function* of(...parts: (Buffer | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield await Promise.resolve(part);
  }
}

const receive = (...parts: (Buffer | Error)[]) => receiveAttachment(operations, {} as Document, 'a1', of(...parts));
const failing = (code: FailureCode) => () => Promise.reject(new Failure(code, 'No.', 'Stop.'));

describe('receiveAttachment', () => {
  it('makes whole bytes available', async () => {
    await expect(receive(TEXT)).resolves.toEqual({ status: 'available' });
    expect([kept, stored]).toEqual([true, [{ name: PLACE.name, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]]);
  });

  it('refuses for good what is not what was declared', async () => {
    await expect(receive(Buffer.from('find\0ngs'))).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect([kept, stored]).toEqual([false, [null]]);
  });

  it('changes nothing when the bytes stop coming', async () => {
    await expect(receive(TEXT.subarray(0, 3), new Error('gone'))).rejects.toThrow('gone');
    expect([kept, stored]).toEqual([false, []]);
  });

  it('deletes its bytes when it lost, and when it was refused', async () => {
    for (const code of ['VERSION_CONFLICT', 'NOT_FOUND', 'FORBIDDEN'] as const) {
      lastStep = failing(code);
      await expect(receive(TEXT)).rejects.toMatchObject({ code });
      expect(kept).toBe(false);
    }
  });

  it('keeps its bytes where the last step failed but may have happened', async () => {
    for (const code of ['AUDIT_UNAVAILABLE', 'INTERNAL_SERVER_ERROR'] as const) {
      lastStep = failing(code);
      await expect(receive(TEXT)).rejects.toMatchObject({ code });
      expect(kept).toBe(true);
    }
    lastStep = () => Promise.reject(new Error('connection lost'));
    await expect(receive(TEXT)).rejects.toThrow('connection lost');
    expect(kept).toBe(true);
  });
});
