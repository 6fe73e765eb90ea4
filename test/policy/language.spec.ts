import 'graphql';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { registry } from '../../src/kernel/attribute.js';
import { ROLES } from '../../src/kernel/actor.js';
import { DATA_GROUPS, LEVELS, MASKS } from '../../src/kernel/attribute.js';
import '../../src/domain/nouns.js';
import { actorOf } from '../../src/policy/cases.js';
import { POLICY_ACTIONS } from '../../src/policy/decision.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import type { Environment } from '../../src/policy/environment.js';
import { problemsOf, Workbench } from './workbench.js';

let bench: Workbench;
beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clean());

const load = (from = bench) => PolicyEngine.load(from.source(), registry, { lazy: true });
const said = () => problemsOf(() => load()).map(({ file, message }) => `${file}: ${message}`);
const HEAD = 'guardrails:\n';
const NETWORKS = '# Distinct patients';

/** 2026-11-21 is a Saturday; 04:00 in UTC is noon in Shanghai. */
const NOON: Environment = { now: new Date('2026-11-21T04:00:00Z'), address: '10.1.2.3' };
const NIGHT: Environment = { now: new Date('2026-11-21T16:00:00Z'), address: '10.1.2.3' };
const ABROAD: Environment = { ...NOON, address: '203.0.113.7' };

describe('conditions on the request', () => {
  const decide = (engine: PolicyEngine, environment?: Environment, purpose = 'HOPERAT') => {
    const decision = engine.decide(actorOf('call_center_agent'), purpose, 'read', 'Patient', environment);
    const bound: unknown[] = [];
    const sql = decision.rowPredicate({ self: 's', subject: 's' }, (value) => `$${bound.push(value)}`, {
      now: NOON.now,
      timeZone: 'Asia/Shanghai',
    });
    return { decision, sql, reaches: !sql.includes('FALSE') };
  };
  const officeHours = () => {
    bench.edit('vocabulary.yaml', NETWORKS, `networks: { corp: [10.0.0.0/8], vpn: ['fd00::/8'] }\n${NETWORKS}`);
    bench.edit(
      'guardrails.yaml',
      HEAD,
      `${HEAD}  - id: agents-work-in-the-office
    effect: forbid
    subjects: [Patient]
    actions: ['*']
    roles: [call_center_agent]
    unless:
      purposes: [HOPERAT]
      time: { tz: Asia/Shanghai, days: [1, 2, 3, 4, 5, 6], from: '08:00', to: '20:00' }
      network: [corp, vpn]
`,
    );
    return load();
  };

  it('lift a guardrail where all of them are met, and never without an environment', () => {
    const engine = officeHours();
    expect(decide(engine, NOON).reaches).toBe(true);
    for (const environment of [NIGHT, ABROAD, { ...NOON, address: null }, undefined]) {
      expect(decide(engine, environment).reaches).toBe(false);
    }
    // The other parts of "unless" still count: follow-up is not what it lifts.
    expect(decide(engine, NOON, 'CAREMGT').reaches).toBe(false);
    expect(engine.decide(actorOf('front_desk'), 'PATADMIN', 'read', 'Patient').allowed).toBe(true);
  });

  it('never reach SQL, and one set of rules is one plan', () => {
    const engine = officeHours();
    const [noon, again] = [decide(engine, NOON), decide(engine, { ...NOON, now: new Date('2026-11-21T05:00:00Z') })];
    expect(again.decision.shape).toBe(noon.decision.shape);
    expect(again.sql).toBe(noon.sql);
    expect(decide(engine, NIGHT).decision.shape).not.toBe(noon.decision.shape);
    expect(noon.sql).not.toMatch(/time|10\.|inet/i);
    expect(noon.decision.ruleIds).not.toContain('agents-work-in-the-office');
    expect(decide(engine, NIGHT).decision.ruleIds).toContain('agents-work-in-the-office');
  });

  it('bound a permit: outside of them it is not there', () => {
    bench.edit('vocabulary.yaml', NETWORKS, `networks: { corp: [10.0.0.0/8] }\n${NETWORKS}`);
    bench.edit(
      'patient.yaml',
      '    actions: [lookup]\n    lookup: { exact: [phone],',
      '    actions: [lookup]\n    when: { network: [corp] }\n    lookup: { exact: [phone],',
    );
    const engine = load();
    const allowed = (environment?: Environment) =>
      engine.decide(actorOf('call_center_agent'), 'HOPERAT', 'lookup', 'Patient', environment).allowed;
    expect([allowed(NOON), allowed(NIGHT), allowed(ABROAD), allowed()]).toEqual([true, true, false, false]);
  });

  it('name networks and zones that exist', () => {
    bench.edit('vocabulary.yaml', NETWORKS, `networks: { corp: [10.0.0.0/8, 10.300.0.0/16] }\n${NETWORKS}`);
    bench.edit('patient.yaml', '    where: { hasVisitToday: true }', '    when: { network: [crop] }');
    expect(said()).toEqual([
      'policies/vocabulary.yaml: "10.300.0.0/16" is no range of addresses. Write one like 10.0.0.0/8 or fd00::/8.',
    ]);
    bench.edit('vocabulary.yaml', ', 10.300.0.0/16', '');
    expect(said()).toEqual(['policies/patient.yaml: Unknown network "crop". Did you mean "corp"?']);
    bench.edit('patient.yaml', '{ network: [crop] }', "{ time: { tz: UTC, days: [0], from: '8:00', to: '20:00' } }");
    expect(said().join('\n')).toMatch(/days.0: must be >= 1[^]*from: must match pattern/);
  });
});

