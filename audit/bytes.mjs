/**
 * Bytes as text, and bytes compared, without anything of a platform.
 *
 * @module
 */

/**
 * @param {Uint8Array} bytes
 * @returns {string} lower-case hexadecimal
 */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * @param {string} text an even number of hexadecimal digits
 * @returns {Uint8Array}
 */
export function fromHex(text) {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new Error('The text is not hexadecimal.');
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} standard base64 with padding
 */
export function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * @param {Uint8Array} left
 * @param {number} at where to begin in left
 * @param {Uint8Array | undefined} right
 * @returns {boolean} whether left has the bytes of right there
 */
export function hasBytesAt(left, at, right) {
  if (right === undefined || at + right.length > left.length) return false;
  for (let offset = 0; offset < right.length; offset++) if (left[at + offset] !== right[offset]) return false;
  return true;
}
