/**
 * The verification of Ed25519 signatures without any platform. It decides as OpenSSL does.
 *
 * @module
 */
import { fromHex, hasBytesAt } from './bytes.mjs';
import { sha512 } from './browser-sha512.mjs';
import { hasLowOrder } from './low-order.mjs';

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
