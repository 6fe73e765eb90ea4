import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PolicyKey } from './policy-key.js';
import {
  contentOf,
  countedApprovals,
  digestOf,
  releaseFault,
  textOf,
  verifyHistory,
  type Activation,
  type Approval,
  type Release,
} from './release.js';

const AT = new Date('2026-11-22T08:00:00Z');
const AUTHOR = { id: 'author', tenant: 'T-CN' };
let directory: string;
let key: PolicyKey;
let other: PolicyKey;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'custodia-policy-key-'));
  key = PolicyKey.open(path.join(directory, 'ours'), true);
  other = PolicyKey.open(path.join(directory, 'theirs'), true);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function release(version: number, by = key): Release {
  const files = { 'bundle.yaml': `version: ${version}`, 'patient.yaml': 'rules: []' };
  const unsigned = {
    ...{ hash: String(version).repeat(64).slice(0, 64), version, files, content: contentOf(files) },
    ...{ author: AUTHOR, proposedAt: AT, note: 'a change' },
  };
  return { ...unsigned, signature: by.sign(textOf.release(unsigned)) };
}
function approval(of: Release, approver = 'approver', by = key): Approval {
  const unsigned = { hash: of.hash, approver: { id: approver, tenant: 'T-CN' }, approvedAt: AT, challenge: 'c' };
  return { ...unsigned, signature: by.sign(textOf.approval(unsigned, of)) };
}
function following(before: readonly Activation[], version: number, rest: Partial<Activation> = {}): Activation {
  const last = before.at(-1) ?? null;
  const unsigned = {
    ...{ sequence: before.length + 1, cause: 'activate' as const, hash: release(version).hash, version },
    ...{ replaces: last?.hash ?? null, previous: last === null ? null : digestOf(last) },
    ...{ author: AUTHOR.id, approver: 'approver', actor: AUTHOR, activatedAt: AT },
    ...rest,
  };
  return { ...unsigned, signature: key.sign(textOf.activation(unsigned)) };
}
function history(...versions: number[]): Activation[] {
  return versions.reduce<Activation[]>((all, version) => [...all, following(all, version)], []);
}
const held = (activations: readonly Activation[]) =>
  verifyHistory(activations, key).activations.map((one) => one.version);

describe('the policy key', () => {
  it('is a file that only its owner reads, made once and never beside releases that it did not sign', () => {
    const file = path.join(directory, 'ours', 'policy.pem');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = PolicyKey.open(path.join(directory, 'ours'), true);
    expect(again.verifies('text', key.sign('text'))).toBe(true);
    expect(() => PolicyKey.open(path.join(directory, 'nowhere'), false)).toThrow('restore it from its backup');
    chmodSync(file, 0o640);
    expect(() => PolicyKey.open(path.join(directory, 'ours'), false)).toThrow('0600');
    chmodSync(file, 0o600);
    writeFileSync(path.join(directory, 'policy.pem'), 'no key', { mode: 0o600 });
    expect(() => PolicyKey.open(directory, false)).toThrow('is no policy key');
  });

  it('verifies nothing but what it signed, whatever the signature looks like', () => {
    const signature = key.sign('text');
    expect(key.verifies('text', signature)).toBe(true);
    expect(key.verifies('texts', signature)).toBe(false);
    expect(other.verifies('text', signature)).toBe(false);
    for (const stripped of [null, Buffer.alloc(0), Buffer.alloc(64), signature.subarray(0, 63)]) {
      expect(key.verifies('text', stripped)).toBe(false);
    }
  });
});

describe('a release', () => {
  it('holds as it was signed, and with no member changed', () => {
    const signed = release(4);
    expect(releaseFault(signed, key)).toBeNull();
    const changes: Partial<Release>[] = [
      { version: 5 },
      { hash: 'f'.repeat(64) },
      { author: { id: 'approver', tenant: 'T-CN' } },
      { proposedAt: new Date(0) },
      { note: 'another' },
      { files: { ...signed.files, 'patient.yaml': 'rules: [everything]' } },
      { files: {} },
      { files: { 'patient.yaml': '' }, content: contentOf({ 'patient.yaml': '' }) },
      { signature: Buffer.alloc(64) },
      { signature: release(4, other).signature },
      { signature: release(5).signature },
    ];
    for (const change of changes) expect(releaseFault({ ...signed, ...change }, key)).not.toBeNull();
  });

  it('has one content for one set of files, whatever their order, and another for any other', () => {
    const files = fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), { maxKeys: 5 });
    fc.assert(
      fc.property(files, files, (left, right) => {
        const reversed = Object.fromEntries(Object.entries(left).reverse());
        expect(contentOf(reversed)).toBe(contentOf(left));
        const same = JSON.stringify(Object.entries(left).sort()) === JSON.stringify(Object.entries(right).sort());
        expect(contentOf(left) === contentOf(right)).toBe(same);
      }),
    );
  });

  it('is approved by others than its author, for this release, signed', () => {
    const four = release(4);
    const good = approval(four);
    expect(countedApprovals(four, [good], key)).toEqual([good]);
    for (const bad of [
      approval(four, AUTHOR.id),
      approval(release(5)),
      { ...approval(release(5)), hash: four.hash },
      approval(four, 'approver', other),
      { ...approval(four, AUTHOR.id), approver: { id: 'approver', tenant: 'T-CN' } },
      { ...good, signature: Buffer.alloc(64) },
    ]) {
      expect(countedApprovals(four, [bad], key)).toEqual([]);
    }
  });
});

describe('a history', () => {
  it('holds in full where versions rise, and where a signed rollback goes back to what was in force', () => {
    const three = history(3, 4, 7);
    const back = following(three, 3, { cause: 'rollback' });
    expect(verifyHistory([...three, back], key)).toEqual({ activations: [...three, back], problem: null });
    expect(held([...three, back, following([...three, back], 8)])).toEqual([3, 4, 7, 3, 8]);
    // What was gone back from comes again neither by itself nor as a step back.
    for (const version of [4, 7]) {
      expect(held([...three, back, following([...three, back], version)])).toEqual([3, 4, 7, 3]);
      const forward = following([...three, back], version, { cause: 'rollback' });
      expect(held([...three, back, forward])).toEqual([3, 4, 7, 3]);
    }
  });

  it('passes over what is not signed, not approved, lower, or goes back to what never was', () => {
    const two = history(3, 5);
    const next = following(two, 6);
    for (const bad of [
      { ...next, signature: Buffer.alloc(64) },
      { ...next, signature: other.sign(textOf.activation(next)) },
      { ...next, hash: release(9).hash },
      { ...next, approver: null },
      following(two, 6, { approver: AUTHOR.id }),
      following(two, 6, { approver: null }),
      following(two, 5),
      following(two, 4),
      following(two, 4, { cause: 'rollback' }),
      following(two, 6, { replaces: null }),
      following(two, 6, { previous: null }),
      { ...two[0]!, sequence: 3 },
    ]) {
      const { activations, problem } = verifyHistory([...two, bad], key);
      expect(activations).toEqual(two);
      expect(problem).toMatch(/^Activation 3 of the policies counts for nothing: /);
    }
  });

  it('goes on behind an entry that somebody put in between, and ends where one was taken out', () => {
    const three = history(3, 4, 5);
    const forged = { ...following(three, 9), signature: Buffer.alloc(64) };
    expect(held([...three.slice(0, 2), forged, three[2]!])).toEqual([3, 4, 5]);
    expect(held([three[0]!, three[2]!])).toEqual([3]);
    expect(held(three.slice(1))).toEqual([]);
  });
});
