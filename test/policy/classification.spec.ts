import 'graphql';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { main } from '../../src/cli/policy.js';
import { registry } from '../../src/kernel/attribute.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { problemsOf, Workbench } from './workbench.js';

const SCHEMA = 'src/api/schema.graphql';

let bench: Workbench;
let output: string;
beforeEach(() => {
  bench = new Workbench();
  output = '';
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation((text) => {
      output += String(text);
      return true;
    });
  }
});
afterEach(() => {
  jest.restoreAllMocks();
  bench.clean();
});

const validate = (...options: string[]) => main(['validate', '--directory', bench.directory, ...options]);
const engine = () => PolicyEngine.load(bench.source(), registry, { lazy: true });

describe('what nobody decided about fails the validation', () => {
  it('takes every field and every type of the project', async () => {
    expect([await validate(), output]).toEqual([0, expect.stringContaining('policies valid')]);
  });

  it('a field without a class', async () => {
    const grown = path.join(path.dirname(bench.directory), 'grown.graphql');
    const text = readFileSync(SCHEMA, 'utf8');
    writeFileSync(
      grown,
      text.replace('type Patient implements Governed {', 'type Patient implements Governed {\n  shoeSize: String'),
    );
    expect(await validate('--schema', grown)).toBe(1);
    const line = text.slice(0, text.indexOf('type Patient implements')).split('\n').length + 1;
    expect(output).toContain(`${grown}:${line}: Patient.shoeSize has no class (UNCLASSIFIED_FIELD)`);
  });

  it('a type without a policy', async () => {
    bench.remove('organization.yaml');
    expect(await validate()).toBe(1);
    expect(output).toContain('Organization has no policy file');
  });
});

describe('the classification of an organisation', () => {
  const written = (text: string) => bench.edit('classification.yaml', 'fields: {}', `fields:\n  ${text}`);

  it('makes a class stricter, and the policies follow', () => {
    written('Patient.phone: { level: L5, mask: M_NULL, sealed: true }');
    expect(engine().classOf('Patient', 'phone')).toEqual({ level: 'L5', mask: 'M_NULL', unqueryable: true });
  });

  // prettier-ignore
  it.each([
    ['a lower level', 'Patient.phone: { level: L3 }', /Patient.phone is L4: a class is never loosened/],
    ['a weaker mask', 'Patient.nationalId: { mask: M_SAME }', /M_SAME is weaker than M_ID4/],
    ['a mask of another kind', 'Patient.phone: { mask: M_NAME }', /M_NAME is weaker than M_PHONE/],
    ['an unsealed field', 'Patient.phone: { sealed: false }', /must be "true"/],
    ['a field that there is not', 'Patient.phonee: { level: L5 }', /Unknown field Patient.phonee. Did you mean "phone"\?/],
    ['a mask that there is not', 'Patient.phone: { mask: M_NUL }', /Unknown mask M_NUL. Did you mean "M_NULL"\?/],
  ] as const)('refuses %s', (_name, text, said) => {
    written(text);
    const messages = problemsOf(engine).map((problem) => problem.message);
    expect(messages.join('\n')).toMatch(said);
  });
});
