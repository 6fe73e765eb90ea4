/**
 * The forms that the members of a record have.
 *
 * @module
 */

/** @typedef {(value: unknown) => boolean} Check */

/** @param {RegExp} pattern @returns {Check} */
export const text = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
/** @param {Check} check @returns {Check} */
export const orNull = (check) => (value) => value === null || check(value);
/** @param {Check} check @returns {Check} */
export const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
/** A list that says something. @param {Check} check @returns {Check} */
export const someOf = (check) => (value) => Array.isArray(value) && value.length > 0 && value.every(check);
/** @param {readonly string[]} values @returns {Check} */
export const oneOf = (values) => (value) => typeof value === 'string' && values.includes(value);
/** @param {number} least @returns {Check} */
export const wholeFrom = (least) => (value) => Number.isSafeInteger(value) && /** @type {number} */ (value) >= least;
/** @type {Check} */
export const instant = (value) =>
  text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)(value) && isInstant(/** @type {string} */ (value));
/** Printable ASCII without the space. @type {Check} */
export const token = text(/^[!-~]{1,128}$/);
export const reference = text(/^[0-9a-f]{32}$/);
export const digest = text(/^[0-9a-f]{64}$/);

/**
 * @param {unknown} value
 * @param {readonly [string, Check][]} members
 * @returns {boolean} true when the value is an object with exactly these members
 */
export function matches(value, members) {
  return (
    isObject(value) &&
    Object.keys(value).length === members.length &&
    members.every(([name, check]) => Object.hasOwn(value, name) && check(value[name]))
  );
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @param {string} value
 * @returns {boolean} false for a day or a time of day that does not exist
 */
function isInstant(value) {
  const milliseconds = Date.parse(value);
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString() === value;
}
