import type { NounDeclaration } from '../kernel/attribute.js';
import { applyMask } from '../policy/mask.js';
import { maskedValue } from './input.js';
import type { Facts } from './row-facts.js';
import type { Scope } from './scope.js';
import { maskFacts } from './view.js';

type Values = Readonly<Record<string, unknown>>;

/**
 * A mask can look like a true value (a year, a province). What the caller sees masked and sends back as it was shown is
 * refused: saved, it would destroy what he could not see.
 */
export function refuseEcho(scope: Scope, noun: NounDeclaration, facts: Facts, stored: Values, checked: Values): void {
  const decision = scope.decide('read', noun.type);
  const { fields } = decision.visibility(decision.bitsOf(facts));
  const circumstances = maskFacts(stored, scope.circumstances);
  for (const [field, value] of Object.entries(checked)) {
    const view = fields.get(field);
    const known = stored[field];
    if (view?.state !== 'MASKED' || typeof known !== 'string' || value === null || value === known) continue;
    if (applyMask(view.mask ?? 'M_NULL', known, circumstances) === value) throw maskedValue(noun.type, field);
  }
}
