import { parseCheckpoint, splitNote } from '../../audit/note.mjs';
import { parseProof } from '../../audit/proof.mjs';
import { Failure } from '../kernel/failure.js';
import type { LogFiles } from './log-files.js';
import { consistencyProof, proofText } from './proof.js';

/** That one entry is in the log, as parts and as the text that is verified without the log. Hashes in hexadecimal. */
export interface EntryProof {
  readonly index: number;
  /** Size of the tree that the checkpoint signs. */
  readonly size: number;
  /** From the leaf's sibling up (RFC 9162, 2.1.3). */
  readonly hashes: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
  /** c2sp.org/tlog-proof. */
  readonly proof: string;
}

/** What was signed last. The root in hexadecimal. */
export interface SignedHead {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly note: string;
  readonly vkey: string;
}

export interface Consistency {
  readonly from: number;
  readonly to: number;
  /** RFC 9162, 2.1.4. */
  readonly hashes: readonly string[];
}

/** Throws PROOF_NOT_READY before the first checkpoint of the log. */
export async function signedHead(files: LogFiles, log: string): Promise<SignedHead> {
  const published = await files.published(log);
  if (published === null) throw notReady();
  const { origin, size, root, note } = published;
  return { origin, size, root: hexadecimal(root), note, vkey: files.vkey(log) };
}

/** The proof of an entry that exists. Throws PROOF_NOT_READY where no checkpoint covers it yet. */
export async function entryProof(files: LogFiles, log: string, index: number): Promise<EntryProof> {
  if (index >= (await signedHead(files, log)).size) throw notReady();
  const proof = await proofText(files, log, index);
  const { hashes, note } = parseProof(proof);
  const { size } = parseCheckpoint(splitNote(note).text);
  return { index, size, hashes: hashes.map(hexadecimal), checkpoint: note, proof };
}

/** From one size to another, or to the size that was signed last. Throws PROOF_NOT_READY above that. */
export async function consistency(files: LogFiles, log: string, from: number, to: number | null): Promise<Consistency> {
  const { size } = await signedHead(files, log);
  const end = to ?? size;
  if (end > size || from > size) throw notReady();
  return { from, to: end, hashes: (await consistencyProof(files, log, from, end)).map(hexadecimal) };
}

/** The entry is durable; only its proof takes until the next checkpoint. */
export function notReady(): Failure {
  return new Failure(
    'PROOF_NOT_READY',
    'No signed checkpoint covers this entry yet.',
    'Ask again in a second: checkpoints follow the log at that distance.',
    { extensions: { retryAfterSeconds: 1 } },
  );
}

function hexadecimal(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
