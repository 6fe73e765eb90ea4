/**
 * The cryptographic functions that everything here rests on, from Node's own crypto. A build for the browser puts another
 * module with the same exports in the place of this one.
 *
 * @module
 */
import * as crypto from 'node:crypto';
import { hasLowOrder } from './low-order.mjs';

export const HASH_SIZE = 32;

/**
 * Bytes of the platform's own kind, all zero: in a browser a Uint8Array, which has all that this folder asks of them.
 * @param {number} length
 * @returns {Buffer}
 */
export function allocate(length) {
  return Buffer.alloc(length);
}

/** Node >= 20.12 hashes in one call, which costs half of what an object of createHash does. */
const oneShot = typeof crypto.hash === 'function';

/**
 * SHA-256.
 * @type {(data: Uint8Array) => Buffer}
 */
export const sha256 = oneShot
  ? (data) => crypto.hash('sha256', data, 'buffer')
  : (data) => crypto.createHash('sha256').update(data).digest();

/**
 * SHA-256 into a place of a larger array. The way through a string of 32 characters is the fastest out of Node's crypto:
 * unlike a Buffer it needs no memory of its own outside of the heap.
 * @type {(data: Uint8Array, output: Uint8Array, at: number) => void}
 */
export const sha256Into = oneShot
  ? (data, output, at) => {
      writeLatin1.call(output, crypto.hash('sha256', data, 'binary'), at, HASH_SIZE);
    }
  : (data, output, at) => {
      output.set(crypto.createHash('sha256').update(data).digest(), at);
    };

const writeLatin1 = /** @type {{latin1Write(this: Uint8Array, text: string, at: number, length: number): number}} */ (
  /** @type {unknown} */ (Buffer.prototype)
).latin1Write;

/** What stands before the key in its DER form (RFC 8410). */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Ed25519 (RFC 8032).
 * @param {Uint8Array} publicKey 32 raw bytes
 * @param {Uint8Array} message
 * @param {Uint8Array} signature 64 bytes
 * @returns {boolean}
 */
export function verifyEd25519(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (hasLowOrder(publicKey) || hasLowOrder(signature)) return false;
  const key = crypto.createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: 'der', type: 'spki' });
  return crypto.verify(null, message, key, signature);
}
