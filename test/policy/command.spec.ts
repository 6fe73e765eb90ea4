import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
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

  it('explains itself, and exits with 2 where it was called wrongly', async () => {
    expect(await main(['--help'])).toBe(0);
    expect(output).toMatch(/^Usage: npm run policy/);
    expect(await main([])).toBe(2);
    expect(await main(['guess'])).toBe(2);
  });
});
