import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cosign, verifyCosignature, witnessVkey } from './cosignature.mjs';
import { EMPTY_ROOT } from './merkle.mjs';
import { checkpointText, parseVkey, signNote, TYPE_COSIGNATURE, verifyNote, vkey } from './note.mjs';

const LOG = 'ledger.example.org/T-CN';
const NAME = 'witness.example.org/w1';
const TIME = 1_767_225_600;
const log = generateKeyPairSync('ed25519');
const witness = { name: NAME, privateKey: generateKeyPairSync('ed25519').privateKey };
const key = witnessVkey(NAME, witness.privateKey);
const text = checkpointText({ origin: LOG, size: 0, root: EMPTY_ROOT });
const line = cosign(text, witness, TIME);

describe('cosignature', () => {
  it('verifies beside the signature of the log, with its time', () => {
    const note = signNote(text, { name: LOG, privateKey: log.privateKey }) + line;
    const { verified } = verifyNote(note, [vkey(LOG, log.publicKey), key]);
    expect(verified.map(({ name, time }) => [name, time])).toEqual([
      [LOG, undefined],
      [NAME, TIME],
    ]);
    expect(verifyCosignature(text, line, key)).toEqual({ line, time: TIME });
    expect(parseVkey(key)).toMatchObject({ name: NAME, type: TYPE_COSIGNATURE });
  });

  it('is found among the lines of others', () => {
    const other = cosign(text, { name: NAME, privateKey: log.privateKey }, TIME + 1);
    expect(verifyCosignature(text, other + line, key)).toEqual({ line, time: TIME });
    expect(() => verifyCosignature(text, other, key)).toThrow('no signature by a known key');
  });

  it('holds for nothing else: no other character, time or text', () => {
    fc.assert(
      fc.property(fc.nat(line.length - 2), fc.integer({ min: 0x21, max: 0x7e }), (at, code) => {
        fc.pre(line.charCodeAt(at) !== code);
        const changed = line.slice(0, at) + String.fromCharCode(code) + line.slice(at + 1);
        expect(() => verifyCosignature(text, changed, key)).toThrow(Error);
      }),
      { numRuns: 300 },
    );
    const later = checkpointText({ origin: LOG, size: 1, root: EMPTY_ROOT });
    expect(() => verifyCosignature(later, line, key)).toThrow('does not hold');
  });

  it('is not taken for a signature of the log, nor the other way round', () => {
    const asLog = vkey(NAME, witness.privateKey);
    expect(() => verifyNote(`${text}\n${line}`, [asLog])).toThrow('no signature by a known key');
    const signed = signNote(text, witness).slice(text.length + 1);
    expect(() => verifyCosignature(text, signed, key)).toThrow('no signature by a known key');
    expect(() => verifyCosignature(text, signed, asLog)).toThrow('not the key of a witness');
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('does not state the time %d', (time) => {
    expect(() => cosign(text, witness, time)).toThrow('whole seconds');
  });

  it('verifies the published example', () => {
    const note =
      'ledger.example.org/tenant-a\n3\nqm6nuPbfLgc+NfLSJSpsrRVm/t4Cr6nMxJT0+gooQ/A=\n\n' +
      '\u2014 ledger.example.org/tenant-a t8teW0mxB6dM/Qb63gw1ISeZzW11f2NLCAxBkcpg+GzsPclYLtCYEYcIdocFB5h8L1/yGCXdlfey4T/5PZCOXef73g0=\n' +
      '\u2014 witness.example.org/w1 +8vNDQAAAABpVbkAZvQN24ya5zzmxdiGPCdX5aPcKQpBFBJ4uRfAToQRicHFouIAH0ISj+uESF+nEQmucmR2vzveX7p4ITw+vsifCg==\n';
    const keys = [
      'ledger.example.org/tenant-a+b7cb5e5b+Ac7OwX6PcB7iQ1gzGFeaSzVfHQPUMnqNJa4idtNdwTOF',
      'witness.example.org/w1+fbcbcd0d+BA7bPxuYia++1WW+NzVkDKdcwoOgNN77gLioUC7WXU6r',
    ];
    expect(verifyNote(note, keys).verified[1]?.time).toBe(TIME);
  });
});
