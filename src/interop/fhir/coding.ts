import type { Element } from './element.js';

/** What a code is called where its system is not stated: no rule can tell what it means. */
export const UNKNOWN_SYSTEM = 'unknown';
const ICD_10 = /icd-?10/iu;

export interface ChosenCoding {
  readonly code: string | null;
  readonly system: string;
  readonly display: string | null;
}

/** The coding that classifies: of ICD-10 when there is one, else the first that has a code. Null for an empty concept. */
export function codingOf(concepts: readonly Element[]): ChosenCoding | null {
  const coded = concepts.flatMap((concept) =>
    concept.children('coding').map((coding) => ({
      code: coding.line('code'),
      system: coding.line('system') ?? UNKNOWN_SYSTEM,
      display: coding.line('display') ?? concept.line('text'),
    })),
  );
  const chosen = coded.find((one) => one.code !== null && ICD_10.test(one.system)) ?? coded.find((one) => one.code);
  if (chosen !== undefined) return chosen;
  const display = concepts.map((concept) => concept.line('text')).find((text) => text !== null) ?? coded[0]?.display;
  return display ? { code: null, system: UNKNOWN_SYSTEM, display } : null;
}

/** The first code of a concept that is drawn from one closed list, such as a status. */
export function codeOf(concept: Element | null): string | null {
  for (const coding of concept?.children('coding') ?? []) {
    const code = coding.text('code');
    if (code !== null) return code;
  }
  return null;
}
