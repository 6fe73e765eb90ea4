import { ROLES } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { AllDecisions } from './all-decisions.js';
import type { Bundle } from './bundle.js';
import { actorOf } from './cases.js';
import type { FieldView, PolicyAction, Visibility } from './decision.js';
import type { PolicyProblem } from './error.js';
import { GUESSED_FIELDS, leftToGuess, masking, type Guess } from './derivability-model.js';
import { describeFacts, rowClasses } from './row-classes.js';
import type { PolicySource } from './source.js';

/** The actions that show whole rows. What is revealed is one value, with a reason and a record of its own. */
const ACTIONS: readonly PolicyAction[] = ['read', 'export', 'openLedgerDetail'];
/** Fewer values than this that fit what is shown give a value away. */
const STANDARD_K = 11;

/** How much is left to guess of a field that is not shown in clear, for one audience and one pattern of a row. */
export interface Residual extends Guess {
  readonly type: string;
  /** Such as `physician for TREAT, read`. */
  readonly audience: string;
  /** A row for which it is so. */
  readonly row: string;
  readonly ruleIds: readonly string[];
}

/**
 * What is left to guess for every audience and row pattern, the least first. A pattern counts once for an audience, however
 * many rows have it. `mask` stands in for the masking functions of the system.
 */
export function residualsOf(
  bundle: Bundle,
  registry: AttributeRegistry,
  decisions: AllDecisions,
  mask = masking,
): Residual[] {
  const residuals = new Map<string, Residual>();
  for (const { role, purpose, action } of audiences(bundle)) {
    for (const { type, attributes } of registry.all()) {
      if (!GUESSED_FIELDS.some((field) => attributes.has(field))) continue;
      for (const decision of decisions.of(role, purpose, action, type)) {
        const seen = new Set<Visibility>();
        for (const facts of decision.allowed ? rowClasses([decision], actorOf(role)) : []) {
          if (!decision.matches(facts)) continue;
          const visibility = decision.visibility(decision.bitsOf(facts));
          if (seen.has(visibility)) continue;
          seen.add(visibility);
          for (const left of leftToGuess(visibility, mask)) {
            const residual = {
              type,
              ...left,
              audience: `${role} for ${purpose}, ${action}`,
              row: describeFacts(facts),
              ruleIds: decision.ruleIds,
            };
            const key = JSON.stringify([type, left, residual.audience]);
            if (!residuals.has(key)) residuals.set(key, residual);
          }
        }
      }
    }
  }
  return [...residuals.values()].sort((left, right) => left.candidates - right.candidates);
}

/** Everything by which a sealed value can be derived from what is visible together, by the rule that shows it. */
export function derivabilityProblems(
  source: PolicySource,
  bundle: Bundle,
  registry: AttributeRegistry,
  decisions: AllDecisions,
  mask = masking,
): PolicyProblem[] {
  const k = thresholdOf(source);
  const small = residualsOf(bundle, registry, decisions, mask).filter(({ candidates }) => candidates < k);
  const told = small.map((one) =>
    problemAt(
      source,
      bundle,
      one,
      `${one.audience}: ${one.type}.${one.field} is ${one.state}, but ${one.beside.join(' and ')} beside it ` +
        `leave${one.beside.length === 1 ? 's' : ''} ${one.candidates} possible value${one.candidates === 1 ? '' : 's'}, fewer than ${k} (a row with ${one.row}). ` +
        `Hide one of them, or give one a stronger mask.`,
    ),
  );
  return [...told, ...facetProblems(source, bundle, registry, decisions)];
}

/** `derivability: { k }` of the vocabulary. */
function thresholdOf(source: PolicySource): number {
  const vocabulary = source.policies().find(({ value }) => (value as { kind: string }).kind === 'Vocabulary');
  return (vocabulary?.value as { derivability?: { k: number } } | undefined)?.derivability?.k ?? STANDARD_K;
}

function* audiences(bundle: Bundle) {
  for (const role of ROLES) {
    for (const purpose of bundle.vocabulary.purposesOf.get(role) ?? []) {
      for (const action of ACTIONS) yield { role, purpose, action };
    }
  }
}

/**
 * A field that is derived from others is never more open than they are, unless its class says that it is a coarser facet of
 * them, which nobody writes: what decisions are made of sees to it, and here their answers are looked at.
 */
function facetProblems(
  source: PolicySource,
  bundle: Bundle,
  registry: AttributeRegistry,
  decisions: AllDecisions,
): PolicyProblem[] {
  const problems = new Map<string, PolicyProblem>();
  for (const { type, attributes } of registry.all()) {
    const derived = [...attributes.values()].filter((one) => one.derivedFrom.length > 0);
    const isFacet = (field: string) => bundle.classes.get(type)?.get(field)?.mask === 'M_SAME';
    const bound = derived.filter(({ field }) => !isFacet(field));
    if (bound.length === 0) continue;
    for (const { role, purpose, action } of audiences(bundle)) {
      for (const decision of decisions.of(role, purpose, action, type)) {
        if (!decision.allowed) continue;
        for (const facts of rowClasses([decision], actorOf(role))) {
          if (!decision.matches(facts)) continue;
          const { fields } = decision.visibility(decision.bitsOf(facts));
          for (const { field, derivedFrom } of bound) {
            const hiding = derivedFrom.find((one) => openness(fields.get(one)) < openness(fields.get(field)));
            if (hiding === undefined) continue;
            const message = `${role} for ${purpose}, ${action}: ${type}.${field} is more open than ${hiding}, which it is derived from.`;
            problems.set(message, problemAt(source, bundle, { type, field, ruleIds: decision.ruleIds }, message));
          }
        }
      }
    }
  }
  return [...problems.values()];
}

function openness(view: FieldView | undefined): number {
  return view === undefined || view.state === 'HIDDEN' ? 0 : view.state === 'MASKED' ? 1 : 2;
}

/** At the first rule that took part and shows the field, or else anything at all. */
function problemAt(
  source: PolicySource,
  bundle: Bundle,
  { type, field, ruleIds }: Pick<Residual, 'type' | 'field' | 'ruleIds'>,
  message: string,
): PolicyProblem {
  const permits = ruleIds.flatMap((id) => bundle.permits.find((one) => one.id === id) ?? []);
  const shown = permits.find((one) => one.shows.has(field)) ?? permits[0];
  for (const document of source.policies()) {
    const { subject, rules } = document.value as { subject?: string; rules?: readonly { id: string }[] };
    if (subject !== type) continue;
    const index = rules?.findIndex((one) => one.id === shown?.id) ?? -1;
    return document.problem(index < 0 ? ['subject'] : ['rules', index, 'id'], message);
  }
  return { file: source.name, line: 1, message };
}
