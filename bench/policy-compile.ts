import '../src/domain/nouns.js';
import { ROLES, type Actor, type Role } from '../src/kernel/actor.js';
import { registry } from '../src/kernel/attribute.js';
import { newId } from '../src/kernel/identifier.js';
import { AudiencePlans } from '../src/policy/audience.js';
import { loadBundle } from '../src/policy/bundle.js';
import { actorOf } from '../src/policy/cases.js';
import { PolicyEngine } from '../src/policy/engine.js';
import { PolicySource } from '../src/policy/source.js';
import { median, print, rounded } from './rounds.js';

const TEAMS = Array.from({ length: 4 }, () => newId());
/** Microseconds that are wanted at most. */
const COLD = 1_000;
const CACHED = 20;
const WARM_UP = 5;
const REPETITIONS = 9;
const CACHED_COUNT = 200;

/**
 * What it costs to know what a principal may do: every role for each of its purposes, compiled from the rules and asked to
 * read patients, against the same question to an engine that has compiled them, by an actor object that it never saw. Gives
 * how much better than wanted the slowest principal of the slowest round is, by the median of its repetitions.
 */
export function policyCompile(rounds: number): Promise<number> {
  const bundle = loadBundle(PolicySource.directory('policies'), registry);
  const engine = PolicyEngine.of(bundle, registry);
  const principals = ROLES.flatMap((role) => engine.purposesOf(role).map((purpose) => ({ role, purpose })));
  const cold = () =>
    principals.map(({ role, purpose }) =>
      median(
        Array.from({ length: REPETITIONS }, () => {
          const start = performance.now();
          new AudiencePlans(bundle, registry, role, purpose).plan('Patient', 'read');
          return (performance.now() - start) * 1_000;
        }),
      ),
    );
  const cached = () =>
    principals.map(({ role, purpose }) =>
      median(
        Array.from({ length: REPETITIONS }, () => {
          const actors = Array.from({ length: CACHED_COUNT }, () => principal(role));
          const start = performance.now();
          for (const actor of actors) engine.decide(actor, purpose, 'read', 'Patient');
          return ((performance.now() - start) * 1_000) / CACHED_COUNT;
        }),
      ),
    );
  for (let round = 0; round < WARM_UP; round += 1) cold();
  cached();
  const ratios: number[] = [];
  print(['round', 'microseconds', 'median', 'worst', 'wanted']);
  for (let round = 1; round <= rounds; round += 1) {
    const sides = [
      { name: 'cold', times: cold(), wanted: COLD },
      { name: 'cached', times: cached(), wanted: CACHED },
    ];
    for (const { name, times, wanted } of sides) {
      print([String(round), name, rounded(median(times)), rounded(Math.max(...times)), String(wanted)]);
      ratios.push(wanted / Math.max(...times));
    }
  }
  return Promise.resolve(Math.min(...ratios));
}

/** An account as most are: staff in a few care teams, or somebody who speaks for two patients. */
function principal(role: Role): Actor {
  const actor = actorOf(role);
  const speaks = role === 'patient' || role === 'guardian';
  return {
    ...actor,
    careTeamIds: speaks ? [] : [...TEAMS],
    patientIds: speaks ? actor.patientIds.slice(0, 2) : [],
    emergencyPatientIds: [],
    compartmentGrants: [],
  };
}