describe('a rule for reveal', () => {
  // prettier-ignore
  it.each([
    ['without a limit', '    limits: { perUserPerHour: 30 }\n', '', /needs "limits: \{ perUserPerHour: 30 \}"/],
    ['without a reason', '{ type: reason }, { type: audit, level: disclosure }', '{ type: audit, level: disclosure }', /needs "obligations: \[\{ type: reason \}\]"/],
    ['that masks', '    fields: { clear: [phone, address] }', '    fields: { clear: [phone], masked: [address] }', /What is revealed is in clear/],
    ['that does something else too', 'actions: [reveal]', 'actions: [reveal, read]', /reveal stands alone/],
    ['that shows nothing', '    fields: { clear: [phone, address] }\n', '', /A rule for reveal shows something/],
  ] as const)('is refused %s', (_name, from, to, message) => {
    bench.edit('patient.yaml', from, to);
    expect(said().join('\n')).toMatch(message);
  });

  it('is the only one with a limit', () => {
    bench.edit(
      'patient.yaml',
      '    lookup: { exact: [phone],',
      '    limits: { perUserPerHour: 30 }\n    lookup: { exact: [phone],',
    );
    expect(said()).toEqual(['policies/patient.yaml: "limits" needs the action reveal or aggregate.']);
  });

  it('falls with the right to read, and with the clear value', () => {
    for (const forbidden of ['read', 'read:clear', 'reveal', '"*"']) {
      const own = new Workbench();
      own.edit(
        'guardrails.yaml',
        HEAD,
        `${HEAD}  - { id: no, effect: forbid, subjects: [Patient], actions: [${forbidden}] }\n`,
      );
      const decision = load(own).decide(actorOf('physician'), 'TREAT', 'reveal', 'Patient');
      const all = (1 << 8) - 1;
      expect([...decision.visibility(all).fields.values()].filter((one) => one.state === 'CLEAR')).toEqual([]);
      own.clean();
    }
  });

  it('gives to nobody but the treating team, and for research to no role at all', () => {
    const engine = load();
    for (const role of ROLES) {
      for (const purpose of engine.purposesOf(role)) {
        const decision = engine.decide(actorOf(role), purpose, 'reveal', 'Patient');
        const team = ['physician', 'nurse'].includes(role) && ['TREAT', 'ETREAT'].includes(purpose);
        expect([role, purpose, decision.allowed]).toEqual([role, purpose, team]);
        if (team) expect([decision.perUserPerHour, [...decision.shown].sort()]).toEqual([30, ['address', 'phone']]);
      }
    }
  });
});

