/**
 * What hash.mjs gives, without any platform: for browsers, where crypto.subtle answers only later and, on pages that do not
 * come over HTTPS, not at all. It decides as OpenSSL does. Nothing here is secret, so nothing has to take constant time.
 *
 * @module
 */
import { fromHex, hasBytesAt } from './bytes.mjs';
import { hasLowOrder } from './low-order.mjs';

export const HASH_SIZE = 32;

/**
 * @param {number} length
 * @returns {Uint8Array} all zero
 */
export function allocate(length) {
  return new Uint8Array(length);
}

/** The first 80 primes: their roots are where both hash functions have their constants from (FIPS 180-4 section 4.2). */
const PRIMES = Array.from({ length: 410 }, (_, number) => number).filter(
  (number) => number > 1 && !Array.from({ length: 19 }, (_, at) => at + 2).some((d) => d < number && number % d === 0),
);

/**
 * @param {number} number
 * @param {bigint} degree
 * @returns {bigint} the first 64 bits behind the point of the root of this degree
 */
function rootBits(number, degree) {
  const scaled = BigInt(number) << (64n * degree);
  let [low, high] = [0n, 1n << 70n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= scaled) low = middle;
    else high = middle;
  }
  return BigInt.asUintN(64, low);
}

const ROUNDS_512 = PRIMES.slice(0, 80).map((prime) => rootBits(prime, 3n));
const START_512 = PRIMES.slice(0, 8).map((prime) => rootBits(prime, 2n));
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

/**
 * SHA-512 (FIPS 180-4), for Ed25519: slow, and used once a signature.
 * @param {Uint8Array} data
 * @returns {Uint8Array}
 */
function sha512(data) {
  const length = Math.ceil((data.length + 17) / 128) * 128;
  const padded = new Uint8Array(length);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(length - 8, BigInt(data.length) * 8n);
  const state = [...START_512];
  for (let offset = 0; offset < length; offset += 128) block512(state, view, offset);
  const result = new DataView(new ArrayBuffer(64));
  state.forEach((half, index) => result.setBigUint64(8 * index, half));
  return new Uint8Array(result.buffer);
}

/**
 * @param {bigint[]} state
 * @param {DataView} view
 * @param {number} offset
 * @returns {void}
 */
