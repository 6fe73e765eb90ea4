/**
 * JSON Canonicalization Scheme (RFC 8785): one value, one byte sequence. Property names are sorted by UTF-16 code
 * units, numbers and strings are written as ECMAScript writes them, and there is no white space.
 *
 * @module
 */

const LONE_SURROGATE = /\p{Surrogate}/u;
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

/**
 * The canonical JSON text of a value; its UTF-8 bytes are the bytes that are hashed.
 * @param {unknown} value null, boolean, finite number, string, array or plain object
 * @returns {string}
 * @throws {TypeError} for anything JSON cannot carry without loss: a number that is not finite, a string with a lone
 *   surrogate, undefined, bigint, a function, a symbol, an object that is not plain
 */
export function canonicalize(value) {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('Canonical JSON has no number that is not finite.');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw new TypeError(`Canonical JSON has no ${typeof value}.`);
  }
  if (value === null) return 'null';
  return Array.isArray(value) ? canonicalArray(value) : canonicalObject(value);
}

/**
 * @param {readonly unknown[]} items
 * @returns {string}
 */
function canonicalArray(items) {
  let text = '[';
  for (let index = 0; index < items.length; index++) text += (index === 0 ? '' : ',') + canonicalize(items[index]);
  return text + ']';
}

/**
 * @param {object} value
 * @returns {string}
 */
function canonicalObject(value) {
  // A plain object's prototype is null or has none itself; this holds across realms, unlike a comparison by identity.
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError('Canonical JSON has only plain objects.');
  }
  const members = /** @type {Readonly<Record<string, unknown>>} */ (value);
  const names = Object.keys(members).sort();
  let text = '{';
  let separator = '';
  for (const name of names) {
    text += separator + quote(name) + ':' + canonicalize(members[name]);
    separator = ',';
  }
  return text + '}';
}

/**
 * @param {string} text
 * @returns {string}
 */
function quote(text) {
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`;
  if (LONE_SURROGATE.test(text)) throw new TypeError('Canonical JSON has no string with a lone surrogate.');
  return JSON.stringify(text);
}
