import { signNote, verifyNote, vkey } from '../../audit/note.mjs';
import type { LedgerKeys } from './keys.js';

/** The first lines of the two notes about an erasure: no checkpoint begins like that. */
export const ERASURE_RECEIPT = 'custodia erasure receipt v1';
export const ERASURE_TOMBSTONE = 'custodia erasure tombstone v1';
export type ErasureNoteKind = typeof ERASURE_RECEIPT | typeof ERASURE_TOMBSTONE;

/**
 * What is said of an erasure outside the database: a signed note (c2sp.org/signed-note) under the key of the tenant's log,
 * so that whoever can verify the log can verify it. The text is its kind in the first line and JSON in the second.
 */
export function signErasureNote(
  keys: Pick<LedgerKeys, 'signer'>,
  log: string,
  kind: ErasureNoteKind,
  content: object,
): string {
  return signNote(`${kind}\n${JSON.stringify(content)}\n`, keys.signer(log));
}

/** What verifies the notes of a log that are signed now: `<origin>+<key id>+<key>`. */
export function erasureVerifierKey(keys: Pick<LedgerKeys, 'signer'>, log: string): string {
  const { name, privateKey } = keys.signer(log);
  return vkey(name, privateKey);
}

/**
 * The content of a note that this installation signed, in this life of its ledger or an earlier one; null for anything else.
 * @param incarnation the life of now
 */
export function openErasureNote(
  keys: Pick<LedgerKeys, 'signer'>,
  { log, kind, note }: { readonly log: string; readonly kind: ErasureNoteKind; readonly note: string },
  incarnation: number,
): unknown {
  try {
    const trusted = Array.from({ length: incarnation }, (_, before) => {
      const { name, privateKey } = keys.signer(log, before + 1);
      return vkey(name, privateKey);
    });
    const { text } = verifyNote(note, trusted);
    const [first, content, end, ...rest] = text.split('\n');
    if (first !== kind || content === undefined || end !== '' || rest.length > 0) return null;
    return JSON.parse(content) as unknown;
  } catch {
    return null;
  }
}