describe('obligations', () => {
  // prettier-ignore
  it.each([
    ['an unknown kind', '{ type: stepup }', /must be one of reason, stepUp, .* Did you mean "stepUp"\?/],
    ['an unknown parameter', '{ type: stepUp, maxage: 60 }', /Unknown key "maxage". Did you mean "maxAge"\?/],
    ['a parameter of another kind', '{ type: stepUp, minChars: 20 }', /Unknown key "minChars". Known: type, maxAge/],
    ['a reason that is no reason', '{ type: reason, minChars: 3 }', /minChars: must be >= 10/],
    ['a reason that no header holds', '{ type: reason, minChars: 501 }', /minChars: must be <= 500/],
    ['a second person of no role', '{ type: fourEyes, role: privacy_oficer }', /Unknown role "privacy_oficer". Did you mean "privacy_officer"\?/],
    ['a second person of any role', '{ type: fourEyes }', /"role" is missing/],
    ['groups without a number', '{ type: kAnonymity, quasi: [gender], suppressMax: 0.05 }', /"k" is missing/],
    ['groups by no field', '{ type: kAnonymity, k: 11, quasi: [gendre], suppressMax: 0.05 }', /Patient has no field "gendre". Did you mean "gender"\?/],
    ['a level that there is not', '{ type: audit, level: none }', /level: must be one of access, disclosure/],
    ['the same twice', '{ type: stepUp }, { type: stepUp, maxAge: 60 }', /"stepUp" is named twice/],
  ] as const)('of %s are refused', (_name, written, message) => {
    bench.edit('patient.yaml', 'obligations: [{ type: stepUp }]', `obligations: [${written}]`);
    expect(said().join('\n')).toMatch(message);
  });

  it('come with their parameters', () => {
    bench.edit(
      'patient.yaml',
      'obligations: [{ type: stepUp }]',
      'obligations: [{ type: stepUp, maxAge: 60 }, { type: reason, minChars: 40 }, { type: fourEyes, role: privacy_officer }, ' +
        '{ type: kAnonymity, k: 11, quasi: [gender], lDiversity: { on: region, l: 2 }, suppressMax: 0.05 }]',
    );
    const { obligations } = load().decide(actorOf('privacy_officer'), 'PATRQT', 'export', 'Patient');
    expect(obligations).toEqual([
      { type: 'stepUp', maxAge: 60 },
      { type: 'reason', minChars: 40 },
      { type: 'fourEyes', role: 'privacy_officer' },
      { type: 'kAnonymity', k: 11, quasi: ['gender'], lDiversity: [{ on: 'region', l: 2 }], suppressMax: 0.05 },
    ]);
  });
});

