/**
 * Signing with Ed25519, for logs and witnesses. Who only verifies does not need it, and a build for the browser leaves it
 * out.
 *
 * @module
 */
import { createPublicKey, sign } from 'node:crypto';

/** @typedef {import('node:crypto').KeyObject} KeyObject */

/**
 * @param {KeyObject} key a private one gives its public half
 * @returns {Buffer} 32 raw bytes
 */
export function publicKeyOf(key) {
  const exported = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (exported.crv !== 'Ed25519' || exported.x === undefined) throw new Error('The key is not an Ed25519 key.');
  return Buffer.from(exported.x, 'base64url');
}

/**
 * @param {KeyObject} privateKey
 * @param {Uint8Array} message
 * @returns {Buffer} 64 bytes
 */
export function signEd25519(privateKey, message) {
  return sign(null, message, privateKey);
}
