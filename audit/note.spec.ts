import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { entriesPath, tilesOf } from './tiles.mjs';
import { decodeBundle } from './entry.mjs';
import { CompactRange, EMPTY_ROOT, leafHash } from './merkle.mjs';
import { checkpointText, parseCheckpoint, parseVkey, signNote, verifyNote, vkey } from './note.mjs';
import { itWithVectors, vectors } from './vectors.js';

const NAME = 'ledger.example.org/T-CN';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const key = vkey(NAME, publicKey);

interface NoteVectors {
  notes: { name: string; vkeys: string[]; note: string; expect: { ok: boolean; verified?: string[] } }[];
  badVkeys: string[];
}
interface LogVectors {
  origin: string;
  vkey: string;
  leavesUtf8: string[];
  checkpointsBySize: string[];
  tilesHex: Record<string, string>;
  entryBundlesHex: Record<string, string>;
}

describe('signed note', () => {
  it('verifies what it signed, and nothing that differs in one character', () => {
    const note = signNote(checkpointText({ origin: NAME, size: 7, root: EMPTY_ROOT }), { name: NAME, privateKey });
    const { text, verified } = verifyNote(note, [key]);
    expect(parseCheckpoint(text)).toEqual({ origin: NAME, size: 7, root: EMPTY_ROOT });
    expect(verified).toEqual([{ name: NAME, keyId: parseVkey(key).keyId }]);
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
        fc.pre(note.charCodeAt(at) !== code);
        const changed = note.slice(0, at) + String.fromCharCode(code) + note.slice(at + 1);
        expect(() => verifyNote(changed, [key])).toThrow(Error);
      }),
      { numRuns: 500 },
    );
  });

  it('makes one key of the raw bytes, the public and the private key object', () => {
    const raw = parseVkey(key).publicKey;
    expect(vkey(NAME, raw)).toBe(key);
    expect(vkey(NAME, privateKey)).toBe(key);
  });

  it('ignores an unknown key, and rejects the note for a known key whose signature fails', () => {
    const other = generateKeyPairSync('ed25519');
    const text = 'text\n';
    const mine = signNote(text, { name: NAME, privateKey });
    const theirs = signNote(text, { name: 'other', privateKey: other.privateKey }).slice(text.length + 1);
    const both = mine + theirs;
    expect(verifyNote(both, [key]).unknown.map(({ name }) => name)).toEqual(['other']);
    const forged = mine + signNote('else\n', { name: 'other', privateKey: other.privateKey }).slice(6);
    expect(verifyNote(forged, [key]).verified).toHaveLength(1);
    expect(() => verifyNote(forged, [key, vkey('other', other.publicKey)])).toThrow('does not hold');
    expect(() => verifyNote(theirs, [key])).toThrow();
  });

  it.each([
    ['no final newline', 'text'],
    ['a tab', 'te\txt\n'],
    ['a lone surrogate', '\ud800\n'],
  ])('does not sign a text with %s', (_, text) => {
    expect(() => signNote(text, { name: NAME, privateKey })).toThrow(Error);
  });

  it.each(['', 'a b', 'a+b', 'a\u00a0b'])('does not take %j for a name', (name) => {
    expect(() => vkey(name, publicKey)).toThrow('key name');
    expect(() => signNote('text\n', { name, privateKey })).toThrow('key name');
  });

  itWithVectors('decides the published notes and keys', () => {
    const { notes, badVkeys } = JSON.parse(vectors.text('signed-notes/notes.json')) as NoteVectors;
    expect(notes).toHaveLength(17);
    for (const vector of notes) {
      const open = () => verifyNote(vector.note, vector.vkeys);
      if (!vector.expect.ok) expect(open).toThrow(Error);
      else expect(open().verified.map(({ name }) => name)).toEqual(vector.expect.verified);
    }
    for (const bad of badVkeys) expect(() => parseVkey(bad)).toThrow(Error);
  });

  itWithVectors('opens the checkpoints of a published log and finds their roots, tiles and entries', () => {
    const log = JSON.parse(vectors.text('tessera-log/log.json')) as LogVectors;
    expect(log.checkpointsBySize).toHaveLength(16);
    log.checkpointsBySize.forEach((note, size) => {
      const checkpoint = parseCheckpoint(verifyNote(note, [log.vkey]).text);
      expect(checkpoint).toMatchObject({ origin: log.origin, size });
      const entries = log.leavesUtf8.slice(0, size).map((text) => Buffer.from(text));
      const range = new CompactRange();
      for (const entry of entries) range.append(leafHash(entry));
      expect(range.root()).toEqual(checkpoint.root);
      for (const [path, data] of tilesOf(entries.map(leafHash))) expect(data.toString('hex')).toBe(log.tilesHex[path]);
      if (size === 0) return;
      expect(decodeBundle(Buffer.from(log.entryBundlesHex[entriesPath(0, size)]!, 'hex'))).toEqual(entries);
    });
  });
});

describe('checkpoint', () => {
  const root = EMPTY_ROOT.toString('base64');
  it.each([
    ['a leading zero', `o\n01\n${root}\n`],
    ['a sign', `o\n+1\n${root}\n`],
    ['no size', `o\n\n${root}\n`],
    ['a size beyond whole numbers', `o\n9007199254740993\n${root}\n`],
    ['no origin', `\n1\n${root}\n`],
    ['a short root', `o\n1\n${EMPTY_ROOT.toString('base64', 0, 31)}\n`],
    ['another base64 form', `o\n1\n${root.replace('=', '')}\n`],
    ['no final newline', `o\n1\n${root}`],
    ['an empty extension', `o\n1\n${root}\n\n`],
  ])('is refused with %s', (_, text) => {
    expect(() => parseCheckpoint(text)).toThrow(Error);
  });

  it('ignores extension lines', () => {
    expect(parseCheckpoint(`o\n1\n${root}\nmore\n`).size).toBe(1);
  });
});
