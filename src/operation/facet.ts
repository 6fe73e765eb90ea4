import type { AttributeDeclaration } from '../kernel/attribute.js';
import { regionOf } from '../policy/mask.js';

/** Computes a stored facet from the values of its row: coarse enough to filter and sort by, classified like a field. */
export function facet(
  computed: NonNullable<AttributeDeclaration['computed']>,
  values: Readonly<Record<string, unknown>>,
  country: string,
): string | number | null {
  if (computed === 'birthYear') {
    const birthDate = values['birthDate'];
    return typeof birthDate === 'string' ? Number(birthDate.slice(0, 4)) : null;
  }
  const address = values['address'];
  return typeof address === 'string' ? regionOf(address, country) : null;
}
