import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cosign, witnessVkey } from './cosignature.mjs';
import { EMPTY_ROOT } from './merkle.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { parsePolicy, satisfies } from './policy.mjs';

const LOG = 'ledger.example.org/T-CN';
const log = { name: LOG, privateKey: generateKeyPairSync('ed25519').privateKey };
const logKey = vkey(LOG, log.privateKey);
const text = checkpointText({ origin: LOG, size: 0, root: EMPTY_ROOT });
const witnesses = ['X1', 'X2', 'X3', 'Y1', 'Y2'].map((name) => {
  const signer = { name: `${name}.example.org`, privateKey: generateKeyPairSync('ed25519').privateKey };
  return { name, signer, key: witnessVkey(signer.name, signer.privateKey) };
});
const witnessLines = witnesses.map(({ name, key }) => `witness ${name} ${key}`).join('\n');
const nested = `# who watches T-CN
log ${logKey} https://ledger.example.org/ledger/T-CN
${witnessLines}

group X 2 X1 X2 X3
\tgroup  Y any Y1 Y2
group both all X Y
quorum both
`;

/** The checkpoint with cosignatures of these witnesses; the n-th at time n. */
function note(...names: string[]): string {
  const lines = witnesses.map(({ name, signer }, at) => (names.includes(name) ? cosign(text, signer, at) : ''));
  return signNote(text, log) + lines.join('');
}

describe('policy', () => {
  it('reads logs, witnesses, groups of groups and the quorum', () => {
    const policy = parsePolicy(nested);
    expect(policy.logs).toMatchObject([{ vkey: logKey, url: 'https://ledger.example.org/ledger/T-CN' }]);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual(witnesses.map(({ name }) => [name, null]));
    expect(policy.groups.map(({ threshold }) => threshold)).toEqual([2, 1, 2]);
    expect(policy.quorum).toBe('both');
  });

  it('is satisfied by exactly the sets of witnesses that the groups describe', () => {
    const policy = parsePolicy(nested);
    fc.assert(
      fc.property(fc.subarray(witnesses.map(({ name }) => name)), (names) => {
        const count = (letter: string) => names.filter((name) => name.startsWith(letter)).length;
        const { ok, missing, verified } = satisfies(policy, note(...names));
        expect(ok).toBe(count('X') >= 2 && count('Y') >= 1);
        expect(verified.map(({ name }) => name)).toEqual(names);
        if (ok) expect(missing).toEqual([]);
        else expect(missing).toEqual(witnesses.map(({ name }) => name).filter((name) => !names.includes(name)));
      }),
      { numRuns: 32 },
    );
  });

  it('says what is missing, and when the latest witness cosigned', () => {
    const verdict = satisfies(parsePolicy(nested), note('X2', 'Y1'));
    expect(verdict).toMatchObject({ ok: false, missing: ['X1', 'X3', 'Y2'], latestTime: 3 });
    expect(verdict.problem).toBe(
      'The checkpoint lacks cosignatures: both has 1 of 2 (X has 1 of 2 (X1 has not cosigned; X3 has not cosigned)).',
    );
  });

  it('demands no witness with the quorum none', () => {
    const policy = parsePolicy(`log ${logKey}\nquorum none`);
    expect(satisfies(policy, note())).toEqual({ ok: true, missing: [], problem: null, verified: [], latestTime: null });
  });

  it('demands a log of the list, where there is a list', () => {
    const other = { name: 'another.example.org/T-CN', privateKey: log.privateKey };
    const policy = parsePolicy(`log ${vkey(other.name, other.privateKey)}\nquorum none`);
    expect(satisfies(policy, note())).toMatchObject({
      ok: false,
      problem: expect.stringContaining('log of the policy'),
    });
    // Signed by a listed key, but about another origin.
    expect(satisfies(policy, signNote(text, other)).ok).toBe(false);
    expect(satisfies(parsePolicy('quorum none'), note()).ok).toBe(true);
  });

  it('does not count a cosignature that does not hold: the note is refused', () => {
    const forged = signNote(text, log) + cosign(text.replace('\n0\n', '\n1\n'), witnesses[0]!.signer, 1);
    expect(() => satisfies(parsePolicy(nested), forged)).toThrow('X1.example.org does not hold');
  });

  const w1 = `witness W1 ${witnesses[0]!.key}`;
  it.each([
    ['', /no quorum line/],
    ['quorum none\nquorum none', /Line 2 .* already/],
    ['quorum W1', /Line 1 .*No line above defines "W1"/],
    [`quorum W1\n${w1}`, /Line 1 .*No line above/],
    [`${w1}\n${w1}\nquorum W1`, /Line 2 .*listed twice/],
    [`${w1}\nwitness W2 ${witnessVkey('other', witnesses[0]!.signer.privateKey)}\nquorum W1`, /Line 2 .*listed twice/],
    [`${w1}\nwitness W1 ${witnesses[1]!.key}\nquorum W1`, /Line 2 .*"W1" is taken/],
    [`witness none ${witnesses[0]!.key}\nquorum none`, /Line 1 .*"none" is taken/],
    [`log ${logKey}\nlog ${logKey}\nquorum none`, /Line 2 .*log is listed twice/],
    [`log ${witnesses[0]!.key}\nquorum none`, /Line 1 .*not the key of a log/],
    [`witness W1 ${logKey}\nquorum W1`, /Line 1 .*not the key of a witness/],
    ['log nonsense\nquorum none', /Line 1 .*form name\+id\+key/],
    [`${w1}\ngroup G 2 W1\nquorum G`, /Line 2 .*a number from 1 to 1/],
    [`${w1}\ngroup G 0 W1\nquorum G`, /Line 2 .*number from 1/],
    [`${w1}\ngroup G 01 W1\nquorum G`, /Line 2 .*number from 1/],
    [`${w1}\ngroup G any\nquorum G`, /Line 2 .*group <name>/],
    [`${w1}\ngroup G any none\nquorum G`, /Line 2 .*"none"/],
    [`${w1}\ngroup G any W1 W1\nquorum G`, /Line 2 .*member of a group already/],
    [`${w1}\ngroup G any W1\ngroup H any W1 G\nquorum H`, /Line 3 .*"W1" is a member/],
    [`${w1}\ngroup G any G\nquorum G`, /Line 2 .*No line above defines "G"/],
    [`${w1} https://a https://b\nquorum W1`, /Line 1 .*Write "witness/],
    ['quorum none none', /Line 1 .*Write "quorum/],
    ['quorum none\r', /Line 1 .*control character/],
    ['require none', /Line 1 .*"require" is not/],
  ])('refuses %j', (policy, message) => {
    expect(() => parsePolicy(policy)).toThrow(message);
  });
});
