import { LRUCache } from 'lru-cache';
import type { ConsentDocument } from './consent.js';
import type { Release } from './release.js';
import { PolicySource } from './source.js';

/** What is told of a rule: where it stands, and whose consent it asks for. */
export interface RuleNote {
  readonly effect: string;
  /** The type that a permit is about; null for a guardrail, which is about several. */
  readonly subject: string | null;
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  readonly consent: string | null;
  readonly onMissing: string | null;
  readonly onDeny: string | null;
}

interface RuleFile {
  readonly subject?: string;
  readonly rules?: readonly Rule[];
  readonly guardrails?: readonly Rule[];
}
interface Rule {
  readonly id: string;
  readonly effect: string;
  readonly consent?: ConsentDocument;
}

const RELEASES = 8;
const known = new LRUCache<string, ReadonlyMap<string, RuleNote>>({ max: RELEASES });

/** The rules of a release by their ids, read from its files: also of one that this software could not load any more. */
export function rulesOf(release: Release): ReadonlyMap<string, RuleNote> {
  const before = known.get(release.content);
  if (before !== undefined) return before;
  const notes = rulesIn(PolicySource.of(`release ${release.version}`, new Map(Object.entries(release.files))));
  known.set(release.content, notes);
  return notes;
}

/** The same of a source. */
export function rulesIn(source: PolicySource): ReadonlyMap<string, RuleNote> {
  const notes = new Map<string, RuleNote>();
  for (const document of source.policies()) {
    const { subject = null, rules, guardrails } = document.value as RuleFile;
    for (const [key, list] of [
      ['rules', rules],
      ['guardrails', guardrails],
    ] as const) {
      for (const [index, { id, effect, consent }] of (list ?? []).entries()) {
        const { file, line } = document.problem([key, index, 'id'], '');
        const clause = { consent: consent?.scope ?? null, onMissing: consent?.onMissing ?? null };
        notes.set(id, { effect, subject, file, line, ...clause, onDeny: consent?.onDeny ?? null });
      }
    }
  }
  return notes;
}
