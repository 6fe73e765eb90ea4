import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PolicyEngine } from '../../src/policy/engine.js';
import { registry } from './nouns.js';
import { problemsOf, Workbench } from './workbench.js';

let bench: Workbench;
beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clean());

const refusals = () => problemsOf(() => PolicyEngine.load(bench.source(), registry));
/** Line of the first occurrence of a text, from 1. */
const lineOf = (file: string, text: string) =>
  bench.read(file).slice(0, bench.read(file).indexOf(text)).split('\n').length;

/** What is changed, what is then said, and on which text's line. */
// prettier-ignore
const REFUSED: readonly (readonly [name: string, file: string, from: string, to: string, said: RegExp, at: string])[] = [
  ['an unknown key', 'patient.yaml', '    show: { clear: [public] }\n', '    show: { clear: [public] }\n    unless: nothing\n', /Unknown key "unless"/, 'unless: nothing'],
  ['an unknown role', 'patient.yaml', 'roles: [physician, nurse]', 'roles: [physician, surgeon]', /Unknown role "surgeon"/, 'surgeon'],
  ['an unknown purpose', 'patient.yaml', 'purposes: [HPAYMT]', 'purposes: [PAYMENT]', /Unknown purpose "PAYMENT"/, 'PAYMENT'],
  ['an unknown type', 'patient.yaml', 'subject: Patient', 'subject: Person', /Unknown type "Person"/, 'subject: Person'],
  ['an unknown group', 'patient.yaml', 'clear: [public, identity, notes]', 'clear: [public, idendity, notes]', /Unknown group "idendity"/, 'idendity'],
  ['a group without fields', 'visit.yaml', 'clear: [public, record, clinical]', 'clear: [public, record, payment]', /Visit has no field of the group "payment"/, 'payment'],
  ['an unknown field', 'patient.yaml', 'masked: [phone, nationalId]', 'masked: [phone, passport]', /Patient has no field "passport"/, 'passport'],
  ['an unknown operator', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { hasVisitToday: { $regex: x } }', /Unknown operator \$regex/, '$regex'],
  ['an operator on top', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { $not: { hasVisitToday: true } }', /Unknown operator \$not/, '$not'],
  ['a condition on no fact', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { phone: "1" }', /"phone" is not a declared fact/, 'phone: "1"'],
  ['a fact of no parent', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { subject.status: x }', /"subject.status" is not a declared fact/, 'subject.status'],
  ['an empty condition', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: {}', /where: must NOT have fewer than 1/, 'where: {}'],
  ['an empty member', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { $or: [{}] }', /non-empty mapping/, '$or: [{}]'],
  ['a condition on null', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { status: null }', /The fact is text/, 'status: null'],
  ['a value of another kind', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { hasVisitToday: "yes" }', /The fact is boolean/, 'hasVisitToday: "yes"'],
  ['an unknown placeholder', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { status: $user.mood }', /Unknown placeholder \$user.mood/, '$user.mood'],
  ['a placeholder of another kind', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { status: $user.careTeamIds }', /does not fit/, '$user.careTeamIds'],
  ['an unknown mask', 'patient.yaml', 'fields: { clear: [name], masked: [phone] }', 'fields: { clear: [name], masked: [phone] }\n    masks: { phone: M_FONE }', /Unknown mask M_FONE/, 'masks:'],
  ['a mask that is too weak', 'patient.yaml', 'fields: { clear: [name], masked: [phone] }', 'fields: { clear: [name], masked: [phone] }\n    masks: { phone: M_SAME }', /M_SAME is weaker than M_PHONE/, 'masks:'],
  ['a mask of another kind of value', 'patient.yaml', 'fields: { clear: [name], masked: [phone] }', 'fields: { clear: [name], masked: [phone] }\n    masks: { phone: M_NAME }', /M_NAME is weaker than M_PHONE/, 'masks:'],
  ['a duplicate rule id', 'patient.yaml', 'id: patient-deactivation', 'id: patient-registration', /The rule id "patient-registration" is taken/, '- id: patient-registration\n    effect: permit\n    roles: [front_desk]\n    purposes: [PATADMIN]\n    actions: [deactivate]'],
  ['a rule without roles', 'patient.yaml', '    roles: [billing]\n', '', /"roles" is missing/, '- id: patient-for-billing'],
  ['a rule without purposes', 'patient.yaml', '    purposes: [HPAYMT]\n', '    purposes: []\n', /purposes: must NOT have fewer than 1/, 'purposes: []'],
  ['a purpose of none of the roles', 'patient.yaml', 'purposes: [HPAYMT]', 'purposes: [HPAYMT, HMARKT]', /"HMARKT" is a purpose of none of the roles/, 'HMARKT'],
  ['a parent that is not one', 'visit.yaml', 'inherit: Patient', 'inherit: CareTeam', /CareTeam is not the parent of Visit/, 'inherit: CareTeam'],
  ['inheriting what is not read', 'visit.yaml', 'roles: [billing]\n    purposes: [HPAYMT]', 'roles: [marketer]\n    purposes: [HMARKT]', /Never applies to marketer for HMARKT/, '- id: visit-for-billing'],
  ['a second writer', 'patient.yaml', 'roles: [integrator]\n    purposes: [PATADMIN]\n    actions: [create, update]', 'roles: [front_desk]\n    purposes: [PATADMIN]\n    actions: [create, update]', /merge the two/, '- id: patient-feed-writes'],
  ['reading nothing', 'patient.yaml', '    show: { clear: [public] }\n  - id: patient-feed-writes', '  - id: patient-feed-writes', /A rule for read shows something/, '- id: patient-feed-reads'],
  ['writing a derived field', 'patient.yaml', 'write: { groups: [notes] }', 'write: { fields: [birthYear] }', /"birthYear" is never written/, 'birthYear'],
  ['writing the version', 'patient.yaml', 'write: { groups: [notes] }', 'write: { fields: [version] }', /"version" is never written/, 'fields: [version]'],
  ['looking up without an index', 'patient.yaml', 'exact: [phone, nationalId]', 'exact: [phone, email]', /"email" has no index of the kind exact: name it in "indexes"/, 'exact: [phone, email]'],
  ['a group in two states', 'patient.yaml', 'masked: [contact, government]', 'masked: [contact, government, notes]', /"notes" stands in clear and in masked/, 'masked: [contact, government, notes]'],
  ['a consent for no purpose', 'patient.yaml', 'scope: HRESCH', 'scope: RESEARCH', /Unknown purpose "RESEARCH"/, 'scope: RESEARCH'],
  ['a consent clause without effect', 'patient.yaml', '{ scope: HRESCH, onMissing: deny, onDeny: deny }', '{ scope: HRESCH, onMissing: permit, onDeny: permit }', /keeps nothing back/, 'consent: { scope: HRESCH'],
  ['a consent clause that leaves a case open', 'patient.yaml', '{ scope: HRESCH, onMissing: deny, onDeny: deny }', '{ scope: HRESCH, onMissing: deny }', /"onDeny" is missing/, 'consent: { scope: HRESCH'],
  ['a consent that nobody can give', 'organization.yaml', '    show: { clear: [public] }', '    consent: { scope: TREAT, onMissing: permit, onDeny: deny }\n    show: { clear: [public] }', /nobody whose consent Organization could need/, 'consent:'],
  ['a condition on a consent for no purpose', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { consent.RESEARCH: PERMIT }', /"consent.RESEARCH" is not a declared fact/, 'consent.RESEARCH'],
  ['a condition on a state that there is not', 'patient.yaml', 'where: { hasVisitToday: true }', 'where: { consent.HRESCH: permit }', /The fact is consent: the value is not/, 'consent.HRESCH: permit'],
  ['an unknown obligation', 'patient.yaml', 'obligations: [{ type: stepUp }]', 'obligations: [{ type: stepUpp }]', /must be one of reason, stepUp, .*Did you mean "stepUp"/, 'type: stepUpp'],
  ['exporting nothing', 'patient.yaml', "    show:\n      clear: [public, identity, contact]\n      masked: [government]\n    obligations", '    obligations', /A rule for export shows something/, '- id: patient-export'],
  ['an access report that shows fields', 'patient.yaml', 'actions: [accessReport]', 'actions: [accessReport]\n    show: { clear: [public] }', /"show" needs the action read or export/, 'show: { clear: [public] }\n    where: { isRepresented'],
  ['a loosened mask', 'classification.yaml', 'fields: {}', 'fields:\n  Patient.phone: { mask: M_SAME }', /never loosened/, 'Patient.phone'],
  ['a loosened level', 'classification.yaml', 'fields: {}', 'fields:\n  Patient.phone: { level: L2 }', /Patient.phone is L4: a class is never loosened/, 'Patient.phone'],
  ['a class of no field', 'classification.yaml', 'fields: {}', 'fields:\n  Patient.fax: { level: L4 }', /Unknown field Patient.fax/, 'Patient.fax'],
  ['a role without purposes', 'vocabulary.yaml', '  guardian: [PATRQT]\n', '', /"guardian" has no purposes/, 'roles:'],
  ['a role that does not exist', 'vocabulary.yaml', '  guardian: [PATRQT]', '  guardian: [PATRQT]\n  janitor: [TREAT]', /Unknown role "janitor"/, 'janitor'],
  ['an operation on no type', 'bundle.yaml', 'type: CareTeamAssignment', 'type: Team', /Unknown type Team/, 'type: Team'],
  ['an operation with no action', 'bundle.yaml', '{ action: lookup, type: Patient }', '{ action: find, type: Patient }', /must be one of read/, 'action: find'],
  ['a guardrail on a fact that one noun lacks', 'guardrails.yaml', 'where: { compartment: UNMAPPED }', 'where: { codeSystem: UNMAPPED }', /"codeSystem" is not a declared fact/, 'codeSystem'],
  ['a duplicate key', 'visit.yaml', 'subject: Visit', 'subject: Visit\nsubject: Visit', /keys must be unique/, 'subject: Visit\nrules'],
  ['an alias', 'visit.yaml', 'owners: [security@hospital.example]', 'owners: &o [security@hospital.example]\n  extra: *o', /Aliases/, ''],
  ['broken YAML', 'visit.yaml', 'rules:', 'rules: [', /./, ''],
];

describe('loading policies', () => {
  it('takes the policies of the project', () => {
    expect(refusals()).toEqual([]);
  });

  it.each(REFUSED)('refuses %s, with file and line', (_name, file, from, to, said, at) => {
    bench.edit(file, from, to);
    const problems = refusals();
    const found = problems.find((problem) => said.test(problem.message));
    expect(found).toBeDefined();
    expect(found?.file).toBe(`policies/${file}`);
    if (at !== '') expect(found?.line).toBe(lineOf(file, at));
  });

  it('refuses a noun without a policy file', () => {
    bench.remove('organization.yaml');
    expect(refusals().map((problem) => problem.message)).toContainEqual(
      expect.stringMatching(/^Organization has no policy file/),
    );
  });

  it('refuses two files for a noun, and a missing vocabulary', () => {
    bench.write('second.yaml', bench.read('organization.yaml').replaceAll('organization-', 'second-'));
    expect(refusals().map((problem) => problem.message)).toContain('Organization has more than one policy file.');
    bench.remove('vocabulary.yaml');
    expect(refusals().map((problem) => problem.message)).toContain('There is no file of the kind Vocabulary.');
  });

  it('tells everything that is wrong at once', () => {
    bench.edit('organization.yaml', 'roles: [physician, nurse', 'roles: [surgeon, nurse');
    bench.edit('visit.yaml', 'inherit: Patient', 'inherit: CareTeam');
    expect(new Set(refusals().map((problem) => problem.file))).toEqual(
      new Set(['policies/organization.yaml', 'policies/visit.yaml']),
    );
  });

  it('gives a hash that follows every value and no comment', () => {
    const hash = () => PolicyEngine.load(bench.source(), registry).hash;
    const before = hash();
    bench.edit('patient.yaml', 'rules:', '# a remark\nrules:');
    expect(hash()).toBe(before);
    bench.edit('patient.yaml', 'perDay: 60', 'perDay: 61');
    expect(hash()).not.toBe(before);
  });
});
