import type { Element } from './element.js';

const CJK = /[\p{Script=Han}]/u;
const USES: readonly (string | null)[] = ['home', null, 'temp', 'work', 'billing'];

/**
 * The address of a person on one line, from which the region can be read: as FHIR's text has it, else composed as its script
 * has it: `1 High Street, Dedham, Massachusetts 02026, US`, `北京市朝阳区建国路1号`. Old addresses are left out.
 */
export function addressOf(addresses: readonly Element[]): string | null {
  const ranked = addresses
    .map((address) => ({ address, rank: USES.indexOf(address.text('use')) }))
    .filter((one) => one.rank !== -1)
    .sort((a, b) => a.rank - b.rank);
  for (const { address } of ranked) {
    const line =
      address
        .text('text')
        ?.split(/\s*[\r\n]+\s*/u)
        .join(', ') ?? composed(address);
    if (line !== '') return line.replace(/\s+/gu, ' ');
  }
  return null;
}

function composed(address: Element): string {
  const street = address.texts('line');
  const [city, district, state, country] = ['city', 'district', 'state', 'country'].map((name) => address.line(name));
  if (CJK.test([...street, city, state].join(''))) return eastward([state, city, district, ...street]);
  const region = [state, address.line('postalCode')].filter(isText).join(' ');
  return [...street, city, region, country].filter(isText).join(', ');
}

/** From the largest part to the smallest. A municipality is its own province (北京市 北京市) and is said once. */
function eastward(parts: readonly (string | null | undefined)[]): string {
  let whole = '';
  for (const part of parts) {
    if (!isText(part)) continue;
    if (part.startsWith(whole)) whole = part;
    else if (!whole.endsWith(part)) whole += part;
  }
  return whole;
}

function isText(part: string | null | undefined): part is string {
  return typeof part === 'string' && part !== '';
}
