import { maySummarise, type DisclosureCategory } from './disclosure-category.js';

/** A disclosure with its contents opened. */
export interface AccountedDisclosure {
  readonly id: string;
  /** RFC 3339, UTC. */
  readonly disclosedAt: string;
  readonly recipientName: string;
  readonly recipientAddress: string | null;
  readonly description: string;
  readonly purpose: string;
  readonly category: DisclosureCategory;
  /** The business associate that disclosed; null for the organisation itself. */
  readonly disclosedBy: string | null;
}

/** What an accounting says of one disclosure, or of the first of several that are summarised. */
export interface AccountingEntry extends AccountedDisclosure {
  /** Of repeated disclosures: the first, the last and how many; null where there was one. */
  readonly times: { readonly first: string; readonly last: string; readonly count: number } | null;
}

/**
 * A name as it is compared: two spellings of one agency must not make one of its disclosures show. Width, case, accents,
 * punctuation and spaces do not count.
 */
export function sameName(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}]/gu, '');
}

/**
 * The entries of an accounting. Disclosures to a suspended agency are left out as if there were none: neither a place nor
 * a count tells of them. Repeated ones to one recipient for one purpose become one entry (45 CFR 164.528(b)(3)).
 * @param disclosures oldest first; so are the entries
 * @param suspended names of agencies
 */
export function entriesOf(
  disclosures: readonly AccountedDisclosure[],
  suspended: readonly string[],
): AccountingEntry[] {
  const silenced = new Set(suspended.map(sameName));
  const entries = new Map<string, AccountingEntry>();
  for (const disclosure of disclosures) {
    const { id, disclosedAt: at, category } = disclosure;
    if (silenced.has(sameName(disclosure.recipientName))) continue;
    const key = maySummarise(category) ? recurrence(disclosure) : id;
    const first = entries.get(key);
    if (first === undefined) entries.set(key, { ...disclosure, times: null });
    else {
      const count = (first.times?.count ?? 1) + 1;
      entries.set(key, { ...first, times: { first: first.disclosedAt, last: at, count } });
    }
  }
  return [...entries.values()];
}

/** Equal for disclosures by the same to the same recipient for a single purpose. */
function recurrence({ recipientName, recipientAddress, purpose, category, disclosedBy }: AccountedDisclosure): string {
  return JSON.stringify([category, ...[recipientName, recipientAddress, purpose, disclosedBy].map(plain)]);
}

function plain(text: string | null): string | null {
  return text === null ? null : text.toLowerCase().replace(/\s+/gu, ' ');
}