describe('a rule for aggregate', () => {
  const groups = '{ type: kAnonymity, k: 11, quasi: [birthYear, gender, region], suppressMax: 1 }';
  // prettier-ignore
  it.each([
    ['of groups that are too small', 'k: 11, quasi: [birthYear, gender, region],', 'k: 10, quasi: [birthYear, gender, region],', /must be >= 11/],
    ['without groups', `    obligations: [${groups}]\n`, '', /needs "obligations: \[\{ type: kAnonymity, k: 11, quasi: \[birthYear, gender, region\]/],
    ['of groups by other fields', 'quasi: [birthYear, gender, region],', 'quasi: [birthYear, gender],', /"quasi" names the fields that are counted by/],
    ['that would leave only so much out', 'region], suppressMax: 1 }', 'region], suppressMax: 0.5 }', /always left out/],
    ['of diverse groups', 'region], suppressMax: 1 }', 'region], suppressMax: 1, lDiversity: { on: status, l: 2 } }', /always left out/],
    ['without a limit', `    limits: { perUserPerHour: 60 }\n    obligations: [${groups}]`, `    obligations: [${groups}]`, /needs "limits: \{ perUserPerHour: 60 \}"/],
    ['that masks', 'fields: { clear: [birthYear, gender, region] }', 'fields: { clear: [gender, region], masked: [birthYear] }', /What is counted by is in clear/],
    ['by what tells people apart', 'fields: { clear: [birthYear, gender, region] }', 'fields: { clear: [birthYear, gender, region, createdAt] }', /Nobody is counted by "createdAt"/],
    ['by what is sealed', 'fields: { clear: [birthYear, gender, region] }', 'fields: { clear: [birthYear, gender, region, birthDate] }', /Nobody is counted by "birthDate"/],
    ['that shows rows too', 'actions: [aggregate]', 'actions: [aggregate, read]', /aggregate stands alone/],
    ['by the network', '    where: { status: active, isAdult: true }', "    when: { network: [corp] }\n    where: { status: active, isAdult: true }", /neither on the hour nor on the network/],
  ] as const)('%s is refused', (_name, before, after, message) => {
    bench.edit('patient.yaml', before, after);
    expect(said().join('\n')).toMatch(message);
  });

  // prettier-ignore
  it.each([
    ['of one\'s own patients', 'where: { status: active, isAdult: true }', 'where: { status: active, isAdult: true, inCareTeam: true }', /no condition may ask who counts/],
    ['of those who are here today', 'where: { status: active, isAdult: true }', 'where: { status: active, isAdult: true, hasVisitToday: true }', /no condition may ask who counts, or when/],
    ['of those who are no adults', 'where: { status: active, isAdult: true }', 'where: { status: active }', /"marketing-counts-consenting-adults-alone" does not hold/],
  ] as const)('%s is refused', (_name, before, after, message) => {
    bench.edit('patient.yaml', before, after);
    const problems = problemsOf(() => PolicyEngine.load(bench.source(), registry));
    expect(problems.map((one) => one.message).join('\n')).toMatch(message);
  });

  it('is of patients alone', () => {
    bench.edit(
      'diagnosis.yaml',
      'rules:\n',
      `rules:\n  - id: counted\n    effect: permit\n    roles: [researcher]\n    purposes: [HRESCH]\n    actions: [aggregate]\n    fields: { clear: [icdChapter] }\n    limits: { perUserPerHour: 60 }\n    obligations: [{ type: kAnonymity, k: 11, quasi: [icdChapter], suppressMax: 1 }]\n`,
    );
    expect(said().join('\n')).toMatch(/Only patients are counted, not Diagnosis/);
  });
});

describe('the volume of a role', () => {
  it('is the standard one, its own, or none for machines', () => {
    bench.edit(
      'vocabulary.yaml',
      '  machines:',
      '  roles: { billing: { patientsPerHour: 50, patientsPerDay: 60 } }\n  machines:',
    );
    const engine = load();
    const volume = (role: (typeof ROLES)[number]) =>
      engine.decide(actorOf(role), engine.purposesOf(role)[0] ?? '', 'read', 'Patient').volume;
    expect(volume('front_desk')).toEqual({ patientsPerHour: 500, patientsPerDay: 2000 });
    expect(volume('billing')).toEqual({ patientsPerHour: 50, patientsPerDay: 60 });
    expect([volume('integrator'), volume('reminder_service')]).toEqual([null, null]);
  });

  it('is the standard one for every role, machines too, where the vocabulary is silent', () => {
    const text = bench.read('vocabulary.yaml');
    bench.write('vocabulary.yaml', text.replace(/volume:\n( {2}.*\n)+/, ''));
    const engine = load();
    for (const role of ROLES) {
      const decision = engine.decide(actorOf(role), engine.purposesOf(role)[0] ?? '', 'read', 'Patient');
      expect(decision.volume).toEqual({ patientsPerHour: 500, patientsPerDay: 2000 });
    }
  });

  it('names roles that exist, and no more in an hour than in a day', () => {
    bench.edit('vocabulary.yaml', 'patientsPerDay: 2000', 'patientsPerDay: 200');
    bench.edit('vocabulary.yaml', '[integrator, reminder_service]', '[integratr]');
    expect(said()).toEqual([
      'policies/vocabulary.yaml: More in an hour than in a day: write 200 at most.',
      'policies/vocabulary.yaml: Unknown role "integratr". Did you mean "integrator"?',
    ]);
  });
});

describe('the schema', () => {
  interface Node {
    readonly [key: string]: unknown;
  }
  const schema = JSON.parse(readFileSync('policies/_schema/policy.schema.json', 'utf8')) as Node;
  const defs = schema['$defs'] as Readonly<Record<string, Node>>;

  /** Keys of mappings of a file, by where they stand; a key may say what it is by what it refers to. */
  function undescribed(node: unknown, at: string): string[] {
    if (Array.isArray(node)) return node.flatMap((one) => undescribed(one, at));
    if (typeof node !== 'object' || node === null) return [];
    return Object.entries(node).flatMap(([key, value]) => {
      const inner = undescribed(value, `${at}/${key}`);
      // What stands under "if" only tells one kind of file from another.
      if (key !== 'properties' || at.endsWith('/if')) return inner;
      const missing = Object.entries(value as Readonly<Record<string, Node | true>>).filter(([, one]) => {
        if (one === true || one['description'] !== undefined) return false;
        return defs[String(one['$ref']).replace('#/$defs/', '')]?.['description'] === undefined;
      });
      return [...inner, ...missing.map(([name]) => `${at}.${name}`)];
    });
  }

  it('says of every key what it is, so that an editor can', () => {
    expect(undescribed(schema, '')).toEqual([]);
  });

  it('knows the words that the code knows', () => {
    const text = JSON.stringify(schema);
    for (const words of [ROLES, DATA_GROUPS, MASKS, LEVELS, POLICY_ACTIONS])
      expect(text).toContain(JSON.stringify(words).slice(1, -1));
  });

  it('is named on top of every file', () => {
    const source = bench.source();
    for (const [file, text] of source.texts) {
      if (!file.endsWith('.yaml')) continue;
      const [first] = text.split('\n');
      const to = path.posix.relative(path.posix.dirname(file), '_schema/policy.schema.json');
      expect([file, first]).toEqual([file, `# yaml-language-server: $schema=${to}`]);
    }
  });
});

describe('marketing with the authorization of each patient', () => {
  const RULE = `rules:
  - id: patient-for-authorized-marketing
    effect: permit
    roles: [marketer]
    purposes: [HMARKT]
    actions: [read]
    consent: { scope: HMARKT, onMissing: deny, onDeny: deny }
    show: { clear: [public], masked: [contact] }
`;
  const facts = { tenant: 'T-CN', hasVisitToday: false, inCareTeam: false, isRepresented: false, isEmergency: false };

  it('can be said: whoever gave it is reached, nobody else, and a withdrawal ends it', () => {
    bench.edit('patient.yaml', 'rules:\n', RULE);
    const decision = load().decide(actorOf('marketer'), 'HMARKT', 'read', 'Patient');
    const reaches = (state: string) => decision.matches({ ...facts, 'consent.HMARKT': state });
    expect([reaches('PERMIT'), reaches('NONE'), reaches('DENY')]).toEqual([true, false, false]);
    expect(decision.clearFor('phone')).toBe('never');
  });

  it('does not load as long as an invariant says that marketing reaches nobody', () => {
    bench.edit('patient.yaml', 'rules:\n', RULE);
    const problems = problemsOf(() => PolicyEngine.load(bench.source(), registry)).map(({ message }) => message);
    expect(problems.join()).toContain('patients-never-reached-by-marketing-security-and-audit');
  });
});

it('says what to write instead of a wrong word', () => {
  bench.edit('patient.yaml', 'roles: [physician, nurse]', 'roles: [physicain, nurse]');
  bench.edit('patient.yaml', 'purposes: [HPAYMT]', 'purposes: [HPAYMNT]');
  bench.edit(
    'patient.yaml',
    'fields: { clear: [name], masked: [phone] }',
    'fields: { clear: [nmae], masked: [phone] }',
  );
  bench.edit('patient.yaml', 'clear: [public, identity, notes]', 'clear: [public, idendity, notes]');
  bench.edit('visit.yaml', 'inherit: Patient', 'inherit: CareTeam');
  bench.edit('guardrails.yaml', 'subjects: [Visit, Diagnosis', 'subjects: [Visti, Diagnosis');
  const all = said().join('\n');
  for (const meant of ['physician', 'HPAYMT', 'name', 'identity', 'Visit'])
    expect(all).toContain(`Did you mean "${meant}"?`);
  expect(all).toContain('Write "inherit: Patient".');
});

it.each([
  ['inCareTeem: true', 'inCareTeam'],
  ['status: { $exist: true }', '$exists'],
  ['$orr: [{ inCareTeam: true }]', '$or'],
  ['status: $user.tennant', '$user.tenant'],
])('says what to write instead of the condition %s', (condition, meant) => {
  bench.edit('patient.yaml', 'where: { hasVisitToday: true }', `where: { ${condition} }`);
  expect(said().join('\n')).toContain(`Did you mean "${meant}"?`);
});
