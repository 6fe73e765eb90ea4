import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import { Failure } from '../kernel/failure.js';
import { canonical } from './derivation.js';

/**
 * A sealed stream is a row of frames: `suite(1) last(1) length(4, big-endian) nonce(12) ciphertext tag(16)`; `length` is
 * the ciphertext's. Suite 1 is AES-256-GCM (NIST SP 800-38D). As in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015)
 * every frame authenticates where it stands and whether it is the last; the nonce is random instead of counted, so that a
 * frame which is sealed again after a crash, with other bytes, never repeats one.
 */
const AES_256_GCM = 1;
const NONCE_AT = 6;
const HEADER_BYTES = 18;
const TAG_BYTES = 16;
const TAG_LENGTH = { authTagLength: TAG_BYTES } as const;

/** Most plain bytes of one frame: what a reader holds in memory. */
export const LARGEST_FRAME = 1024 * 1024;
const USUAL_FRAME = 64 * 1024;

/**
 * One frame. `index` counts from 0 within the stream, exactly one frame (the one with `last`) ends it; a stream without
 * bytes is one empty last frame. `context` says what the stream is, it is authenticated and not stored. A context is for
 * one stream: frames of two streams with the same key and context fit into each other's places.
 * Throws a RangeError on more than {@link LARGEST_FRAME} bytes. At most 2^32 frames under one key (SP 800-38D, 8.3).
 */
export function sealFrame(key: KeyObject, context: string, index: number, last: boolean, bytes: Uint8Array): Buffer {
  if (bytes.length > LARGEST_FRAME) throw new RangeError(`A frame holds at most ${LARGEST_FRAME} bytes.`);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = AES_256_GCM;
  header[1] = last ? 1 : 0;
  header.writeUInt32BE(bytes.length, 2);
  header.set(randomBytes(HEADER_BYTES - NONCE_AT), NONCE_AT);
  const cipher = createCipheriv('aes-256-gcm', key, header.subarray(NONCE_AT), TAG_LENGTH);
  cipher.setAAD(place(context, index, header));
  const ciphertext = cipher.update(bytes);
  cipher.final();
  return Buffer.concat([header, ciphertext, cipher.getAuthTag()]);
}

/** The whole source as frames of 64 KiB. Holds one frame back, because the last one says that it is. */
export async function* sealFrames(
  key: KeyObject,
  context: string,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  let index = 0;
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes <= USUAL_FRAME) continue;
    const joined = Buffer.concat(held, bytes);
    let at = 0;
    for (; bytes - at > USUAL_FRAME; at += USUAL_FRAME) {
      yield sealFrame(key, context, index++, false, joined.subarray(at, at + USUAL_FRAME));
    }
    held = [joined.subarray(at)];
    bytes -= at;
  }
  yield sealFrame(key, context, index, true, Buffer.concat(held, bytes));
}

/**
 * The plain bytes of each frame, in order, each checked before it is given out. Throws INTEGRITY_FAILED where the stream is
 * not the one that was sealed under this key and context: a change, a loss, a swap, a missing end, bytes after the end.
 * What was given out before is true; only a stream that ends without an error is whole.
 */
export async function* openFrames(
  key: KeyObject,
  context: string,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  let index = 0;
  let ended = false;
  let rest: Uint8Array[] = [];
  let bytes = 0;
  let needed = HEADER_BYTES + TAG_BYTES;
  for await (const chunk of source) {
    if (chunk.length === 0) continue;
    if (ended) throw changed();
    rest.push(chunk);
    bytes += chunk.length;
    if (bytes < needed) continue;
    let joined = Buffer.concat(rest, bytes);
    for (;;) {
      needed = joined.length < HEADER_BYTES + TAG_BYTES ? HEADER_BYTES + TAG_BYTES : frameLength(joined);
      if (joined.length < needed) break;
      const frame = joined.subarray(0, needed);
      joined = joined.subarray(needed);
      const plain = openFrame(key, context, index++, frame);
      ended = frame[1] === 1;
      if (ended && joined.length > 0) throw changed();
      yield plain;
      if (ended) break;
    }
    rest = joined.length === 0 ? [] : [joined];
    bytes = joined.length;
  }
  if (!ended) throw changed();
}

/** Length of the frame that begins here. The length is not authenticated yet: it is bounded before anything waits for it. */
function frameLength(header: Buffer): number {
  const length = header.readUInt32BE(2);
  if (header[0] !== AES_256_GCM || length > LARGEST_FRAME) throw changed();
  return HEADER_BYTES + length + TAG_BYTES;
}

function openFrame(key: KeyObject, context: string, index: number, frame: Buffer): Buffer {
  const tagAt = frame.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, frame.subarray(NONCE_AT, HEADER_BYTES), TAG_LENGTH);
    decipher.setAAD(place(context, index, frame));
    decipher.setAuthTag(frame.subarray(tagAt));
    const plain = decipher.update(frame.subarray(HEADER_BYTES, tagAt));
    decipher.final();
    return plain;
  } catch {
    throw changed();
  }
}

/** What a frame authenticates beside its bytes: the canonical form of context, position, suite, end and length. */
function place(context: string, index: number, header: Buffer): Buffer {
  return canonical(['sealed stream', context, String(index), header.toString('hex', 0, NONCE_AT)]);
}

function changed(): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    'A sealed file is not the one that was written.',
    'Tell the security team: the file must be restored.',
  );
}