function block512(state, view, offset) {
  const turn64 = (/** @type {bigint} */ value, /** @type {bigint} */ count) =>
    (value >> count) | BigInt.asUintN(64, value << (64n - count));
  const sum = (/** @type {bigint[]} */ ...values) =>
    BigInt.asUintN(
      64,
      values.reduce((total, value) => total + value),
    );
  const w = Array.from({ length: 16 }, (_, t) => view.getBigUint64(offset + 8 * t));
  const of = (/** @type {number} */ t) => /** @type {bigint} */ (w[t]);
  for (let t = 16; t < 80; t++) {
    const [w15, w2] = [of(t - 15), of(t - 2)];
    const s0 = turn64(w15, 1n) ^ turn64(w15, 8n) ^ (w15 >> 7n);
    const s1 = turn64(w2, 19n) ^ turn64(w2, 61n) ^ (w2 >> 6n);
    w.push(sum(of(t - 16), s0, of(t - 7), s1));
  }
  let [a, b, c, d, e, f, g, h] = /** @type {Parts} */ ([...state]);
  ROUNDS_512.forEach((round, t) => {
    const s1 = turn64(e, 14n) ^ turn64(e, 18n) ^ turn64(e, 41n);
    const one = sum(h, s1, (e & f) ^ (BigInt.asUintN(64, ~e) & g), round, of(t));
    const s0 = turn64(a, 28n) ^ turn64(a, 34n) ^ turn64(a, 39n);
    const two = sum(s0, (a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [sum(one, two), a, b, c, sum(d, one), e, f, g];
  });
  [a, b, c, d, e, f, g, h].forEach((part, index) => {
    state[index] = sum(/** @type {bigint} */ (state[index]), part);
  });
}

/** @typedef {[bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]} Parts */

/** A point of the curve as X, Y, Z and T with x = X/Z, y = Y/Z and xy = T/Z. @typedef {[bigint, bigint, bigint, bigint]} Point */

const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = field(-121665n * power(121666n, FIELD - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (FIELD - 1n) / 4n);
const BASE = /** @type {Point} */ (decode(fromHex('58' + '66'.repeat(31))));

/**
 * @param {bigint} value
 * @returns {bigint} from 0 to FIELD - 1
 */
function field(value) {
  const rest = value % FIELD;
  return rest < 0n ? rest + FIELD : rest;
}

/**
 * @param {bigint} base
 * @param {bigint} exponent
 * @returns {bigint}
 */
function power(base, exponent) {
  let result = 1n;
  for (let rest = exponent, square = base; rest > 0n; rest >>= 1n, square = field(square * square)) {
    if (rest & 1n) result = field(result * square);
  }
  return result;
}

/**
 * @param {Uint8Array} bytes the low one first
 * @returns {bigint}
 */
function numberOf(bytes) {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/**
 * RFC 8032 section 5.1.3, but for a y that is not reduced, which OpenSSL takes as well.
 * @param {Uint8Array} bytes
 * @returns {Point | null} null: not a point of the curve
 */
function decode(bytes) {
  const number = numberOf(bytes);
  const y = field(BigInt.asUintN(255, number));
  const u = field(y * y - 1n);
  const v = field(D * y * y + 1n);
  let x = field(u * v ** 3n * power(field(u * v ** 7n), (FIELD - 5n) / 8n));
  if (field(v * x * x) === field(-u)) x = field(x * ROOT_OF_MINUS_ONE);
  if (field(v * x * x) !== u) return null;
  if ((x & 1n) !== number >> 255n) x = field(-x);
  return [x, y, 1n, field(x * y)];
}

/**
 * @param {Point} point
 * @returns {Uint8Array}
 */
function encode([x, y, z]) {
  const inverse = power(z, FIELD - 2n);
  const number = field(y * inverse) | ((field(x * inverse) & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, (_, at) => Number((number >> BigInt(8 * at)) & 0xffn));
}

/**
 * RFC 8032 section 5.1.4.
 * @param {Point} left
 * @param {Point} right
 * @returns {Point}
 */
function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = field((y1 - x1) * (y2 - x2));
  const b = field((y1 + x1) * (y2 + x2));
  const c = field(2n * t1 * D * t2);
  const d = field(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [field(e * f), field(g * h), field(f * g), field(e * h)];
}

/**
 * Ed25519 (RFC 8032 section 5.1.7), without the cofactor.
 * @param {Uint8Array} publicKey 32 raw bytes
 * @param {Uint8Array} message
 * @param {Uint8Array} signature 64 bytes
 * @returns {boolean}
 */
export function verifyEd25519(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (hasLowOrder(publicKey) || hasLowOrder(signature)) return false;
  const key = decode(publicKey);
  const scalar = numberOf(signature.subarray(32));
  if (key === null || scalar >= ORDER) return false;
  const input = new Uint8Array(64 + message.length);
  input.set(signature.subarray(0, 32));
  input.set(publicKey, 32);
  input.set(message, 64);
  const challenge = numberOf(sha512(input)) % ORDER;
  const [x, y, z, t] = key;
  /** @type {Point} */
  const minus = [field(-x), y, z, field(-t)];
  const both = add(BASE, minus);
  /** @type {Point} */
  let sum = [0n, 1n, 1n, 0n];
  for (let bit = 252n; bit >= 0n; bit--) {
    sum = add(sum, sum);
    const [s, h] = [(scalar >> bit) & 1n, (challenge >> bit) & 1n];
    if (s === 1n) sum = add(sum, h === 1n ? both : BASE);
    else if (h === 1n) sum = add(sum, minus);
  }
  return hasBytesAt(signature, 0, encode(sum));
}
