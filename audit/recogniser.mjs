/**
 * Reads a record in one pass over its bytes. What it recognises is canonical and valid by construction: members in their
 * order, no white space, values in the forms of FORMAT.md, no character that JSON would escape. It takes the common kinds
 * of records only; all others, and records with escapes in them, are left to `readRecord`, which decides.
 *
 * @module
 */
import { ByteReader, bytesOf, NULL, QUOTE, table, TOKEN } from './byte-reader.mjs';
import { ACCESS_STATES, KINDS, OUTCOMES } from './entry.mjs';

const LINE = table(/[ !#-[\]-~]/);
const LOG = table(/[A-Za-z0-9._-]/);
const CODE = table(/[A-Z0-9_]/);
const FIELD = table(/[A-Za-z0-9_.]/);
const FIELD_START = table(/[A-Za-z_]/);
const TYPE = table(/[A-Za-z0-9]/);
const CAPITAL = table(/[A-Z]/);
const LETTER = table(/[A-Za-z]/);

/** Kinds with rules of their own are not recognised. */
const LEFT_OUT = new Set(['START', 'WRITER', 'ERASE', 'ARCHIVE']);
const KIND_ENDS = KINDS.filter((kind) => !LEFT_OUT.has(kind)).map((kind) => bytesOf(`${kind}"`));
const VOID = KINDS.filter((kind) => !LEFT_OUT.has(kind)).indexOf('VOID');
const OUTCOME_ENDS = OUTCOMES.map((outcome) => bytesOf(`${outcome}"`));
const FAILED = OUTCOMES.indexOf('failed');
const STATE_ENDS = ACCESS_STATES.map((state) => bytesOf(`${state}"`));

const CLOSE_BRACKET = 0x5d;
const CLOSE_BRACE = 0x7d;
const OPENING = bytesOf('{"accesses":[');
const FIELDS = bytesOf('{"fields":{');
const FIELDS_END = bytesOf('}');
const FIELD_VALUE = bytesOf('":"');
const ROWS = bytesOf(',"rows":');
const SUBJECTS = bytesOf(',"subjects":[');
const TYPE_NAME = bytesOf('],"type":"');
const ACCESS_END = bytesOf('"}');
const ACR = bytesOf(',"acr":');
const ACTOR = bytesOf(',"actor":');
const CODE_NAME = bytesOf(',"code":');
const CONSENTS = bytesOf(',"consents":[');
const DECISION = bytesOf(',"decision":');
const DETAIL = bytesOf(',"detail":{"key":"');
const SEALED = bytesOf(',"sealed":{"key":"');
const DIGEST = bytesOf('","sha256":"');
const DIGEST_END = bytesOf('"}');
const DOCUMENT = bytesOf(',"document":');
const INCARNATION = bytesOf(',"incarnation":');
const KIND = bytesOf(',"kind":"');
const LOG_NAME = bytesOf(',"log":"');
const NUMBER = bytesOf('","number":');
const OBLIGATIONS = bytesOf(',"obligations":[');
const OPERATION = bytesOf(',"operation":"');
const OUTCOME = bytesOf('","outcome":"');
const POLICY = bytesOf(',"policy":');
const PURPOSE = bytesOf(',"purpose":');
const REASON_FALSE = bytesOf(',"reason":false,"request":"');
const REASON_TRUE = bytesOf(',"reason":true,"request":"');
const ROLE = bytesOf('","role":');
const RULES = bytesOf(',"rules":[');
const LIST_END = bytesOf(']');
const SESSION = bytesOf(',"session":');
const TIME = bytesOf(',"time":"');
const WRITER = bytesOf('Z","v":1,"writer":"');
const END = bytesOf('"}');

export class Recogniser extends ByteReader {
  constructor() {
    super();
    /** @type {number} */
    this.number = 0;
    /** @type {number} */
    this.incarnation = 0;
    /** Milliseconds since 1970. */
    this.time = 0;
    this.log = '';
    /** The first and the second 8 hexadecimal digits of the writer as numbers. */
    this.writerHigh = 0;
    this.writerLow = 0;
    /** Where the 64 hexadecimal digits of the sealed details' digest stand; -1 without. */
    this.sealedAt = -1;
    /** Whether the record has no accesses, and which of the kinds it is. */
    this.empty = false;
    this.kind = 0;
    this.minuteTime = 0;
    /** Empty until a minute was read: no bytes are equal to it. */
    this.minuteBytes = new Uint8Array(0);
    this.logBytes = new Uint8Array(0);
  }

  /**
   * @param {number} start of the record in `bytes`
   * @param {number} end
   * @returns {boolean} whether it is a record of the common kinds in the common form; then its members are in this object
   */
  read(start, end) {
    this.begin(start, end);
    return this.#accesses() && this.#first() && this.#second() && this.at === end;
  }

  /** @returns {boolean} */
  #accesses() {
    if (!this.literal(OPENING)) return false;
    this.empty = this.byte() === CLOSE_BRACKET;
    if (this.empty) return true;
    do {
      if (!this.literal(FIELDS) || !this.#fields() || !this.literal(ROWS)) return false;
      if (this.whole(0) < 0 || !this.literal(SUBJECTS) || !this.#subjects()) return false;
      if (!this.literal(TYPE_NAME) || LETTER[this.byte()] === 0 || !this.run(TYPE, 64)) return false;
      if (!this.literal(ACCESS_END)) return false;
    } while (this.comma());
    return true;
  }

  /** @returns {boolean} */
  #subjects() {
    if (this.byte() === CLOSE_BRACKET) return true;
    do if (!this.hexText(32)) return false;
    while (this.comma());
    return true;
  }

  /**
   * Names in ascending order, so each once.
   * @returns {boolean}
   */
  #fields() {
    const { bytes } = this;
    let previous = 0;
    let previousEnd = 0;
    if (this.byte() === CLOSE_BRACE) return this.literal(FIELDS_END);
    do {
      const name = this.at + 1;
      if (this.byte() !== QUOTE || FIELD_START[/** @type {number} */ (bytes[name])] === 0) return false;
      this.at = name;
      if (!this.run(FIELD, 128)) return false;
      if (previousEnd !== 0 && !precedes(bytes, previous, previousEnd, name, this.at)) return false;
      previous = name;
      previousEnd = this.at;
      if (!this.literal(FIELD_VALUE) || this.oneOf(STATE_ENDS) < 0) return false;
    } while (this.comma());
    return this.literal(FIELDS_END);
  }

  /** From the actor to the log. @returns {boolean} */
  #first() {
    if (!this.literal(LIST_END) || (this.literal(ACR) && !this.token())) return false;
    if (!this.literal(ACTOR) || !(this.literal(NULL) || this.hexText(32))) return false;
    if (!this.literal(CODE_NAME) || !(this.literal(NULL) || this.#code())) return false;
    if (this.literal(CONSENTS) && !this.#tokens()) return false;
    if (this.literal(DECISION) && !this.token()) return false;
    if (this.literal(DETAIL) && this.#sealing() < 0) return false;
    if (!this.literal(DOCUMENT) || !(this.literal(NULL) || this.hexText(64))) return false;
    if (!this.literal(INCARNATION)) return false;
    this.incarnation = this.whole(1);
    if (this.incarnation < 0 || !this.literal(KIND)) return false;
    this.kind = this.oneOf(KIND_ENDS);
    return this.kind >= 0 && this.literal(LOG_NAME) && this.#log();
  }

  /** From the number to the end. @returns {boolean} */
  #second() {
    if (!this.literal(NUMBER)) return false;
    this.number = this.whole(1);
    if (this.number < 0 || (this.literal(OBLIGATIONS) && !this.#tokens())) return false;
    if (!this.literal(OPERATION) || !this.run(LINE, 256) || !this.literal(OUTCOME)) return false;
    const outcome = this.oneOf(OUTCOME_ENDS);
    if (outcome < 0 || (this.kind === VOID && (outcome !== FAILED || !this.empty))) return false;
    if (!this.literal(POLICY) || !this.tokenOrNull()) return false;
    if (!this.literal(PURPOSE) || !this.tokenOrNull()) return false;
    if (!(this.literal(REASON_FALSE) || this.literal(REASON_TRUE)) || !this.run(TOKEN, 128)) return false;
    if (!this.literal(ROLE) || !this.tokenOrNull()) return false;
    if (!this.literal(RULES) || !this.#rules()) return false;
    this.sealedAt = -1;
    if (this.literal(SEALED)) {
      this.sealedAt = this.#sealing();
      if (this.sealedAt < 0) return false;
    }
    if (!this.literal(SESSION) || !this.tokenOrNull()) return false;
    return this.literal(TIME) && this.#time() && this.literal(WRITER) && this.#writer() && this.literal(END);
  }

  /** A key and a digest. @returns {number} where the digest stands; -1: not recognised */
  #sealing() {
    if (!this.run(TOKEN, 128) || !this.literal(DIGEST)) return -1;
    const { at } = this;
    return this.hex(64) && this.literal(DIGEST_END) ? at : -1;
  }

  /** @returns {boolean} */
  #rules() {
    return this.literal(LIST_END) || this.#tokens();
  }

  /** One or more of them, and the end of the list. @returns {boolean} */
  #tokens() {
    do if (!this.token()) return false;
    while (this.comma());
    return this.literal(LIST_END);
  }

  /** @returns {boolean} */
  #log() {
    const { bytes, at, logBytes } = this;
    if (TYPE[this.byte()] === 0 || !this.run(LOG, 64)) return false;
    const length = this.at - at;
    let same = length === logBytes.length;
    for (let offset = 0; same && offset < length; offset++) same = bytes[at + offset] === logBytes[offset];
    if (!same) {
      this.logBytes = bytes.slice(at, this.at);
      this.log = String.fromCharCode(...this.logBytes);
    }
    return true;
  }

  /** @returns {boolean} */
  #time() {
    const { bytes, at, minuteBytes } = this;
    let same = true;
    for (let offset = 0; same && offset < 16; offset++) same = bytes[at + offset] === minuteBytes[offset];
    if (!same && !this.#newMinute()) return false;
    const ten = this.digit(at + 17);
    const [hundreds, tens, ones] = [this.digit(at + 20), this.digit(at + 21), this.digit(at + 22)];
    const second = this.digit(at + 18);
    if (bytes[at + 16] !== 0x3a || bytes[at + 19] !== 0x2e || ten < 0 || ten > 5 || second < 0) return false;
    if (hundreds < 0 || tens < 0 || ones < 0) return false;
    this.time = this.minuteTime + (ten * 10 + second) * 1000 + hundreds * 100 + tens * 10 + ones;
    this.at = at + 23;
    return true;
  }

  /** @returns {boolean} whether the 16 bytes ahead are a minute that exists */
  #newMinute() {
    const minute = this.bytes.slice(this.at, this.at + 16);
    const text = String.fromCharCode(...minute);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text)) return false;
    const time = Date.parse(`${text}:00.000Z`);
    if (Number.isNaN(time) || new Date(time).toISOString() !== `${text}:00.000Z`) return false;
    this.minuteBytes = minute;
    this.minuteTime = time;
    return true;
  }

  /** @returns {boolean} */
  #writer() {
    this.writerHigh = this.hexNumber();
    this.writerLow = this.hexNumber();
    return this.writerHigh >= 0 && this.writerLow >= 0;
  }

  /** @returns {boolean} */
  #code() {
    this.at += 1;
    if (this.bytes[this.at - 1] !== QUOTE || CAPITAL[this.byte()] === 0 || !this.run(CODE, 64)) return false;
    return this.bytes[this.at++] === QUOTE;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} first
 * @param {number} firstEnd
 * @param {number} second
 * @param {number} secondEnd
 * @returns {boolean} whether the first text sorts before the second
 */
function precedes(bytes, first, firstEnd, second, secondEnd) {
  while (first < firstEnd && second < secondEnd) {
    const difference = /** @type {number} */ (bytes[second++]) - /** @type {number} */ (bytes[first++]);
    if (difference !== 0) return difference > 0;
  }
  return first === firstEnd && second < secondEnd;
}
