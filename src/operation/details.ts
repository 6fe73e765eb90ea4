import { hash } from 'node:crypto';
import { Failure } from '../kernel/failure.js';
import type { RecordDraft } from '../ledger/record.js';
import type { KeyUse, Vault } from '../vault/vault.js';
import { detailText, type DetailContent, type DetailDocument } from './detail-text.js';

/** Ids of patients by the reference that the ledger knows them by: those whose keys a document has loaded. */
export type KnownSubjects = ReadonlyMap<string, string>;

/** What a record says of itself: sealed details open for this record alone. */
interface Place {
  readonly log: string;
  readonly request: string;
  readonly operation: string;
  readonly kind: string;
}

export interface SealedRecord extends Place {
  readonly sealed: { readonly key: string; readonly sha256: string };
}

/** Name of the key of the tenant: for records about nobody, or about several persons. */
const TENANT_KEY = 'tenant';
const SUBJECT_KEY = 'subject:';

/**
 * What happened in clear, beside the ledger. Sealed with the record that it belongs to: under the key of the one person
 * whom the record names, so that it is erased with that key, else under the tenant's.
 */
export class Details {
  constructor(private readonly vault: Pick<Vault, 'sealDetail' | 'openDetail' | 'hasSubjectKey' | 'loadSubjectKeys'>) {}

  /** Loads the key of the one subject that a draft names, where its id is known and the key is not at hand any more. */
  async prepare(draft: RecordDraft, subjects: KnownSubjects, use: KeyUse): Promise<void> {
    const subject = onlySubject(draft, subjects);
    if (subject === null || this.vault.hasSubjectKey(draft.log, subject.id)) return;
    await this.vault.loadSubjectKeys(draft.log, [subject.id], use);
  }

  /** The draft with its details, sealed; unchanged where there is nothing to tell. */
  attach(draft: RecordDraft, content: DetailContent, subjects: KnownSubjects): RecordDraft {
    const text = detailText(content);
    if (text === null) return draft;
    const subject = onlySubject(draft, subjects);
    const own = subject !== null && this.vault.hasSubjectKey(draft.log, subject.id) ? subject : null;
    const key = own === null ? TENANT_KEY : `${SUBJECT_KEY}${own.reference}`;
    const ciphertext = this.vault.sealDetail(draft.log, own?.id ?? null, placeOf(draft, key), text);
    return { ...draft, sealed: { key, ciphertext } };
  }

  /**
   * What was sealed with a record. INTEGRITY_FAILED for any other bytes than those that the record names. The key of the
   * subject must be loaded.
   *
   * @param subjectId of the person whose key it is; null for the tenant's.
   */
  open(record: SealedRecord, ciphertext: Buffer, subjectId: string | null): DetailDocument {
    const named = hash('sha256', ciphertext, 'hex') === record.sealed.sha256;
    const place = placeOf(record, record.sealed.key);
    const text = named ? this.vault.openDetail(record.log, subjectId, place, ciphertext) : null;
    if (text === null) throw changedDetail();
    return JSON.parse(text) as DetailDocument;
  }
}

/** The reference of the person under whose key it is; null for the tenant's. */
export function subjectOfKey(key: string): string | null {
  return key.startsWith(SUBJECT_KEY) ? key.slice(SUBJECT_KEY.length) : null;
}

export function changedDetail(): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    'The details of this entry are not those that were recorded.',
    'Tell the security team: verify the ledger.',
  );
}

function onlySubject(draft: RecordDraft, subjects: KnownSubjects): { reference: string; id: string } | null {
  let only: string | null = null;
  for (const { subjects: named } of draft.accesses) {
    for (const reference of named) {
      if (only !== null && only !== reference) return null;
      only = reference;
    }
  }
  const id = only === null ? undefined : subjects.get(only);
  return only === null || id === undefined ? null : { reference: only, id };
}

/** The record's number is not known yet when its details are sealed: its hash of them binds the two, this the rest. */
function placeOf({ log, request, operation, kind }: Place, key: string): readonly string[] {
  return [log, request, operation, kind, key];
}
