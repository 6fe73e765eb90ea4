/** The two media types of GraphQL over HTTP: the older one answers most errors with 200, the newer one with what they are. */
export const LEGACY_TYPE = 'application/json; charset=utf-8';
export const RESPONSE_TYPE = 'application/graphql-response+json; charset=utf-8';
export type AnswerType = typeof LEGACY_TYPE | typeof RESPONSE_TYPE;

const OFFERED = [
  { type: LEGACY_TYPE, essence: 'application/json' },
  { type: RESPONSE_TYPE, essence: 'application/graphql-response+json' },
] as const;

interface Range {
  readonly essence: string;
  readonly quality: number;
  readonly position: number;
}

/**
 * The media type that the header `Accept` likes best (RFC 9110, 12.5.1): quality first, then how exactly it was named, then
 * the order of the header. Without a header the older type; null when neither type is acceptable.
 */
export function answerType(accept: string | undefined): AnswerType | null {
  if (accept === undefined || accept.trim() === '') return LEGACY_TYPE;
  const ranges = accept.split(',').map(rangeOf);
  const choices = OFFERED.flatMap(({ type, essence }) => {
    const names = [essence, 'application/*', '*/*'];
    for (const [distance, name] of names.entries()) {
      const range = ranges.find((one) => one.essence === name);
      if (range !== undefined) return range.quality > 0 ? [{ type, distance, ...range }] : [];
    }
    return [];
  });
  choices.sort((a, b) => b.quality - a.quality || a.distance - b.distance || a.position - b.position);
  return choices[0]?.type ?? null;
}

/** True for `application/json` without a charset or with UTF-8, the only encoding of JSON (RFC 8259, 8.1). */
export function isJson(contentType: string | undefined): boolean {
  return /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(contentType?.trim() ?? '');
}

function rangeOf(text: string, position: number): Range {
  const [essence = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1);
  return { essence, position, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}
