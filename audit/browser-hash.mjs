/**
 * What hash.mjs gives, without any platform: for browsers, where crypto.subtle answers only later and, on pages that do not
 * come over HTTPS, not at all. It decides as OpenSSL does. Nothing here is secret, so nothing has to take constant time.
 *
 * @module
 */
import { START_512, ROUNDS_512 } from './browser-sha512.mjs';

export { verifyEd25519 } from './browser-ed25519.mjs';

export const HASH_SIZE = 32;

/**
 * @param {number} length
 * @returns {Uint8Array} all zero
 */
export function allocate(length) {
  return new Uint8Array(length);
}

const ROUNDS_256 = Int32Array.from(ROUNDS_512.slice(0, 64), (bits) => Number(BigInt.asIntN(32, bits >> 32n)));
const START_256 = Int32Array.from(START_512, (bits) => Number(BigInt.asIntN(32, bits >> 32n)));

const words = new Int32Array(64);
const tail = new Uint8Array(128);
const tailView = new DataView(tail.buffer);

/**
 * SHA-256 (FIPS 180-4) into a place of a larger array.
 * @param {Uint8Array} data
 * @param {Uint8Array} output
 * @param {number} at
 * @returns {void}
 */
export function sha256Into(data, output, at) {
  const state = Int32Array.from(START_256);
  const whole = data.length - (data.length % 64);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let offset = 0; offset < whole; offset += 64) block256(state, view, offset);
  const rest = data.length - whole;
  const end = rest < 56 ? 64 : 128;
  tail.fill(0);
  tail.set(data.subarray(whole));
  tail[rest] = 0x80;
  tailView.setBigUint64(end - 8, BigInt(data.length) * 8n);
  for (let offset = 0; offset < end; offset += 64) block256(state, tailView, offset);
  const result = new DataView(output.buffer, output.byteOffset + at, HASH_SIZE);
  state.forEach((word, index) => result.setInt32(4 * index, word));
}

/**
 * SHA-256 (FIPS 180-4).
 * @param {Uint8Array} data
 * @returns {Uint8Array}
 */
export function sha256(data) {
  const hash = new Uint8Array(HASH_SIZE);
  sha256Into(data, hash, 0);
  return hash;
}

/**
 * @param {Int32Array} state
 * @param {DataView} view
 * @param {number} offset
 * @returns {void}
 */
function block256(state, view, offset) {
  for (let t = 0; t < 16; t++) words[t] = view.getInt32(offset + 4 * t);
  for (let t = 16; t < 64; t++) {
    const [w15, w2] = [word(t - 15), word(t - 2)];
    const s0 = turn(w15, 7) ^ turn(w15, 18) ^ (w15 >>> 3);
    const s1 = turn(w2, 17) ^ turn(w2, 19) ^ (w2 >>> 10);
    words[t] = (word(t - 16) + s0 + word(t - 7) + s1) | 0;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let t = 0; t < 64; t++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const one = (h + s1 + ((e & f) ^ (~e & g)) + /** @type {number} */ (ROUNDS_256[t]) + word(t)) | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((sum, index) => {
    state[index] = /** @type {number} */ (state[index]) + sum;
  });
}

/**
 * @param {number} t
 * @returns {number}
 */
function word(t) {
  return /** @type {number} */ (words[t]);
}

/**
 * @param {number} value 32 bits
 * @param {number} count
 * @returns {number} turned to the right
 */
function turn(value, count) {
  return (value >>> count) | (value << (32 - count));
}
