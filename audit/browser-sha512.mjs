/**
 * SHA-512 for Ed25519 in a browser, and the constants of both hash functions.
 *
 * @module
 */

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

export const ROUNDS_512 = PRIMES.slice(0, 80).map((prime) => rootBits(prime, 3n));
export const START_512 = PRIMES.slice(0, 8).map((prime) => rootBits(prime, 2n));

/**
 * SHA-512 (FIPS 180-4), for Ed25519: slow, and used once a signature.
 * @param {Uint8Array} data
 * @returns {Uint8Array}
 */
export function sha512(data) {
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
