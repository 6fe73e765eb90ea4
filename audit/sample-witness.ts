import { generateKeyPairSync } from 'node:crypto';
import { CompactRange, consistencyProof, leafHash } from './merkle.mjs';
import { logId } from './cosigner.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { formatAddCheckpoint } from './witness-request.mjs';

export const ORIGIN = 'ledger.example.org/T-CN';
export const LOG = logId(ORIGIN);
/** The log that is watched. */
export const log = { name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey };
export const LOG_KEY = vkey(ORIGIN, log.privateKey);
/** The witness. */
export const own = { name: 'witness.example.org/w1', privateKey: generateKeyPairSync('ed25519').privateKey };

/** A log as its leaves; of two logs with one prefix the later leaves differ. */
export function leavesOf(size: number, fork = size): Buffer[] {
  return Array.from({ length: size }, (_, index) => leafHash(Buffer.from(`${index < fork ? '' : 'other '}${index}`)));
}

export function noteOf(leaves: readonly Buffer[], signer = log): string {
  const range = new CompactRange();
  for (const leaf of leaves) range.append(leaf);
  return signNote(checkpointText({ origin: ORIGIN, size: leaves.length, root: range.root() }), signer);
}

/** What the log sends. */
export function requestOf(
  old: number,
  leaves: readonly Buffer[],
  changes: { note?: string; proof?: Buffer[] } = {},
): string {
  const proof = old === 0 || old > leaves.length ? [] : consistencyProof(leaves, old, leaves.length);
  return formatAddCheckpoint({ old, proof, note: noteOf(leaves), ...changes });
}
