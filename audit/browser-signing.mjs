/**
 * What stands in the place of signing.mjs in a browser: only logs and witnesses sign.
 *
 * @module
 */

/** @returns {never} */
export function publicKeyOf() {
  throw new Error('There are no key objects in a browser: give the raw public key.');
}

/** @returns {never} */
export function signEd25519() {
  throw new Error('In a browser nothing is signed.');
}
