// Loaded before a measured server: its policies are those of its working directory, whatever the releases of the database
// say, so that two servers with different policies can share a database. With BENCH_POLICY=off the policy decides nothing and
// masks nothing: what a build without it would do, for the comparison alone.
import '../src/domain/nouns.js';
import { registry } from '../src/kernel/attribute.js';
import type { FieldView, Visibility } from '../src/policy/decision.js';
import { PolicyEngine } from '../src/policy/engine.js';
import { Plan } from '../src/policy/plan.js';
import { PlannedDecision } from '../src/policy/planned-decision.js';
import { Policies } from '../src/policy/policies.js';
import { PolicySource } from '../src/policy/source.js';

const off = process.env['BENCH_POLICY'] === 'off';
// What decides nothing holds no invariant: it is not proven.
const load = () => PolicyEngine.load(PolicySource.directory('policies'), registry, { lazy: off });
Policies.open = () => Promise.resolve(Policies.of(load()));

if (off) {
  const open = new WeakMap<Visibility, Visibility>();
  const { visibility } = Plan.prototype;
  /** Everything that the policy lets see at all, in clear. */
  const unmasked = (known: Visibility): Visibility => {
    const made = open.get(known) ?? { ...known, fields: new Map([...known.fields].map(clear)) };
    open.set(known, made);
    return made;
  };
  Plan.prototype.visibility = function (bits: number): Visibility {
    return unmasked(visibility.call(this, bits));
  };
  Object.assign(PlannedDecision.prototype, { visibilityBits: () => '0', rowPredicate: () => 'TRUE' });
}

function clear([field, view]: [string, FieldView]): [string, FieldView] {
  return [field, view.state === 'HIDDEN' ? view : { state: 'CLEAR', mask: null }];
}
