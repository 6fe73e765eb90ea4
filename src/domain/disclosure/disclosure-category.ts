/** The legal ground of a disclosure. What follows from it for the accounting of disclosures is the law's, never the caller's. */
export enum DisclosureCategory {
  REQUIRED_BY_LAW = 'REQUIRED_BY_LAW',
  PUBLIC_HEALTH = 'PUBLIC_HEALTH',
  ABUSE_REPORT = 'ABUSE_REPORT',
  HEALTH_OVERSIGHT = 'HEALTH_OVERSIGHT',
  COURT_ORDER = 'COURT_ORDER',
  LAW_ENFORCEMENT = 'LAW_ENFORCEMENT',
  DECEDENT = 'DECEDENT',
  ORGAN_DONATION = 'ORGAN_DONATION',
  RESEARCH = 'RESEARCH',
  SERIOUS_THREAT = 'SERIOUS_THREAT',
  GOVERNMENT_FUNCTION = 'GOVERNMENT_FUNCTION',
  WORKERS_COMPENSATION = 'WORKERS_COMPENSATION',
  SECRETARY = 'SECRETARY',
  MISDIRECTED = 'MISDIRECTED',
  TREATMENT = 'TREATMENT',
  PAYMENT = 'PAYMENT',
  OPERATIONS = 'OPERATIONS',
  TO_INDIVIDUAL = 'TO_INDIVIDUAL',
  INCIDENTAL = 'INCIDENTAL',
  AUTHORISED = 'AUTHORISED',
  DIRECTORY = 'DIRECTORY',
  NATIONAL_SECURITY = 'NATIONAL_SECURITY',
  CUSTODY = 'CUSTODY',
  LIMITED_DATA_SET = 'LIMITED_DATA_SET',
}

/** Whether the patient consented in writing to the disclosure of a Part 2 record (42 CFR 2.31). */
export enum DisclosureConsent {
  WITH_CONSENT = 'WITH_CONSENT',
  WITHOUT_CONSENT = 'WITHOUT_CONSENT',
}

/** How the data left. Of treatment, payment and operations, 42 CFR 2.25(b) counts what left through an electronic health record. */
export enum DisclosureChannel {
  EHR = 'EHR',
  ELECTRONIC = 'ELECTRONIC',
  FAX = 'FAX',
  POST = 'POST',
  ORAL = 'ORAL',
  IN_PERSON = 'IN_PERSON',
  OTHER = 'OTHER',
}

const PART = '164.528(a)(1)';

/** The exclusions of 45 CFR 164.528(a)(1), by category. What is not in here is accountable. */
const EXCLUSIONS: Readonly<Partial<Record<DisclosureCategory, string>>> = {
  [DisclosureCategory.TREATMENT]: `${PART}(i)`,
  [DisclosureCategory.PAYMENT]: `${PART}(i)`,
  [DisclosureCategory.OPERATIONS]: `${PART}(i)`,
  [DisclosureCategory.TO_INDIVIDUAL]: `${PART}(ii)`,
  [DisclosureCategory.INCIDENTAL]: `${PART}(iii)`,
  [DisclosureCategory.AUTHORISED]: `${PART}(iv)`,
  [DisclosureCategory.DIRECTORY]: `${PART}(v)`,
  [DisclosureCategory.NATIONAL_SECURITY]: `${PART}(vi)`,
  [DisclosureCategory.CUSTODY]: `${PART}(vii)`,
  [DisclosureCategory.LIMITED_DATA_SET]: `${PART}(viii)`,
};

/** Treatment, payment and health care operations (45 CFR 164.506). */
export const OWN_USES: readonly DisclosureCategory[] = [
  DisclosureCategory.TREATMENT,
  DisclosureCategory.PAYMENT,
  DisclosureCategory.OPERATIONS,
];

/** The clause that takes a disclosure out of the accounting; null where it is accountable. */
export function exclusionOf(category: DisclosureCategory): string | null {
  return EXCLUSIONS[category] ?? null;
}

/**
 * Repeated disclosures may be summarised where they were made under 164.502(a)(2)(ii) or 164.512 (45 CFR 164.528(b)(3)):
 * whatever is accountable, but for what nobody was permitted to disclose.
 */
export function maySummarise(category: DisclosureCategory): boolean {
  return exclusionOf(category) === null && category !== DisclosureCategory.MISDIRECTED;
}
