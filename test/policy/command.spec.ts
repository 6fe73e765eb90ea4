import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import './nouns.js';
import { Workbench } from './workbench.js';

const { main } = await import('../../src/cli/policy.js');
const bench = new Workbench();
afterAll(() => bench.clean());

let output = '';
let errors = '';
beforeEach(() => {
  output = '';
  errors = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((output += String(text))));
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((errors += String(text))));
});
afterEach(() => {
  jest.restoreAllMocks();
});

const lastLine = () => output.trimEnd().split('\n').at(-1);

describe('npm run policy', () => {
  it('validates and tests the policies of the project', async () => {
    expect(await main(['validate'])).toBe(0);
    expect(lastLine()).toMatch(/^\d+ policies valid$/);
    expect(await main(['test'])).toBe(0);
    expect(lastLine()).toMatch(/^\d+ passed, 0 failed$/);
  });

  it('names file and line of what is wrong, and exits with 1', async () => {
    const original = bench.read('visit.yaml');
    bench.edit('visit.yaml', 'inherit: Patient', 'inherit: Persons');
    expect(await main(['validate', '--directory', bench.directory])).toBe(1);
    expect(errors).toMatch(/policies\/visit\.yaml:\d+: Persons is not the parent of Visit/);
    bench.write('visit.yaml', original);
  });

  it('names the cases that a change breaks, and exits with 1', async () => {
    bench.edit('patient.yaml', 'masked: [phone, nationalId]', 'masked: [nationalId], hidden: [phone]');
    expect(await main(['test', '--directory', bench.directory])).toBe(1);
    expect(output).toMatch(/failed policies\/cases\/patient\.yaml:\d+ .*phone is HIDDEN, not MASKED M_PHONE/);
    expect(lastLine()).toMatch(/^\d+ passed, 1 failed$/);
  });

  it('proves, measures and mutates, and exits with 1 below a minimum', async () => {
    expect(await main(['invariants'])).toBe(0);
    expect(lastLine()).toMatch(/^\d+ invariants hold, 0 do not$/);
    expect(await main(['coverage', '--minimum', '1'])).toBe(0);
    expect(lastLine()).toMatch(/^(\d+) of \1 covered$/);
    expect(await main(['validate', '--verbose'])).toBe(0);
    expect(output).toMatch(
      / 259 .*Patient\.nationalId MASKED M_ID4 {2}beside birthDate CLEAR.*physician for TREAT, read/,
    );
    expect(await main(['mutate', '--rule', 'related-person-registered'])).toBe(0);
    expect(lastLine()).toMatch(/^(\d+) of \1 mutants noticed \(score 1\.00\)$/);
  });

  it('names the mutants that survive and the counter-example of an invariant', async () => {
    const cases = path.join('cases', 'related-person.yaml');
    const text = bench.read(cases);
    bench.write(cases, text.replace(/ {2}- name: the front desk registers\n(?: {4}.*\n)+/, ''));
    expect(await main(['mutate', '--rule', 'related-person-registered', '--directory', bench.directory])).toBe(1);
    expect(output).toContain('survived related-person-registered: rule dropped\n');
    bench.write(cases, text);
    const original = bench.read('patient.yaml');
    bench.edit('patient.yaml', 'write: { groups: [notes] }', 'write: { groups: [notes, identity] }');
    bench.edit('invariants.yaml', 'groups: [notes], state: written', 'groups: [identity], state: written');
    expect(await main(['invariants', '--directory', bench.directory])).toBe(1);
    expect(output).toMatch(
      /policies\/invariants\.yaml:\d+: "notes-written-by-physicians-alone" does not hold: front_desk for PATADMIN, create: Patient\.name is WRITTEN/,
    );
    expect(await main(['validate', '--directory', bench.directory])).toBe(1);
    expect(errors).toMatch(/notes-written-by-physicians-alone/);
    bench.write('patient.yaml', original);
    bench.write('invariants.yaml', readFileSync('policies/invariants.yaml', 'utf8'));
  });

  it('refuses policies whose cases notice less than the minimum, by as little as it may be', async () => {
    const cases = path.join('cases', 'care-team.yaml');
    const text = bench.read(cases);
    const mutate = ['mutate', '--rule', 'care-team-for-staff', '--directory', bench.directory];
    expect(await main(mutate)).toBe(0);
    bench.write(cases, text.replace(/ {2}- name: roles without access to this noun\b.*\n(?: {4}.*\n)+/, ''));
    expect(await main(mutate)).toBe(1);
    const [, noticed = '', all = ''] = /^(\d+) of (\d+) mutants noticed/.exec(lastLine() ?? '') ?? [];
    const score = Number(noticed) / Number(all);
    expect(score).toBeGreaterThan(0.5);
    expect(score).toBeLessThan(0.9);
    expect(await main([...mutate, '--minimum', String(score)])).toBe(0);
    expect(await main([...mutate, '--minimum', String(score + 0.001)])).toBe(1);
    bench.write(cases, text);
  });

  it('names the rules, the consent and the masks of an answer', async () => {
    const question = ['explain', '--role', 'call_center_agent', '--purpose', 'CAREMGT'];
    expect(await main([...question, '--facts', 'inCareTeam=true,consent.CAREMGT=DENY'])).toBe(0);
    expect(output).toContain('kept back by the consent clause of patient-assigned-for-follow-up');
    expect(output).toContain('the row is not reached: the patient denied consent');
    output = '';
    expect(await main([...question, '--facts', 'inCareTeam=true'])).toBe(0);
    expect(output).toMatch(/assumed: consent\.CAREMGT[^]*the row is reached[^]*phone: MASKED M_PHONE/);
    expect(await main([...question, '--facts', 'inCareTeam=perhaps'])).toBe(2);
    expect(errors).toContain('The fact "inCareTeam" is boolean: the value is not.');
    output = '';
    expect(await main(['explain', '--role', 'marketer', '--purpose', 'TREAT'])).toBe(0);
    expect(output).toContain('TREAT is no purpose of marketer');
    output = '';
    expect(await main(['simulate', '--role', 'front_desk'])).toBe(0);
    expect(output).toMatch(/^PATADMIN +read +Patient\.phone +CLEAR or MASKED M_PHONE$/m);
  });

  it('explains itself, and exits with 2 where it was called wrongly', async () => {
    expect(await main(['--help'])).toBe(0);
    expect(output).toMatch(/^Usage: npm run policy/);
    expect(await main([])).toBe(2);
    expect(await main(['guess'])).toBe(2);
    expect(await main(['coverage', '--minimum', '2'])).toBe(2);
    expect(await main(['test', '--role', 'nurse'])).toBe(2);
    expect(await main(['explain', '--role', 'somebody', '--purpose', 'TREAT'])).toBe(2);
  });
});
