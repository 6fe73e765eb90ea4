import type { Decision } from './decision.js';
import { evaluate } from './formula.js';
import { Plan } from './plan.js';

/** The patterns of visibility bits that a row may have which the decision reaches; [0] where nothing depends on the row. */
export function reachedPatterns({ shape }: Pick<Decision, 'shape'>): number[] {
  if (!(shape instanceof Plan)) return [0];
  const patterns = Array.from({ length: 1 << shape.conditions.list.length }, (_, bits) => bits);
  return patterns.filter((bits) => evaluate(shape.row, bits));
}
