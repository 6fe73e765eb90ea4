import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { ContentCheck, RefusedContent } from './content-check.js';

async function* chunked(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** `taken`, or what is wrong with it. */
async function judge(contentType: string, bytes: Buffer, size = bytes.length, chunk = 10_000): Promise<string> {
  const check = new ContentCheck({ contentType, size });
  const passed: Uint8Array[] = [];
  try {
    for await (const part of check.inspect(chunked(bytes, chunk))) passed.push(part);
  } catch (error) {
    expect(error).toBeInstanceOf(RefusedContent);
    return (error as Error).message;
  }
  expect(Buffer.concat(passed).equals(bytes)).toBe(true);
  expect(check.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  return 'taken';
}

const dicom = (preamble = Buffer.alloc(128)) => Buffer.concat([preamble, Buffer.from('DICM'), Buffer.alloc(500, 7)]);
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** A TIFF whose directory lies at its end, as scanners write it. */
const tiff = (() => {
  const bytes = Buffer.alloc(200_000, 1);
  bytes.write('II*\0', 'latin1');
  bytes.writeUInt32LE(199_000, 4);
  return bytes;
})();
const GOOD: readonly (readonly [string, Buffer])[] = [
  ['application/pdf', Buffer.from('%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n')],
  ['image/png', png],
  ['image/jpeg', Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'), randomBytes(100_000)])],
  ['image/tiff', tiff],
  ['text/plain', Buffer.from('BMI 23, HbA1c < 6.5 %, 血压 120/80\r\n\tdone')],
  ['application/dicom', dicom()],
];

describe('a content', () => {
  it('is taken when it is what was declared, in pieces of any size', async () => {
    for (const [type, bytes] of GOOD) {
      for (const chunk of [1, 97, 65_536, 1_000_000]) {
        if (chunk === 1 && bytes.length > 1_000) continue;
        expect([type, chunk, await judge(type, bytes, bytes.length, chunk)]).toEqual([type, chunk, 'taken']);
      }
    }
  });

  it('is refused as every other type', async () => {
    for (const [type, bytes] of GOOD) {
      for (const [declared] of GOOD) {
        if (declared === type) continue;
        expect([type, declared, await judge(declared, bytes)]).toEqual([
          type,
          declared,
          `The content is not ${declared}.`,
        ]);
      }
    }
  });

  it('that is a text may speak of heads and scripts, wherever it is cut', async () => {
    const bytes = Buffer.from('BP <headache> 3/10, <scripted plan>, ratio <bodyweight, a < b, <imgs');
    for (let chunk = 1; chunk < 40; chunk += 1)
      expect(await judge('text/plain', bytes, bytes.length, chunk)).toBe('taken');
  });

  it('is refused when it has another size', async () => {
    const bytes = Buffer.from('hello');
    expect(await judge('text/plain', bytes, 4)).toBe('The content is larger than was declared.');
    expect(await judge('text/plain', bytes, 6)).toBe('The content is smaller than was declared.');
    expect(await judge('text/plain', Buffer.alloc(0), 1)).toBe('The content is smaller than was declared.');
  });

  it('is refused when it is two things at once', async () => {
    const script = '<script>alert(1)</script>';
    const program = Buffer.alloc(128);
    program.write('MZ');
    const bad: [string, Buffer][] = [
      ['text/plain', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="x()">')],
      ['text/plain', Buffer.from(`Findings ${script}`)],
      ['text/plain', Buffer.from('\uFEFF  <!DOCTYPE html>')],
      ['text/plain', Buffer.from('#!/bin/sh\nrm -rf /')],
      ['text/plain', Buffer.from('%PDF-1.4 as a text')],
      ['text/plain', Buffer.from('\uFEFF%PDF-1.4 as a text')],
      ['application/pdf', Buffer.from('\uFEFF%PDF-1.4')],
      ['application/pdf', Buffer.from(`%PDF-1.4\n${script}`)],
      ['application/pdf', Buffer.from('%PDF-1.4\n<script/src=//x.example>')],
      ['application/pdf', Buffer.from('%PDF-1.4\n<BODY\fonload=x()>')],
      ['image/png', Buffer.concat([png, Buffer.from('<object/data=x>')])],
      ['text/plain', Buffer.from('<x:svg xmlns:x="http://www.w3.org/2000/svg"><x:script>alert(1)</x:script>')],
      ['text/plain', Buffer.from('<abcdefgh:script>alert(1)</abcdefgh:script>')],
      ['text/plain', Buffer.from('<img src=x onerror=x()>')],
      ['application/dicom', dicom(program)],
      ['application/dicom', dicom(Buffer.concat([Buffer.from('%PDF-1.4'), Buffer.alloc(120)]))],
      ...GOOD.filter(([type]) => type !== 'text/plain').map(([type, bytes]): [string, Buffer] => [
        type,
        Buffer.concat([bytes, Buffer.alloc(70_000), Buffer.from(script)]),
      ]),
    ];
    for (const [type, bytes] of bad) {
      for (const chunk of [3, 50_000]) {
        if (chunk === 3 && bytes.length > 1_000) continue;
        expect([bytes.toString('latin1', 0, 40), await judge(type, bytes, bytes.length, chunk)]).toEqual([
          bytes.toString('latin1', 0, 40),
          `The content is not ${type}.`,
        ]);
      }
    }
  });

  it('that is a text is UTF-8 without control characters, wherever it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        fc.integer({ min: 1, max: 7 }),
        async (text, chunk) => {
          fc.pre(!/[<%#{]|\p{Cc}/u.test(text));
          const bytes = Buffer.from(text);
          expect(await judge('text/plain', bytes, bytes.length, chunk)).toBe('taken');
          for (const bad of [[0xff], [0xc3], [0x00], [0x1b], [0xed, 0xa0, 0x80]]) {
            const spoiled = Buffer.concat([bytes, Buffer.from(bad)]);
            expect(await judge('text/plain', spoiled, spoiled.length, chunk)).toBe('The content is not text/plain.');
          }
        },
      ),
    );
  });

  it('of compressed bytes is not taken for markup by chance', async () => {
    const bytes = Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), randomBytes(8 * 1024 * 1024)]);
    expect(await judge('image/jpeg', bytes, bytes.length, 65_536)).toBe('taken');
  });
});
