import { Failure } from '../../kernel/failure.js';
import type { Scope } from '../../operation/scope.js';

type Vault = Scope['services']['vault'];

/**
 * What a recipient is told by: the one thing that stays readable of somebody who was erased, under a key that is not his,
 * and until the notice is completed (GDPR 19: the controller communicates the erasure to each recipient).
 */
export interface NoticeContent {
  readonly recipientName: string;
  readonly recipientAddress: string | null;
  /** RFC 3339, UTC: of the last disclosure. */
  readonly disclosedAt: string;
  /** What the disclosures are on record as at the recipient. */
  readonly sourceReferences: readonly string[];
  readonly personName: string | null;
  readonly personBirthDate: string | null;
}

const LABEL = 'erasure-notice';

export function sealNotice(vault: Vault, tenant: string, id: string, content: NoticeContent): string {
  return vault.sealToken(LABEL, `${tenant} ${id}`, JSON.stringify(content));
}

/** INTEGRITY_FAILED where it was changed or moved. */
export function openNotice(vault: Vault, tenant: string, id: string, sealed: string): NoticeContent {
  const text = vault.openToken(LABEL, `${tenant} ${id}`, sealed);
  if (text === null) {
    throw new Failure('INTEGRITY_FAILED', 'A notice was changed in the database.', 'Tell the security team.');
  }
  return JSON.parse(text) as NoticeContent;
}
