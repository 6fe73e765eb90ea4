import { beforeEach, describe, expect, it } from '@jest/globals';
import { Failure } from '../../src/kernel/failure.js';
import type { Decision, PolicyAction } from '../../src/policy/decision.js';
import type { PolicyEngine } from '../../src/policy/engine.js';
import { ACTOR, CHILD, CONTEXT, FACTS, load, permit, rendered, SELF, SELF_ID, statesOf, TEAM } from './small-policy.js';

describe('a decision', () => {
  let engine: PolicyEngine;
  const ask = (action: PolicyAction = 'read', type = 'Person', actor = ACTOR) =>
    engine.decide(actor, 'TREAT', action, type);

  describe('without a rule', () => {
    beforeEach(() => {
      engine = load({ person: `[${permit('all', 'show: { clear: [public] }')}]` });
    });

    it('allows nothing, reaches nothing and shows nothing', () => {
      for (const decision of [
        ask('create'),
        ask('read', 'Letter'),
        engine.decide(ACTOR, 'PATADMIN', 'read', 'Person'),
      ]) {
        expect(decision.allowed).toBe(false);
        expect(decision.matches({ ...FACTS, secret: false })).toBe(false);
        expect(rendered((bind) => decision.rowPredicate(CHILD, bind, CONTEXT)).text).toMatch(/AND FALSE\)$/);
        expect(new Set([...decision.visibility(0).fields.values()].map((view) => view.state))).toEqual(
          new Set(['HIDDEN']),
        );
        expect(decision.writableFields().size).toBe(0);
        expect(decision.ruleIds).toEqual([]);
        expect(decision.clearFor('id')).toBe('never');
      }
    });

    it('refuses a type that is not declared', () => {
      expect(() => ask('read', 'Nobody')).toThrow(Failure);
    });

    it('is the same object for the same actor, and another one after a change of care teams', () => {
      expect(ask()).toBe(ask());
      expect(ask('read', 'Person', { ...ACTOR })).toBe(ask());
      expect(ask('read', 'Person', { ...ACTOR, careTeamIds: [] })).not.toBe(ask());
      expect(ask('read', 'Person', { ...ACTOR, tenant: 'T-US' })).not.toBe(ask());
    });
  });

  it('keeps to the tenant, in memory and in every predicate', () => {
    engine = load({ person: `[${permit('all', 'show: { clear: [public] }')}]` });
    expect(ask().matches(FACTS)).toBe(true);
    expect(ask().matches({ ...FACTS, tenant: 'T-US' })).toBe(false);
    const row = rendered((bind) => ask().rowPredicate(SELF, bind, CONTEXT));
    expect(row).toEqual({ text: '((s.tenant_id = $1::text AND s.tenant_id IS NOT NULL))', values: ['T-CN'] });
    expect(rendered((bind) => ask().clearPredicate('id', SELF, bind, CONTEXT))).toEqual(row);
    expect(rendered((bind) => ask().visibilityBits(SELF, bind, CONTEXT))).toEqual({ text: '0', values: [] });
  });

  it('lets an empty list of care teams match nothing', () => {
    engine = load({ person: `[${permit('own', 'where: { inTeam: true }, show: { clear: [public] }')}]` });
    const alone = ask('read', 'Person', { ...ACTOR, careTeamIds: [] });
    expect(rendered((bind) => alone.rowPredicate(SELF, bind, CONTEXT)).text).toMatch(/AND FALSE\)$/);
    expect(rendered((bind) => ask().rowPredicate(SELF, bind, CONTEXT)).values).toEqual(['T-CN', [TEAM]]);
  });

  it('lets an actor who speaks for nobody reach nobody as represented', () => {
    engine = load({ person: `[${permit('own', 'where: { isMe: true }, show: { clear: [public] }')}]` });
    const nobody = ask('read', 'Person', { ...ACTOR, patientIds: [] });
    expect(rendered((bind) => nobody.rowPredicate(SELF, bind, CONTEXT)).text).toMatch(/AND FALSE\)$/);
    expect(rendered((bind) => ask().rowPredicate(SELF, bind, CONTEXT))).toEqual({
      text: expect.stringContaining('(s.id = ANY($2::uuid[]) AND s.id IS NOT NULL)'),
      values: ['T-CN', [SELF_ID]],
    });
    expect(ask().matches(FACTS)).toBe(false);
    expect(ask().matches({ ...FACTS, isMe: true })).toBe(true);
    const [team] = ACTOR.careTeamIds as [string];
    const swapped = { ...ACTOR, careTeamIds: [], patientIds: [team, SELF_ID] };
    expect(ask('read', 'Person', swapped)).not.toBe(ask());
    expect(ask('read', 'Person', { ...swapped, careTeamIds: [team], patientIds: [SELF_ID] })).toBe(ask());
  });

  it('asks for today in the time zone of the tenant', () => {
    engine = load({ person: `[${permit('now', 'where: { today: true }, show: { clear: [public] }')}]` });
    const [, , start, end] = rendered((bind) => ask().rowPredicate(SELF, bind, CONTEXT)).values;
    expect(start).toEqual(new Date('2026-11-21T16:00:00Z'));
    expect(end).toEqual(new Date('2026-11-22T16:00:00Z'));
  });

  it('throws for a placeholder that the actor cannot fill', () => {
    engine = load({ person: `[${permit('mine', 'where: { owner: $user.id }, show: { clear: [public] }')}]` });
    expect(ask().matches(FACTS)).toBe(true);
    expect(ask().matches({ ...FACTS, owner: TEAM })).toBe(false);
    const nameless = { ...ACTOR, id: undefined as unknown as string };
    expect(() => ask('read', 'Person', nameless)).toThrow(/\$user\.id/);
  });

  it('throws for a fact that is missing, null or of another kind', () => {
    engine = load({ person: `[${permit('live', 'where: { status: { $ne: archived } }, show: { clear: [public] }')}]` });
    const { status: _status, ...missing } = FACTS;
    for (const facts of [missing, { ...FACTS, status: null }, { ...FACTS, status: 1 }]) {
      expect(() => ask().matches(facts)).toThrow(/Person\.status/);
      expect(() => ask().bitsOf(facts)).toThrow(/Person\.status/);
    }
  });

  it('joins permits: the least masked state and the weakest mask win, row by row', () => {
    engine = load({
      person: `[${[
        permit('base', 'fields: { clear: [id], masked: [phone, note] }, masks: { phone: M_NULL }'),
        permit('team', 'where: { inTeam: true }, fields: { masked: [phone] }'),
        permit('today', 'where: { today: true }, fields: { clear: [phone] }'),
      ].join(', ')}]`,
    });
    expect(statesOf(ask())).toMatchObject({ phone: 'M_NULL', note: 'M_TEXT', birth: 'HIDDEN' });
    expect(statesOf(ask(), { ...FACTS, inTeam: true })).toMatchObject({ phone: 'M_PHONE' });
    expect(statesOf(ask(), { ...FACTS, inTeam: true, today: true })).toMatchObject({ phone: 'CLEAR' });
    expect([ask().clearFor('id'), ask().clearFor('phone'), ask().clearFor('note')]).toEqual([
      'always',
      'sometimes',
      'never',
    ]);
    expect(ask().visibility(1)).toBe(ask().visibility(1));
  });

  it('does not ask twice for what the row predicate asks already', () => {
    const bitsOf = () => rendered((bind) => ask().visibilityBits(SELF, bind, CONTEXT)).text;
    engine = load({ person: `[${permit('own', 'where: { inTeam: true }, show: { clear: [public] }')}]` });
    expect([bitsOf(), ask().bitsOf({ ...FACTS, inTeam: true })]).toEqual(['1', 1]);
    engine = load({
      person: `[${[
        permit('own', 'where: { inTeam: true }, show: { clear: [public] }'),
        permit('mine', 'where: { isMe: true }, show: { clear: [contact] }'),
      ].join(', ')}]`,
    });
    expect(bitsOf()).toMatch(/^\(0 \+ CASE WHEN .* THEN 1 ELSE 0 END \+ CASE WHEN .* THEN 2 ELSE 0 END\)$/);
  });

  it('opens only the groups of which a value is needed', () => {
    engine = load({
      person: `[${permit('base', 'fields: { clear: [id, decade], masked: [phone, note] }, masks: { phone: M_NULL }')}]`,
    });
    // The decade is computed from the sealed birth date; the phone is null whatever its value.
    expect(ask().visibility(0).openGroups.toSorted()).toEqual(['identity', 'notes']);
  });

  it('shows a derived field no more openly than its source, except a coarser facet', () => {
    engine = load({ person: `[${permit('facets', 'show: { clear: [record] }')}]` });
    expect(statesOf(ask())).toMatchObject({ birth: 'HIDDEN', year: 'HIDDEN', decade: 'CLEAR' });
    engine = load({ person: `[${permit('facets', 'show: { clear: [record], masked: [identity] }')}]` });
    expect(statesOf(ask())).toMatchObject({ birth: 'M_DOB', year: 'M_DOB', decade: 'CLEAR' });
    expect(ask().clearFor('year')).toBe('never');
    engine = load({ person: `[${permit('facets', 'show: { clear: [record, identity] }')}]` });
    expect(statesOf(ask())).toMatchObject({ birth: 'CLEAR', year: 'CLEAR' });
  });

  it('lets guardrails win over every permit, for the row, a field, and the clear value', () => {
    const person = `[${permit('all', 'show: { clear: [public, identity, contact, notes] }')}]`;
    const forbid = (rest: string) => `[{ id: no, effect: forbid, subjects: [Person], ${rest} }]`;
    engine = load({ person, guardrails: forbid('actions: [read], where: { status: archived }') });
    expect(ask().matches({ ...FACTS, status: 'archived' })).toBe(false);
    expect(new Set(Object.values(statesOf(ask(), { ...FACTS, status: 'archived' })))).toEqual(new Set(['HIDDEN']));
    expect(ask().clearFor('note')).toBe('always');
    engine = load({
      person,
      guardrails: forbid('actions: ["*"], where: { status: archived }, groups: [notes], fields: [phone]'),
    });
    expect(statesOf(ask(), { ...FACTS, status: 'archived' })).toMatchObject({
      id: 'CLEAR',
      note: 'HIDDEN',
      phone: 'HIDDEN',
    });
    expect(statesOf(ask())).toMatchObject({ note: 'CLEAR' });
    engine = load({ person, guardrails: forbid('actions: ["read:clear"], groups: [notes]') });
    expect(statesOf(ask())).toMatchObject({ note: 'M_TEXT', phone: 'CLEAR' });
    engine = load({ person, guardrails: forbid('actions: [read], unless: { roles: [physician], purposes: [TREAT] }') });
    expect(ask().matches(FACTS)).toBe(true);
    engine = load({ person, guardrails: forbid('actions: [read], unless: { roles: [nurse] }') });
    expect(ask().matches(FACTS)).toBe(false);
  });

  it('decides an export by its own permits: rows, masks, clear fields and obligations', () => {
    engine = load({
      person: `[${[
        permit('look', 'show: { clear: [public, contact] }'),
        permit(
          'take',
          'where: { inTeam: true }, show: { clear: [public], masked: [contact] }, obligations: [{ type: stepUp }]',
          'export',
        ),
        permit('who', 'where: { isMe: true }', 'accessReport'),
      ].join(', ')}]`,
    });
    const team = { ...FACTS, inTeam: true };
    expect(statesOf(ask('export'), team)).toMatchObject({ id: 'CLEAR', phone: 'M_PHONE', note: 'HIDDEN' });
    expect(statesOf(ask(), team)).toMatchObject({ phone: 'CLEAR' });
    expect([ask('export').clearFor('id'), ask('export').clearFor('phone')]).toEqual(['always', 'never']);
    expect([ask('export').matches(FACTS), ask('export').matches(team)]).toEqual([false, true]);
    expect(ask('export').obligations).toEqual([{ type: 'stepUp' }]);
    expect(rendered((bind) => ask('export').clearPredicate('phone', SELF, bind, CONTEXT)).text).toMatch(/FALSE\)$/);
    expect([ask().obligations, ask().ruleIds, ask('export').ruleIds]).toEqual([[], ['look'], ['take']]);
    expect(ask('accessReport').matches({ ...FACTS, isMe: true })).toBe(true);
    expect(ask('accessReport').matches(team)).toBe(false);
    expect(new Set(Object.values(statesOf(ask('accessReport'), team)))).toEqual(new Set(['HIDDEN']));
  });

  it('forbids with reading what would tell the same: the export, and the report of who read', () => {
    const person = `[${[
      permit('look', 'show: { clear: [public, contact] }'),
      permit('take', 'show: { clear: [public, contact] }', 'export'),
      permit('who', '', 'accessReport').replace(',  }', ' }'),
    ].join(', ')}]`;
    const forbid = (rest: string) => `[{ id: no, effect: forbid, subjects: [Person], ${rest} }]`;
    const reached = () => (['read', 'export', 'accessReport'] as const).map((action) => ask(action).matches(FACTS));
    for (const action of ['read', '"*"']) {
      engine = load({ person, guardrails: forbid(`actions: [${action}]`) });
      expect(reached()).toEqual([false, false, false]);
      expect(ask('export').ruleIds).toEqual(['take', 'no']);
    }
    engine = load({ person, guardrails: forbid('actions: [export]') });
    expect(reached()).toEqual([true, false, true]);
    engine = load({ person, guardrails: forbid('actions: [accessReport]') });
    expect(reached()).toEqual([true, true, false]);
    engine = load({ person, guardrails: forbid('actions: ["read:clear"], groups: [contact]') });
    expect(statesOf(ask('export'))).toMatchObject({ id: 'CLEAR', phone: 'M_PHONE' });
    engine = load({ person, guardrails: forbid('actions: [read], groups: [contact]') });
    expect(statesOf(ask('export'))).toMatchObject({ id: 'CLEAR', phone: 'HIDDEN' });
    expect(ask('accessReport').matches(FACTS)).toBe(true);
  });

  it('shows what the ledger sealed by permits of its own, and nothing of it that may not be read', () => {
    const person = `[${[
      permit('look', 'show: { clear: [public, contact] }'),
      permit('opened', 'show: { clear: [public], masked: [contact] }', 'openLedgerDetail'),
    ].join(', ')}]`;
    const forbid = (rest: string) => `[{ id: no, effect: forbid, subjects: [Person], ${rest} }]`;
    engine = load({ person });
    expect(statesOf(ask('openLedgerDetail'))).toMatchObject({ id: 'CLEAR', phone: 'M_PHONE', note: 'HIDDEN' });
    for (const action of ['read', 'openLedgerDetail', '"*"']) {
      engine = load({ person, guardrails: forbid(`actions: [${action}]`) });
      expect(ask('openLedgerDetail').matches(FACTS)).toBe(false);
    }
    engine = load({ person, guardrails: forbid('actions: ["read:clear"], groups: [public]') });
    expect(ask('openLedgerDetail').clearFor('id')).toBe('never');
    engine = load({ person, guardrails: forbid('actions: [read], groups: [contact]') });
    expect(statesOf(ask('openLedgerDetail'))).toMatchObject({ id: 'CLEAR', phone: 'HIDDEN' });
  });

  it('takes fields of a guardrail out of every write', () => {
    engine = load({
      person: `[${permit('edit', 'write: { groups: [contact, notes] }', 'update')}]`,
      guardrails:
        '[{ id: no, effect: forbid, subjects: [Person], actions: [update], where: { status: archived }, fields: [note] }]',
    });
    expect([...ask('update').writableFields()]).toEqual(['phone']);
    expect(ask('create').writableFields().size).toBe(0);
  });

  it('gives a child the rows of its parent, and its own condition', () => {
    engine = load({
      person: `[${permit('own', 'where: { inTeam: true }, show: { clear: [public] }')}]`,
      letter: `[${[
        permit('letters', 'inherit: Person, where: { secret: false }, show: { clear: [public] }'),
        permit('write', 'inherit: Person, write: { groups: [notes] }', 'create'),
      ].join(', ')}]`,
      guardrails: '[{ id: archive, effect: forbid, subjects: [Person], actions: [read], where: { status: archived } }]',
    });
    const facts = { tenant: 'T-CN', secret: false, 'subject.inTeam': true, 'subject.status': 'active' };
    const decision = ask('read', 'Letter');
    expect(decision.usesSubject).toBe(true);
    expect(decision.matches(facts)).toBe(true);
    expect(decision.matches({ ...facts, secret: true })).toBe(false);
    expect(decision.matches({ ...facts, 'subject.inTeam': false })).toBe(false);
    expect(decision.matches({ ...facts, 'subject.status': 'archived' })).toBe(false);
    const inserted = rendered((bind) =>
      ask('create', 'Letter').insertPredicate({ tenant: 'T-CN', secret: true }, 'p', bind, CONTEXT),
    );
    expect(inserted.text).not.toContain('secret');
    expect(inserted.text).toMatch(/^\(TRUE AND /);
    expect(inserted.values).toEqual([[TEAM], 'archived']);
  });

  it('treats a field that the classification tightened as stricter, and as sealed for queries', () => {
    engine = load({
      person: `[${permit('all', 'show: { clear: [public, record, identity] }')}]`,
      classes: '{ Person.year: { level: L4, mask: M_NULL, sealed: true } }',
    });
    expect(engine.classOf('Person', 'year')).toEqual({ level: 'L4', mask: 'M_NULL', unqueryable: true });
    expect(statesOf(ask())).toMatchObject({ year: 'CLEAR' });
    expect(ask().clearFor('year')).toBe('never');
    expect(rendered((bind) => ask().clearPredicate('year', SELF, bind, CONTEXT)).text).toMatch(/AND FALSE\)$/);
  });

  it('joins lookups with the smallest limits', () => {
    engine = load({
      person: `[${[
        permit('one', 'lookup: { exact: [phone], perMinute: 6, perDay: 10 }', 'lookup'),
        permit('two', 'lookup: { exact: [phone], perMinute: 3, perDay: 60 }', 'lookup'),
      ].join(', ')}]`,
    });
    expect(ask('lookup').lookup).toEqual({ fields: new Set(['phone']), perMinute: 3, perDay: 10 });
    expect(ask('read').lookup).toBeNull();
  });

  it('writes the same text for the same rules, with every value bound', () => {
    engine = load({
      person: `[${permit('some', "where: { status: { $in: ['a', 'b''); --'] }, inTeam: true }, show: { clear: [public] }")}]`,
    });
    const make = (decision: Decision) =>
      rendered(
        (bind) => `${decision.visibilityBits(SELF, bind, CONTEXT)} ${decision.rowPredicate(SELF, bind, CONTEXT)}`,
      );
    const other = { ...ACTOR, id: TEAM, tenant: 'T-US', careTeamIds: [ACTOR.id, TEAM] };
    const [mine, theirs] = [make(ask()), make(ask('read', 'Person', other))];
    expect(theirs.text).toBe(mine.text);
    expect(theirs.values).not.toEqual(mine.values);
    expect(mine.text).not.toMatch(/--|T-CN|'/);
    expect(() => ask().rowPredicate({ self: 's; DROP', subject: 's' }, () => '$1', CONTEXT)).toThrow();
  });
});
