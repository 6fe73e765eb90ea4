// The verifier of Custodia ledgers for browsers, as one module: verifyFiles, verifyUrl, verifyProof. Made of the
// modules beside it by "node build-browser.mjs"; FORMAT.md is the specification.
// @ts-nocheck
/* oxlint-disable */

// bytes.mjs
// prettier-ignore
const $bytes = (() => {
function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text) {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new Error('The text is not hexadecimal.');
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function hasBytesAt(left, at, right) {
  if (right === undefined || at + right.length > left.length) return false;
  for (let offset = 0; offset < right.length; offset++) if (left[at + offset] !== right[offset]) return false;
  return true;
}

return { toHex, fromHex, toBase64, hasBytesAt };
})();

// browser-sha512.mjs
// prettier-ignore
const $browser_sha512 = (() => {
const PRIMES = Array.from({ length: 410 }, (_, number) => number).filter(
  (number) => number > 1 && !Array.from({ length: 19 }, (_, at) => at + 2).some((d) => d < number && number % d === 0),
);

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

function block512(state, view, offset) {
  const turn64 = (value, count) =>
    (value >> count) | BigInt.asUintN(64, value << (64n - count));
  const sum = (...values) =>
    BigInt.asUintN(
      64,
      values.reduce((total, value) => total + value),
    );
  const w = Array.from({ length: 16 }, (_, t) => view.getBigUint64(offset + 8 * t));
  const of = (t) => (w[t]);
  for (let t = 16; t < 80; t++) {
    const [w15, w2] = [of(t - 15), of(t - 2)];
    const s0 = turn64(w15, 1n) ^ turn64(w15, 8n) ^ (w15 >> 7n);
    const s1 = turn64(w2, 19n) ^ turn64(w2, 61n) ^ (w2 >> 6n);
    w.push(sum(of(t - 16), s0, of(t - 7), s1));
  }
  let [a, b, c, d, e, f, g, h] = ([...state]);
  ROUNDS_512.forEach((round, t) => {
    const s1 = turn64(e, 14n) ^ turn64(e, 18n) ^ turn64(e, 41n);
    const one = sum(h, s1, (e & f) ^ (BigInt.asUintN(64, ~e) & g), round, of(t));
    const s0 = turn64(a, 28n) ^ turn64(a, 34n) ^ turn64(a, 39n);
    const two = sum(s0, (a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [sum(one, two), a, b, c, sum(d, one), e, f, g];
  });
  [a, b, c, d, e, f, g, h].forEach((part, index) => {
    state[index] = sum((state[index]), part);
  });
}

return { ROUNDS_512, START_512, sha512 };
})();

// low-order.mjs
// prettier-ignore
const $low_order = (() => {
const { toHex } = $bytes;

const LOW_ORDER = new Set([
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

function hasLowOrder(point) {
  const y = Uint8Array.from(point.subarray(0, 32));
  y[31] = (y[31] ?? 0) & 0x7f;
  return LOW_ORDER.has(toHex(y));
}

return { hasLowOrder };
})();

// browser-ed25519.mjs
// prettier-ignore
const $browser_ed25519 = (() => {
const { fromHex, hasBytesAt } = $bytes;
const { sha512 } = $browser_sha512;
const { hasLowOrder } = $low_order;


const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = field(-121665n * power(121666n, FIELD - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (FIELD - 1n) / 4n);
const BASE = (decode(fromHex('58' + '66'.repeat(31))));

function field(value) {
  const rest = value % FIELD;
  return rest < 0n ? rest + FIELD : rest;
}

function power(base, exponent) {
  let result = 1n;
  for (let rest = exponent, square = base; rest > 0n; rest >>= 1n, square = field(square * square)) {
    if (rest & 1n) result = field(result * square);
  }
  return result;
}

function numberOf(bytes) {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

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

function encode([x, y, z]) {
  const inverse = power(z, FIELD - 2n);
  const number = field(y * inverse) | ((field(x * inverse) & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, (_, at) => Number((number >> BigInt(8 * at)) & 0xffn));
}

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = field((y1 - x1) * (y2 - x2));
  const b = field((y1 + x1) * (y2 + x2));
  const c = field(2n * t1 * D * t2);
  const d = field(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [field(e * f), field(g * h), field(f * g), field(e * h)];
}

function verifyEd25519(publicKey, message, signature) {
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
  const minus = [field(-x), y, z, field(-t)];
  const both = add(BASE, minus);
  let sum = [0n, 1n, 1n, 0n];
  for (let bit = 252n; bit >= 0n; bit--) {
    sum = add(sum, sum);
    const [s, h] = [(scalar >> bit) & 1n, (challenge >> bit) & 1n];
    if (s === 1n) sum = add(sum, h === 1n ? both : BASE);
    else if (h === 1n) sum = add(sum, minus);
  }
  return hasBytesAt(signature, 0, encode(sum));
}

return { verifyEd25519 };
})();

// browser-hash.mjs
// prettier-ignore
const $browser_hash = (() => {
const { START_512, ROUNDS_512 } = $browser_sha512;

const { verifyEd25519 } = $browser_ed25519;

const HASH_SIZE = 32;

function allocate(length) {
  return new Uint8Array(length);
}

const ROUNDS_256 = Int32Array.from(ROUNDS_512.slice(0, 64), (bits) => Number(BigInt.asIntN(32, bits >> 32n)));
const START_256 = Int32Array.from(START_512, (bits) => Number(BigInt.asIntN(32, bits >> 32n)));

const words = new Int32Array(64);
const tail = new Uint8Array(128);
const tailView = new DataView(tail.buffer);

function sha256Into(data, output, at) {
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

function sha256(data) {
  const hash = new Uint8Array(HASH_SIZE);
  sha256Into(data, hash, 0);
  return hash;
}

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
    const one = (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS_256[t]) + word(t)) | 0;
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
    state[index] = (state[index]) + sum;
  });
}

function word(t) {
  return (words[t]);
}

function turn(value, count) {
  return (value >>> count) | (value << (32 - count));
}

return { verifyEd25519, HASH_SIZE, allocate, sha256Into, sha256 };
})();

// details.mjs
// prettier-ignore
const $details = (() => {
const { toHex } = $bytes;
const { sha256 } = $browser_hash;


function encodeDetails(ciphertexts) {
  const size = ciphertexts.reduce((sum, ciphertext) => sum + 4 + (ciphertext?.length ?? 0), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const ciphertext of ciphertexts) {
    view.setUint32(offset, ciphertext?.length ?? 0);
    if (ciphertext !== null) bytes.set(ciphertext, offset + 4);
    offset += 4 + (ciphertext?.length ?? 0);
  }
  return bytes;
}

function splitDetails(bytes, width) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ciphertexts = [];
  for (let offset = 0; ciphertexts.length < width && offset + 4 <= bytes.length;) {
    const length = view.getUint32(offset);
    if (offset + 4 + length > bytes.length) break;
    ciphertexts.push(length === 0 ? null : bytes.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return ciphertexts;
}

class DetailChecks {
  constructor(findings) {
    this.findings = findings;
    this.checked = 0;
    this.unasked = 0;
    this.waiting = new Map();
    this.bySubject = new Map();
  }

  take(index, record, ciphertext) {
    if (record.sealed === undefined) {
      if (ciphertext)
        this.#fault(index, null, toHex(sha256(ciphertext)), 'The record names no details, but there are some.');
      return;
    }
    if (ciphertext === null || ciphertext === undefined) {
      this.missing(index, record);
      return;
    }
    this.checked += 1;
    const found = toHex(sha256(ciphertext));
    if (found === record.sealed.sha256) return;
    this.#fault(index, record.sealed.sha256, found, 'The details beside the record are not those that it names.');
  }

  missing(index, record) {
    const subjects = new Set(record.accesses.flatMap((access) => access.subjects));
    const [, owner] = /^subject:([0-9a-f]{32})$/.exec(record.sealed?.key ?? '') ?? [];
    if (owner !== undefined) subjects.add(owner);
    this.waiting.set(index, subjects);
    for (const subject of subjects) {
      const indexes = this.bySubject.get(subject);
      if (indexes === undefined) this.bySubject.set(subject, new Set([index]));
      else indexes.add(index);
    }
  }

  erased(erasure) {
    for (const subject of erasure.accesses.flatMap((access) => access.subjects)) {
      for (const index of this.bySubject.get(subject) ?? []) this.#remove(index);
    }
  }

  finish() {
    const message = 'The details that the record names are missing, and no later ERASE names one of its subjects.';
    for (const index of this.waiting.keys()) this.#fault(index, null, null, message);
  }

  #fault(index, expected, found, message) {
    this.findings.fault({ index, class: 'detail', expected, found, message });
  }

  #remove(index) {
    for (const subject of this.waiting.get(index) ?? []) {
      const indexes = this.bySubject.get(subject);
      indexes?.delete(index);
      if (indexes?.size === 0) this.bySubject.delete(subject);
    }
    this.waiting.delete(index);
  }
}

return { encodeDetails, splitDetails, DetailChecks };
})();

// checks.mjs
// prettier-ignore
const $checks = (() => {
const text = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
const orNull = (check) => (value) => value === null || check(value);
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const someOf = (check) => (value) => Array.isArray(value) && value.length > 0 && value.every(check);
const oneOf = (values) => (value) => typeof value === 'string' && values.includes(value);
const wholeFrom = (least) => (value) => Number.isSafeInteger(value) && (value) >= least;
const instant = (value) =>
  text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)(value) && isInstant((value));
const token = text(/^[!-~]{1,128}$/);
const reference = text(/^[0-9a-f]{32}$/);
const digest = text(/^[0-9a-f]{64}$/);

function matches(value, members) {
  return (
    isObject(value) &&
    Object.keys(value).length === members.length &&
    members.every(([name, check]) => Object.hasOwn(value, name) && check(value[name]))
  );
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isInstant(value) {
  const milliseconds = Date.parse(value);
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString() === value;
}

return { text, orNull, listOf, someOf, oneOf, wholeFrom, instant, token, reference, digest, matches, isObject };
})();

// entry.mjs
// prettier-ignore
const $entry = (() => {
const { digest, instant, isObject, listOf, matches, oneOf, orNull, reference, someOf, text, token, wholeFrom } = $checks;
const { allocate } = $browser_hash;

const RECORD_VERSION = 1;
const SUITE = 'sha256-ed25519';
const LARGEST_ENTRY = 65_535;
const LARGEST_RECORD = LARGEST_ENTRY - 32;

const ZERO_LEAF = allocate(32);




const KINDS = ([
  'READ',
  'SEARCH',
  'LOOKUP',
  'CREATE',
  'UPDATE',
  'DELETE',
  'EXPORT',
  'DISCLOSE',
  'LOGIN',
  'LOGOUT',
  'POLICY',
  'KEY',
  'LEDGER_READ',
  'ERASE',
  'ARCHIVE',
  'VOID',
  'WRITER',
  'START',
]);
const OUTCOMES = (['success', 'denied', 'failed']);
const ACCESS_STATES = (['CLEAR', 'MASKED', 'HIDDEN', 'ERASED', 'WRITTEN']);

function encodeEntry(previousLeaf, record) {
  if (previousLeaf.length !== 32) throw new Error('The previous leaf has 32 bytes.');
  if (record.length === 0 || record.length > LARGEST_RECORD) {
    throw new Error(`A record has 1 to ${LARGEST_RECORD} bytes.`);
  }
  const entry = allocate(32 + record.length);
  entry.set(previousLeaf);
  entry.set(record, 32);
  return entry;
}

function decodeEntry(entry) {
  if (entry.length <= 32 || entry.length > LARGEST_ENTRY) {
    throw new Error('An entry has 32 bytes for the previous leaf and a record.');
  }
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.length);
  return { previousLeaf: bytes.subarray(0, 32), record: bytes.subarray(32) };
}

function encodeBundle(entries) {
  const parts = entries.flatMap((entry) => {
    if (entry.length > LARGEST_ENTRY) throw new Error(`An entry has at most ${LARGEST_ENTRY} bytes.`);
    return [Buffer.of(entry.length >> 8, entry.length & 0xff), entry];
  });
  return Buffer.concat(parts);
}

function splitBundle(bytes) {
  const entries = [];
  let offset = 0;
  for (let end = 0; offset + 2 <= bytes.length; offset = end) {
    end = offset + 2 + (bytes[offset]) * 256 + (bytes[offset + 1]);
    if (end > bytes.length) break;
    entries.push(bytes.subarray(offset + 2, end));
  }
  return { entries, rest: bytes.length - offset };
}

function decodeBundle(bytes) {
  const { entries, rest } = splitBundle(bytes);
  if (rest > 0) throw new Error(`The bundle is cut short after ${entries.length} entries.`);
  return entries;
}


const MEMBERS = {
  v: (value) => value === RECORD_VERSION,
  log: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  incarnation: wholeFrom(1),
  writer: text(/^[0-9a-f]{16}$/),
  number: wholeFrom(1),
  time: instant,
  request: token,
  operation: text(/^[ -~]{1,256}$/),
  kind: oneOf(KINDS),
  outcome: oneOf(OUTCOMES),
  code: orNull(text(/^[A-Z][A-Z0-9_]{0,63}$/)),
  actor: orNull(reference),
  role: orNull(token),
  session: orNull(token),
  purpose: orNull(token),
  document: orNull(digest),
  policy: orNull(token),
  rules: listOf(token),
  reason: (value) => typeof value === 'boolean',
  accesses: listOf((value) => matches(value, ACCESS_CHECKS)),
};

const OPTIONAL = {
  acr: token,
  consents: someOf(token),
  decision: token,
  obligations: someOf(token),
  detail: (value) => matches(value, DETAIL_CHECKS),
  sealed: (value) => matches(value, DETAIL_CHECKS),
  commitment: digest,
  suite: token,
  origin: text(/^[^\s+]{1,255}$/u),
  replaces: (value) => matches(value, REPLACES_CHECKS),
};

const ACCESS = {
  type: text(/^[A-Za-z][A-Za-z0-9]{0,63}$/),
  rows: wholeFrom(0),
  fields: (value) =>
    isObject(value) &&
    Object.entries(value).every(
      ([name, state]) => /^[A-Za-z_][A-Za-z0-9_.]{0,127}$/.test(name) && oneOf(ACCESS_STATES)(state),
    ),
  subjects: listOf(reference),
};
const DETAIL = { key: token, sha256: digest };
const REPLACES = { origin: text(/^[^\s+]{1,255}$/u), size: wholeFrom(0), root: digest };

const MEMBER_CHECKS = Object.entries(MEMBERS);
const ACCESS_CHECKS = Object.entries(ACCESS);
const DETAIL_CHECKS = Object.entries(DETAIL);
const REPLACES_CHECKS = Object.entries(REPLACES);

function validateRecord(record) {
  if (!isObject(record)) return ['The record is not an object.'];
  const problems = [];
  for (const [name, check] of MEMBER_CHECKS) {
    if (!Object.hasOwn(record, name)) problems.push(`The member ${name} is missing.`);
    else if (!check(record[name])) problems.push(`The member ${name} has a wrong value.`);
  }
  for (const name of Object.keys(record)) {
    const check = Object.hasOwn(OPTIONAL, name) ? OPTIONAL[name] : undefined;
    if (check === undefined && !Object.hasOwn(MEMBERS, name)) problems.push('The record has an unknown member.');
    else if (check?.(record[name]) === false) problems.push(`The member ${name} has a wrong value.`);
  }
  return problems.length > 0 ? problems : problemsOfKind(((record)));
}

function problemsOfKind(record) {
  const problems = [];
  const starts = record.kind === 'START';
  if (starts !== (record.suite !== undefined)) problems.push('Only a START record names a suite, and it must.');
  if (starts !== (record.origin !== undefined)) problems.push('Only a START record names an origin, and it must.');
  const registers = record.kind === 'WRITER';
  if (registers && (record.commitment === undefined || record.outcome !== 'success' || record.accesses.length > 0)) {
    problems.push('A WRITER record has a commitment, the outcome success and no accesses.');
  }
  if (record.commitment !== undefined && !registers && !starts) {
    problems.push('Only a WRITER or START record has a commitment.');
  }
  if (record.replaces !== undefined && (!starts || record.incarnation === 1)) {
    problems.push('Only a START record that raises the incarnation names a checkpoint that it replaces.');
  }
  if (record.kind === 'VOID' && (record.outcome !== 'failed' || record.accesses.length > 0)) {
    problems.push('A VOID record has the outcome failed and no accesses.');
  }
  return problems;
}

return { RECORD_VERSION, SUITE, LARGEST_ENTRY, LARGEST_RECORD, ZERO_LEAF, KINDS, OUTCOMES, ACCESS_STATES, encodeEntry, decodeEntry, encodeBundle, splitBundle, decodeBundle, validateRecord };
})();

// merkle.mjs
// prettier-ignore
const $merkle = (() => {
const { hasBytesAt } = $bytes;
const { allocate, HASH_SIZE, sha256 } = $browser_hash;


const LARGEST_ENTRY = 65_535;

const EMPTY_ROOT = sha256(new Uint8Array(0));

// Reused inputs: both functions are synchronous and the hash copies before it returns.
const leafInput = allocate(1 + LARGEST_ENTRY);
const nodeInput = allocate(1 + 2 * HASH_SIZE);
nodeInput[0] = 1;

function leafHash(entry) {
  const input = entry.length > LARGEST_ENTRY ? allocate(1 + entry.length) : leafInput.subarray(0, 1 + entry.length);
  input.set(entry, 1);
  return sha256(input);
}

function nodeHash(left, right) {
  if (left.length !== HASH_SIZE || right.length !== HASH_SIZE) throw new Error('A hash has 32 bytes.');
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_SIZE);
  return sha256(nodeInput);
}

class CompactRange {
  constructor(size = 0, hashes = []) {
    if (!Number.isSafeInteger(size) || size < 0) throw new Error('The size of a tree is a whole number.');
    if (hashes.length !== setBits(size)) throw new Error(`A tree of ${size} leaves has ${setBits(size)} subtrees.`);
    if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash has 32 bytes.');
    this.size = size;
    this.hashes = [...hashes];
  }

  append(leaf) {
    let hash = leaf;
    for (let rest = this.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = nodeHash((this.hashes.pop()), hash);
    }
    this.hashes.push(hash);
    this.size += 1;
  }

  root() {
    let root = this.hashes.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let index = this.hashes.length - 2; index >= 0; index--) {
      root = nodeHash((this.hashes[index]), root);
    }
    return root;
  }

  clone() {
    return new CompactRange(this.size, this.hashes);
  }
}

function setBits(size) {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

function split(size) {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function subtreeRoot(leafHashes, start, end) {
  const range = new CompactRange();
  for (let index = start; index < end; index++) range.append((leafHashes[index]));
  return range.root();
}

function inclusionProof(leafHashes, index, size) {
  if (!(index >= 0 && index < size && size <= leafHashes.length))
    throw new Error('The index lies outside of the tree.');
  const path = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(subtreeRoot(leafHashes, middle, end));
      end = middle;
    } else {
      path.push(subtreeRoot(leafHashes, start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

function consistencyProof(leafHashes, from, to) {
  if (!(from >= 1 && from <= to && to <= leafHashes.length)) throw new Error('The sizes lie outside of the tree.');
  const path = [];
  let [start, end] = [0, to];
  while (end !== from) {
    const middle = start + split(end - start);
    if (from <= middle) {
      path.push(subtreeRoot(leafHashes, middle, end));
      end = middle;
    } else {
      path.push(subtreeRoot(leafHashes, start, middle));
      start = middle;
    }
  }
  // The older tree's own last subtree is left out only where it is the whole older tree, whose root the reader has.
  if (start !== 0) path.push(subtreeRoot(leafHashes, start, end));
  return path.reverse();
}

function sameBytes(left, right) {
  return left !== undefined && left.length === right?.length && hasBytesAt(left, 0, right);
}

function requireHashes(hashes) {
  if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash has 32 bytes.');
}

function verifyInclusion({ index, size, leafHash: leaf, proof, root }) {
  requireHashes([leaf, root, ...proof]);
  let node = BigInt(index);
  if (node < 0n || node >= BigInt(size)) throw new Error('The index lies outside of the tree.');
  let last = BigInt(size) - 1n;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0n) throw new Error('The proof is too long.');
    if (node % 2n === 1n || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2n === 0n && node !== 0n) [node, last] = [node / 2n, last / 2n];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [node / 2n, last / 2n];
  }
  if (last !== 0n) throw new Error('The proof is too short.');
  if (!sameBytes(hash, root)) throw new Error('The proof leads to another root.');
}

function verifyConsistency({ from, to, fromRoot, toRoot, proof }) {
  const [older, newer] = [BigInt(from), BigInt(to)];
  if (older <= 0n) throw new Error('Nothing follows from an empty tree.');
  if (older > newer) throw new Error('The older tree is larger than the newer one.');
  if (older === newer) {
    if (proof.length > 0) throw new Error('The proof is too long.');
    if (!sameBytes(fromRoot, toRoot)) throw new Error('Two trees of one size have different roots.');
    return;
  }
  requireHashes([fromRoot, toRoot, ...proof]);
  const complete = (older & (older - 1n)) === 0n;
  const [first, ...rest] = complete ? [fromRoot, ...proof] : proof;
  if (first === undefined) throw new Error('The proof is too short.');
  let [node, last] = [older - 1n, newer - 1n];
  while (node % 2n === 1n) [node, last] = [node / 2n, last / 2n];
  let [oldHash, newHash] = [first, first];
  for (const hash of rest) {
    if (last === 0n) throw new Error('The proof is too long.');
    if (node % 2n === 1n || node === last) {
      [oldHash, newHash] = [nodeHash(hash, oldHash), nodeHash(hash, newHash)];
      while (node % 2n === 0n && node !== 0n) [node, last] = [node / 2n, last / 2n];
    } else {
      newHash = nodeHash(newHash, hash);
    }
    [node, last] = [node / 2n, last / 2n];
  }
  if (last !== 0n) throw new Error('The proof is too short.');
  if (!sameBytes(oldHash, fromRoot)) throw new Error('The proof leads to another older root.');
  if (!sameBytes(newHash, toRoot)) throw new Error('The proof leads to another newer root.');
}

return { HASH_SIZE, sha256, EMPTY_ROOT, leafHash, nodeHash, CompactRange, inclusionProof, consistencyProof, sameBytes, requireHashes, verifyInclusion, verifyConsistency };
})();

// tiles.mjs
// prettier-ignore
const $tiles = (() => {
const { allocate, HASH_SIZE, sha256Into } = $browser_hash;
const { CompactRange } = $merkle;

const TILE_WIDTH = 256;

function numberPath(index, width) {
  if (!Number.isSafeInteger(index) || index < 0) throw new Error('The number of a tile is a whole number.');
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) throw new Error('A tile is 1 to 256 wide.');
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

function tilePath(level, index, width = TILE_WIDTH) {
  if (!Number.isInteger(level) || level < 0 || level > 63) throw new Error('The level of a tile is 0 to 63.');
  return `tile/${level}/${numberPath(index, width)}`;
}

function entriesPath(index, width = TILE_WIDTH) {
  return `tile/entries/${numberPath(index, width)}`;
}

function macPath(index, width = TILE_WIDTH) {
  return `mac/${numberPath(index, width)}`;
}

function detailPath(index, width = TILE_WIDTH) {
  return `detail/${numberPath(index, width)}`;
}


const ROWS = Array.from({ length: 9 }, (_, row) => new Uint8Array(1 + HASH_SIZE * (TILE_WIDTH >> row)));
const PAIRS = ROWS.slice(0, 8).map((row) =>
  Array.from({ length: (row.length - 1) / 64 }, (_, pair) => row.subarray(64 * pair, 64 * pair + 65)),
);

function subtreesOf(hashes, width) {
  ROWS[0]?.set(hashes.subarray(0, width * HASH_SIZE), 1);
  const roots = [];
  for (let [row, count] = [0, width]; count > 0; row++, count >>= 1) {
    const from = (ROWS[row]);
    if (count % 2 === 1) roots.unshift(copyOf(from, 1 + (count - 1) * HASH_SIZE));
    for (let pair = 0; pair < count >> 1; pair++) {
      // The byte before a pair is the last one of the pair before, which is done with: here it becomes the node's 0x01.
      from[64 * pair] = 1;
      const input = (PAIRS[row]?.[pair]);
      sha256Into(input, (ROWS[row + 1]), 1 + pair * HASH_SIZE);
    }
  }
  return roots;
}

function copyOf(bytes, at) {
  const hash = allocate(HASH_SIZE);
  hash.set(bytes.subarray(at, at + HASH_SIZE));
  return hash;
}

class TileWriter {
  constructor() {
    this.open = [];
    this.size = 0;
  }

  append(leaf) {
    this.size += 1;
    return this.#append(0, leaf);
  }

  appendTile(root) {
    const leaves = this.#level(0);
    if (leaves.width > 0) throw new Error('The open tile of leaves is not empty.');
    leaves.index += 1;
    this.size += TILE_WIDTH;
    return this.#append(1, root);
  }

  clone() {
    const copy = new TileWriter();
    copy.size = this.size;
    for (const [level, tile] of this.open.entries()) {
      const { index, width, data } = tile;
      const own = copy.#level(level);
      own.data.set(data);
      [own.index, own.width] = [index, width];
    }
    return copy;
  }

  static from(size, tiles) {
    const writer = new TileWriter();
    writer.size = size;
    for (const [level, hashes] of tiles.entries()) {
      const tile = writer.#level(level);
      tile.data.set(hashes);
      tile.width = hashes.length / HASH_SIZE;
      tile.index = Math.floor(size / TILE_WIDTH ** (level + 1));
    }
    return writer;
  }

  tree() {
    return new CompactRange(
      this.size,
      this.open.toReversed().flatMap(({ data, width }) => subtreesOf(data, width)),
    );
  }

  partials() {
    return this.open.flatMap(({ index, width, data }, level) =>
      width === 0 ? [] : [tileOf(level, index, width, data)],
    );
  }

  #append(level, hash) {
    const finished = [];
    for (; ; level++) {
      const tile = this.#level(level);
      tile.data.set(hash, tile.width * HASH_SIZE);
      tile.width += 1;
      if (tile.width < TILE_WIDTH) return finished;
      finished.push(tileOf(level, tile.index, TILE_WIDTH, tile.data));
      [hash] = (subtreesOf(tile.data, TILE_WIDTH));
      tile.index += 1;
      tile.width = 0;
    }
  }

  #level(level) {
    return (this.open[level] ??= { index: 0, width: 0, data: allocate(TILE_WIDTH * HASH_SIZE) });
  }
}

function tileOf(level, index, width, hashes) {
  const data = allocate(width * HASH_SIZE);
  data.set(hashes.subarray(0, width * HASH_SIZE));
  return { level, index, width, path: tilePath(level, index, width), data };
}

function tilesOf(leafHashes) {
  const writer = new TileWriter();
  const tiles = new Map();
  for (const leaf of leafHashes) for (const tile of writer.append(leaf)) tiles.set(tile.path, tile.data);
  for (const tile of writer.partials()) tiles.set(tile.path, tile.data);
  return tiles;
}

return { TILE_WIDTH, tilePath, entriesPath, macPath, detailPath, subtreesOf, TileWriter, tilesOf };
})();

// source.mjs
// prettier-ignore
const $source = (() => {
const { splitDetails } = $details;
const { splitBundle } = $entry;
const { HASH_SIZE } = $browser_hash;
const { detailPath, entriesPath, macPath, TILE_WIDTH, tilePath } = $tiles;




class FileSource {
  read(path) {
    throw new Error(`There is nothing to read ${path} from.`);
  }

  widths(path) {
    void path;
    return Promise.resolve([]);
  }

  async text(name) {
    const bytes = await this.read(name);
    try {
      return bytes === null ? null : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return null;
    }
  }

  tile(level, index, width) {
    return this.#hashes(tilePath(level, index), width);
  }

  macs(index, width) {
    return this.#hashes(macPath(index), width);
  }

  async bundle(index, width) {
    const file = await this.#best(entriesPath(index), width);
    if (file === null) return null;
    const { entries, rest } = splitBundle(file.bytes);
    const surplus = entries.length > file.width || (rest > 0 && entries.length >= file.width);
    return { entries: entries.length > width ? entries.slice(0, width) : entries, surplus };
  }

  async details(index, width) {
    const file = await this.#best(detailPath(index), width);
    return file === null ? null : splitDetails(file.bytes, width);
  }

  async #hashes(path, width) {
    const file = await this.#best(path, width);
    if (file === null) return null;
    const { bytes } = file;
    const count = Math.min(Math.floor(bytes.length / HASH_SIZE), width);
    return Array.from({ length: count }, (_, at) => bytes.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
  }

  async #best(path, width) {
    if (width < TILE_WIDTH) {
      const exact = await this.read(`${path}.p/${width}`);
      if (exact !== null) return { bytes: exact, width };
    }
    const full = await this.read(path);
    if (full !== null) return { bytes: full, width: TILE_WIDTH };
    const widest = Math.max(0, ...(await this.widths(path)));
    const partial = widest === 0 ? null : await this.read(`${path}.p/${widest}`);
    return partial === null ? null : { bytes: partial, width: widest };
  }
}

const MOST_BYTES = 64 * 1024 * 1024;
const ATTEMPTS = 5;
const TIMEOUT_MILLISECONDS = 30_000;
const FIRST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 30_000;

class HttpLog extends FileSource {
  constructor(url, headers = {}, { attempts = ATTEMPTS } = {}) {
    super();
    this.url = url.replace(/\/+$/, '');
    this.headers = headers;
    this.attempts = attempts;
  }

  description() {
    return { url: this.url, headers: this.headers };
  }

  async read(path) {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#ask(path);
      if (!('again' in answer)) return answer.bytes;
      if (attempt >= this.attempts) throw new Error(`${this.url}/${path}: ${answer.again}`);
      const pause = Math.max(answer.pause, FIRST_PAUSE_MILLISECONDS * 2 ** (attempt - 1));
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, LONGEST_PAUSE_MILLISECONDS)));
    }
  }

  async highestBundle() {
    const size = await this.#size();
    let [present, absent] = [-1, Math.ceil(size / TILE_WIDTH)];
    while (absent - present > 1) {
      const middle = Math.floor((present + absent) / 2);
      const found = await this.bundle(middle, Math.min(TILE_WIDTH, size - middle * TILE_WIDTH));
      if (found === null) absent = middle;
      else present = middle;
    }
    return present;
  }

  async hasDetails() {
    const size = await this.#size();
    const last = Math.ceil(size / TILE_WIDTH) - 1;
    return last >= 0 && (await this.details(last, size - last * TILE_WIDTH)) !== null;
  }

  async #size() {
    const size = Number((await this.text('checkpoint'))?.split('\n')[1]);
    return Number.isSafeInteger(size) && size > 0 ? size : 0;
  }

  async #ask(path) {
    let response;
    try {
      // A redirection would hand the token to whoever it leads to.
      const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
      response = await fetch(`${this.url}/${path}`, { headers: this.headers, redirect: 'error', signal });
      if (response.ok) return { bytes: await bodyOf(response) };
    } catch (error) {
      if (error instanceof TooLarge) throw error;
      return { again: error instanceof Error ? reasonOf(error) : 'The request failed.', pause: 0 };
    }
    await response.body?.cancel();
    const { status } = response;
    if (status === 404 || status === 410) return { bytes: null };
    if (status !== 429 && status < 500) throw new Error(`${this.url}/${path}: The server answers ${status}.`);
    const seconds = Number(response.headers.get('retry-after') ?? 0);
    return { again: `The server answers ${status}.`, pause: Number.isFinite(seconds) ? seconds * 1000 : 0 };
  }
}

class TooLarge extends Error {}

async function bodyOf(response) {
  const chunks = [];
  let length = 0;
  for await (const chunk of (response.body ?? [])) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new TooLarge(`${response.url}: The answer has more than ${MOST_BYTES} bytes.`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function reasonOf(error) {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

return { FileSource, HttpLog };
})();

// canonical.mjs
// prettier-ignore
const $canonical = (() => {
const LONE_SURROGATE = /\p{Surrogate}/u;
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

function canonicalize(value) {
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

function canonicalArray(items) {
  let text = '[';
  for (let index = 0; index < items.length; index++) text += (index === 0 ? '' : ',') + canonicalize(items[index]);
  return text + ']';
}

function canonicalObject(value) {
  // A plain object's prototype is null or has none itself; this holds across realms, unlike a comparison by identity.
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError('Canonical JSON has only plain objects.');
  }
  const members = (value);
  const names = Object.keys(members).sort();
  let text = '{';
  let separator = '';
  for (const name of names) {
    text += separator + quote(name) + ':' + canonicalize(members[name]);
    separator = ',';
  }
  return text + '}';
}

function quote(text) {
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`;
  if (LONE_SURROGATE.test(text)) throw new TypeError('Canonical JSON has no string with a lone surrogate.');
  return JSON.stringify(text);
}

return { canonicalize };
})();

// record.mjs
// prettier-ignore
const $record = (() => {
const { canonicalize } = $canonical;
const { validateRecord } = $entry;


const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readRecord(bytes) {
  let value;
  let text = '';
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return { record: null, problem: 'The record is not JSON in UTF-8.' };
  }
  const [problem] = validateRecord(value);
  if (problem !== undefined) return { record: null, problem };
  const record = (value);
  if (!isCanonical(record, text)) return { record: null, problem: 'The record is not canonical JSON.' };
  return { record, problem: '' };
}

function isCanonical(record, text) {
  try {
    return canonicalize(record) === text;
  } catch {
    return false;
  }
}

return { readRecord };
})();

// byte-reader.mjs
// prettier-ignore
const $byte_reader = (() => {
const { LARGEST_ENTRY } = $entry;

const encoder = new TextEncoder();
const bytesOf = (text) => encoder.encode(text);

function table(pattern) {
  return Uint8Array.from({ length: 256 }, (_, byte) => (byte < 128 && pattern.test(String.fromCharCode(byte)) ? 1 : 0));
}

const HEX = table(/[0-9a-f]/);
const DIGIT = table(/[0-9]/);
const TOKEN = table(/[!#-[\]-~]/);

const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NULL = bytesOf('null');

class ByteReader {
  constructor() {
    this.bytes = new Uint8Array(LARGEST_ENTRY + 128);
    this.at = 0;
  }

  begin(start, end) {
    this.bytes[end] = 0;
    this.at = start;
  }

  tokenOrNull() {
    return this.literal(NULL) || this.token();
  }

  token() {
    return this.bytes[this.at++] === QUOTE && this.run(TOKEN, 128) && this.bytes[this.at++] === QUOTE;
  }

  comma() {
    if (this.bytes[this.at] !== COMMA) return false;
    this.at += 1;
    return true;
  }

  byte() {
    return (this.bytes[this.at]);
  }

  digit(at) {
    const digit = (this.bytes[at]) - ZERO;
    return digit >= 0 && digit <= 9 ? digit : -1;
  }

  whole(least) {
    const { bytes, at } = this;
    if (!this.run(DIGIT, 15) || (bytes[at] === ZERO && this.at > at + 1)) return -1;
    let value = 0;
    for (let place = at; place < this.at; place++) value = value * 10 + (bytes[place]) - ZERO;
    return value >= least ? value : -1;
  }

  run(allowed, most) {
    const { bytes, at } = this;
    let end = at;
    while (allowed[(bytes[end])] === 1) end += 1;
    this.at = end;
    return end > at && end <= at + most;
  }

  hex(length) {
    const { bytes, at } = this;
    for (let place = at; place < at + length; place++) {
      if (HEX[(bytes[place])] === 0) return false;
    }
    this.at = at + length;
    return true;
  }

  hexText(length) {
    return this.bytes[this.at++] === QUOTE && this.hex(length) && this.bytes[this.at++] === QUOTE;
  }

  hexNumber() {
    const { bytes, at } = this;
    let value = 0;
    for (let place = at; place < at + 8; place++) {
      const byte = (bytes[place]);
      if (HEX[byte] === 0) return -1;
      value = value * 16 + (byte < 0x40 ? byte - ZERO : byte - 0x57);
    }
    this.at = at + 8;
    return value;
  }

  literal(text) {
    const { bytes, at } = this;
    for (let offset = 0; offset < text.length; offset++) if (bytes[at + offset] !== text[offset]) return false;
    this.at = at + text.length;
    return true;
  }

  oneOf(texts) {
    for (let which = 0; which < texts.length; which++) {
      if (this.literal((texts[which]))) return which;
    }
    return -1;
  }
}

return { bytesOf, table, TOKEN, QUOTE, NULL, ByteReader };
})();

// recogniser.mjs
// prettier-ignore
const $recogniser = (() => {
const { ByteReader, bytesOf, NULL, QUOTE, table, TOKEN } = $byte_reader;
const { ACCESS_STATES, KINDS, OUTCOMES } = $entry;

const LINE = table(/[ !#-[\]-~]/);
const LOG = table(/[A-Za-z0-9._-]/);
const CODE = table(/[A-Z0-9_]/);
const FIELD = table(/[A-Za-z0-9_.]/);
const FIELD_START = table(/[A-Za-z_]/);
const TYPE = table(/[A-Za-z0-9]/);
const CAPITAL = table(/[A-Z]/);
const LETTER = table(/[A-Za-z]/);

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

class Recogniser extends ByteReader {
  constructor() {
    super();
    this.number = 0;
    this.incarnation = 0;
    this.time = 0;
    this.log = '';
    this.writerHigh = 0;
    this.writerLow = 0;
    this.sealedAt = -1;
    this.empty = false;
    this.kind = 0;
    this.minuteTime = 0;
    this.minuteBytes = new Uint8Array(0);
    this.logBytes = new Uint8Array(0);
  }

  read(start, end) {
    this.begin(start, end);
    return this.#accesses() && this.#first() && this.#second() && this.at === end;
  }

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

  #subjects() {
    if (this.byte() === CLOSE_BRACKET) return true;
    do if (!this.hexText(32)) return false;
    while (this.comma());
    return true;
  }

  #fields() {
    const { bytes } = this;
    let previous = 0;
    let previousEnd = 0;
    if (this.byte() === CLOSE_BRACE) return this.literal(FIELDS_END);
    do {
      const name = this.at + 1;
      if (this.byte() !== QUOTE || FIELD_START[(bytes[name])] === 0) return false;
      this.at = name;
      if (!this.run(FIELD, 128)) return false;
      if (previousEnd !== 0 && !precedes(bytes, previous, previousEnd, name, this.at)) return false;
      previous = name;
      previousEnd = this.at;
      if (!this.literal(FIELD_VALUE) || this.oneOf(STATE_ENDS) < 0) return false;
    } while (this.comma());
    return this.literal(FIELDS_END);
  }

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

  #sealing() {
    if (!this.run(TOKEN, 128) || !this.literal(DIGEST)) return -1;
    const { at } = this;
    return this.hex(64) && this.literal(DIGEST_END) ? at : -1;
  }

  #rules() {
    return this.literal(LIST_END) || this.#tokens();
  }

  #tokens() {
    do if (!this.token()) return false;
    while (this.comma());
    return this.literal(LIST_END);
  }

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

  #writer() {
    this.writerHigh = this.hexNumber();
    this.writerLow = this.hexNumber();
    return this.writerHigh >= 0 && this.writerLow >= 0;
  }

  #code() {
    this.at += 1;
    if (this.bytes[this.at - 1] !== QUOTE || CAPITAL[this.byte()] === 0 || !this.run(CODE, 64)) return false;
    return this.bytes[this.at++] === QUOTE;
  }
}

function precedes(bytes, first, firstEnd, second, secondEnd) {
  while (first < firstEnd && second < secondEnd) {
    const difference = (bytes[second++]) - (bytes[first++]);
    if (difference !== 0) return difference > 0;
  }
  return first === firstEnd && second < secondEnd;
}

return { Recogniser };
})();

// scratch.mjs
// prettier-ignore
const $scratch = (() => {
const { hasBytesAt } = $bytes;
const { HASH_SIZE, sha256Into } = $browser_hash;
const { Recogniser } = $recogniser;

const ENTRY = 32;
const RECORD = ENTRY + HASH_SIZE;
const ZERO_BYTE = 48;
const SMALL_A = 97;

class Scratch {
  constructor() {
    this.record = new Recogniser();
    const { bytes } = this.record;
    this.bytes = bytes;
    this.end = RECORD;
    this.leafInputs = new Map();
    this.macInputs = new Map();
  }

  hold(entry) {
    this.bytes.set(entry, ENTRY);
    this.end = ENTRY + entry.length;
  }

  follows(hashes, at) {
    const { bytes } = this;
    for (let offset = 0; offset < HASH_SIZE; offset++) if (bytes[ENTRY + offset] !== hashes[at + offset]) return false;
    return true;
  }

  leafInto(output, at) {
    const { bytes, end } = this;
    bytes[ENTRY - 1] = 0;
    let input = this.leafInputs.get(end);
    if (input === undefined) this.leafInputs.set(end, (input = bytes.subarray(ENTRY - 1, end)));
    sha256Into(input, output, at);
  }

  recognise() {
    return this.record.read(RECORD, this.end);
  }

  bytesOfRecord() {
    return this.bytes.subarray(RECORD, this.end);
  }

  names(digest) {
    let at = this.record.sealedAt;
    for (const byte of digest) {
      if (this.bytes[at++] !== hexDigit(byte >> 4) || this.bytes[at++] !== hexDigit(byte & 15)) return false;
    }
    return true;
  }

  hasMac(key, mac) {
    const { bytes, end } = this;
    bytes.set(key.inner, 0);
    let input = this.macInputs.get(end);
    if (input === undefined) this.macInputs.set(end, (input = bytes.subarray(0, end)));
    return hasBytesAt(key.after(input), 0, mac);
  }
}

function hexDigit(value) {
  return value < 10 ? ZERO_BYTE + value : SMALL_A + value - 10;
}

return { Scratch };
})();

// inspection.mjs
// prettier-ignore
const $inspection = (() => {
const { hasBytesAt, toHex } = $bytes;
const { HASH_SIZE, sha256 } = $browser_hash;
const { readRecord } = $record;
const { Scratch } = $scratch;
const { subtreesOf, TILE_WIDTH } = $tiles;






const NOTABLE = 0xffff;

class Inspector {
  constructor({ records, details, keys }) {
    this.records = records;
    this.details = details;
    this.keys = keys;
    this.scratch = new Scratch();
    this.leaves = new Uint8Array(TILE_WIDTH * HASH_SIZE);
  }

  inspect({ width, bundle, tile, macs, details }, previous) {
    if (width < TILE_WIDTH || bundle === null || bundle.surplus || bundle.entries.length < width) return null;
    if (previous === undefined || tile === null || tile.length < width) return null;
    const { scratch, leaves } = this;
    const facts = new Facts(this.keys);
    for (let at = 0; at < width; at++) {
      const entry = (bundle.entries[at]);
      if (entry.length <= HASH_SIZE) return null;
      scratch.hold(entry);
      const follows = at === 0 ? scratch.follows(previous, 0) : scratch.follows(leaves, (at - 1) * HASH_SIZE);
      scratch.leafInto(leaves, at * HASH_SIZE);
      if (!follows || !hasBytesAt(leaves, at * HASH_SIZE, tile[at])) return null;
      if (this.records && !this.#record(at, facts, macs?.[at], details?.[at])) return null;
    }
    const root = (subtreesOf(leaves, width)[0]);
    const { writers, who, numbers, times, notable, log, incarnation } = facts;
    const last = leaves.slice((width - 1) * HASH_SIZE, width * HASH_SIZE);
    const counts = { macs: facts.macs, details: facts.details, unasked: facts.unasked };
    return {
      previous: previous.slice(),
      root,
      last,
      log,
      incarnation,
      writers,
      who,
      numbers,
      times,
      notable,
      ...counts,
    };
  }

  #record(at, facts, mac, detail) {
    const { scratch, keys } = this;
    const { record: recogniser } = scratch;
    const common = scratch.recognise();
    const record = common ? null : readRecord(scratch.bytesOfRecord()).record;
    if (!common && record === null) return false;
    const sealed = common ? recogniser.sealedAt >= 0 : record?.sealed !== undefined;
    if (!sealed && detail) return false;
    const missing = sealed && this.details && (detail === null || detail === undefined);
    if (sealed && !missing) {
      if (!this.details) facts.unasked += 1;
      else {
        const digest = sha256((detail));
        if (!(common ? scratch.names(digest) : toHex(digest) === record?.sealed?.sha256)) return false;
        facts.details += 1;
      }
    }
    const plain = common && !missing && facts.take(at, recogniser);
    const noted = plain ? null : (record ?? readRecord(scratch.bytesOfRecord()).record);
    if (noted !== null) facts.note(at, noted, missing);
    const key = noted === null ? facts.keyOf(at) : keys.get(noted.writer);
    if (key === undefined) return true;
    facts.macs += 1;
    return mac !== undefined && scratch.hasMac(key, mac);
  }
}


class Facts {
  constructor(keys) {
    this.released = keys;
    this.log = '';
    this.incarnation = 0;
    this.writers = [];
    this.halves = [];
    this.keys = [];
    this.who = new Uint16Array(TILE_WIDTH).fill(NOTABLE);
    this.numbers = new Float64Array(TILE_WIDTH);
    this.times = new Float64Array(TILE_WIDTH);
    this.notable = [];
    this.macs = 0;
    this.details = 0;
    this.unasked = 0;
  }

  take(at, record) {
    if (this.incarnation === 0) [this.log, this.incarnation] = [record.log, record.incarnation];
    else if (record.incarnation !== this.incarnation || record.log !== this.log) return false;
    this.who[at] = this.#writer(record.writerHigh, record.writerLow);
    this.numbers[at] = record.number;
    this.times[at] = record.time;
    return true;
  }

  note(at, record, detailMissing) {
    this.notable.push({ at, record, detailMissing });
  }

  keyOf(at) {
    return this.keys[(this.who[at])];
  }

  #writer(high, low) {
    const { halves } = this;
    for (let at = 0; at < halves.length; at += 2) if (halves[at + 1] === low && halves[at] === high) return at / 2;
    const writer = [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
    halves.push(high, low);
    this.keys.push(this.released.get(writer));
    return this.writers.push(writer) - 1;
  }
}

return { NOTABLE, Inspector };
})();

// bundles.mjs
// prettier-ignore
const $bundles = (() => {
const { toHex } = $bytes;
const { HASH_SIZE } = $browser_hash;
const { Inspector } = $inspection;
const { TILE_WIDTH } = $tiles;


const READ_AHEAD = 4;



async function walkBundles(journey) {
  const { source, size, walk, kept, inspections, progress } = journey;
  kept.compare(walk);
  for (let number = Math.floor(walk.size / TILE_WIDTH); number * TILE_WIDTH < size; number++) {
    const { part, inspected } = await inspections.next(number, walk.previous.stored);
    const end = (number + 1) * TILE_WIDTH;
    if (inspected !== null && !kept.within(walk.size, end) && walk.accepts(inspected)) {
      for (const made of walk.takeBundle(inspected)) await compareTile(source, made, walk, journey.findings);
    } else {
      const read = part ?? (await readPart(source, number, size, journey.options));
      if (!(await walkBundle(journey, read))) break;
    }
    kept.compare(walk);
    progress?.(walk.size, size);
  }
  if (walk.size === size) {
    for (const made of walk.stored.partials()) await compareTile(source, made, walk, journey.findings);
  }
}

async function walkBundle({ source, size, minimum, walk, findings, kept }, part) {
  const { number, width, bundle, tile, macs, details } = part;
  const end = number * TILE_WIDTH + width;
  if (end <= minimum && (bundle?.entries ?? []).every((entry) => entry.length === 0)) {
    for (let at = walk.size % TILE_WIDTH; at < width; at++) {
      for (const made of walk.takePruned(tile?.[at])) await compareTile(source, made, walk, findings);
      kept.compare(walk);
    }
    return true;
  }
  if (bundle === null && number > (await source.highestBundle())) {
    walk.missingRest(size);
    return false;
  }
  if (tile === null && bundle !== null) {
    const message = 'The tile of leaf hashes is missing.';
    findings.fault({ index: walk.size, class: 'tile', expected: null, found: null, message });
  }
  for (let at = walk.size % TILE_WIDTH; at < width; at++) {
    for (const made of walk.take(bundle?.entries[at], tile, macs?.[at], details?.[at])) {
      await compareTile(source, made, walk, findings);
    }
    kept.compare(walk);
  }
  if (bundle?.surplus) {
    const message = 'The bundle holds more than its entries.';
    findings.fault({ index: walk.size, class: 'extra-entry', expected: null, found: null, message });
  }
  return true;
}

async function readPart(source, number, size, { records, details, keys }) {
  const width = Math.max(0, Math.min(TILE_WIDTH, size - number * TILE_WIDTH));
  if (width === 0) return { number, width, bundle: null, tile: null, macs: null, details: null };
  const [bundle, tile, macs, ciphertexts] = await Promise.all([
    source.bundle(number, width),
    source.tile(0, number, width),
    records && keys.size > 0 ? source.macs(number, width) : null,
    records && details ? source.details(number, width) : null,
  ]);
  return { number, width, bundle, tile, macs, details: ciphertexts };
}

class InlineInspections {
  constructor(source, size, options, inspector = new Inspector(options), end = Math.ceil(size / TILE_WIDTH)) {
    this.source = source;
    this.size = size;
    this.end = end;
    this.options = options;
    this.inspector = inspector;
    this.ahead = new Map();
  }

  async next(number, previous) {
    for (let ahead = number; ahead <= number + READ_AHEAD && ahead < this.end; ahead++) {
      if (this.ahead.has(ahead)) continue;
      const read = readPart(this.source, ahead, this.size, this.options);
      // Its error is thrown when its turn comes; until then it must not count as unhandled.
      read.catch(() => undefined);
      this.ahead.set(ahead, read);
    }
    const part = await (this.ahead.get(number));
    this.ahead.delete(number);
    return { part, inspected: this.inspector.inspect(part, previous) };
  }

  close() {
    this.ahead.clear();
    return Promise.resolve();
  }
}

async function compareTile(source, made, walk, findings) {
  if (made.level === 0) return;
  const covered = TILE_WIDTH ** made.level;
  const start = made.index * TILE_WIDTH * covered;
  const hashes = await source.tile(made.level, made.index, made.width);
  if (hashes === null) {
    const message = `The file ${made.path} is missing.`;
    findings.fault({ index: start, class: 'tile', expected: made.path, found: null, message });
    return;
  }
  for (let at = 0; at < made.width; at++) {
    const expected = toHex(made.data.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
    const hash = hashes[at];
    const found = hash === undefined ? null : toHex(hash);
    const first = start + at * covered;
    if (found === expected || walk.faultyWithin(first, first + covered - 1)) continue;
    const message = `The file ${made.path} does not follow from the level below.`;
    findings.fault({ index: first, class: 'tile', expected, found, message });
    return;
  }
}

return { walkBundles, readPart, InlineInspections };
})();

// roots.mjs
// prettier-ignore
const $roots = (() => {
const { HASH_SIZE } = $browser_hash;
const { CompactRange, nodeHash } = $merkle;
const { subtreesOf, TILE_WIDTH } = $tiles;


const LEVEL_BITS = 8;

class MissingTile extends Error {}

class TiledTree {
  constructor(source, size) {
    this.source = source;
    this.size = size;
  }

  async rootAt(size) {
    return (await this.rangeAt(size)).root();
  }

  async rangeAt(size) {
    const hashes = [];
    for (const hashesOfLevel of await this.edgeAt(size)) {
      const width = hashesOfLevel.length / HASH_SIZE;
      if (width > 0) hashes.unshift(...subtreesOf(hashesOfLevel, width));
    }
    return new CompactRange(size, hashes);
  }

  async edgeAt(size) {
    const edge = [];
    for (let [level, count] = [0, size]; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
      const index = Math.floor(count / TILE_WIDTH);
      edge.push(await this.#hashes(level, index, count % TILE_WIDTH));
    }
    return edge;
  }

  async consistencyProof(from, to) {
    const path = [];
    let [start, end] = [0, to];
    while (end !== from) {
      const middle = start + largestPowerBelow(end - start);
      if (from <= middle) {
        path.push(await this.#subtree(middle, end));
        end = middle;
      } else {
        path.push(await this.#subtree(start, middle));
        start = middle;
      }
    }
    // The older tree's own last subtree is left out only where it is the whole older tree, whose root the reader has.
    if (start !== 0) path.push(await this.#subtree(start, end));
    return path.reverse();
  }

  async #subtree(start, end) {
    const power = largestPowerBelow(end - start + 1);
    const left = await this.#perfect(start, power);
    return power === end - start ? left : nodeHash(left, await this.#subtree(start + power, end));
  }

  async #perfect(start, leaves) {
    const level = Math.floor(Math.log2(leaves) / LEVEL_BITS);
    const covered = TILE_WIDTH ** level;
    const [first, width] = [start / covered, leaves / covered];
    const at = first % TILE_WIDTH;
    const hashes = await this.#hashes(level, Math.floor(first / TILE_WIDTH), at + width);
    return (subtreesOf(hashes.subarray(at * HASH_SIZE), width)[0]);
  }

  async #hashes(level, index, width) {
    if (width === 0) return new Uint8Array(0);
    const there = Math.min(TILE_WIDTH, Math.floor(this.size / TILE_WIDTH ** level) - index * TILE_WIDTH);
    const tile = await this.source.tile(level, index, there);
    if (tile === null || tile.length < width) throw new MissingTile(`A hash of level ${level} is missing.`);
    const hashes = new Uint8Array(width * HASH_SIZE);
    for (let at = 0; at < width; at++) hashes.set((tile[at]), at * HASH_SIZE);
    return hashes;
  }
}

function largestPowerBelow(size) {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

return { MissingTile, TiledTree };
})();

// incremental.mjs
// prettier-ignore
const $incremental = (() => {
const { fromHex, toHex } = $bytes;
const { HASH_SIZE } = $browser_hash;
const { CompactRange } = $merkle;
const { MissingTile, TiledTree } = $roots;
const { TileWriter } = $tiles;


const VERSION = 1;




async function restore(store, source, checkpoint, findings) {
  const text = await store.read();
  if (text === null) return null;
  const state = parse(text);
  const { size, origin } = state;
  const broken = (index, found, message) => {
    findings.fault({ index, class: 'consistency', expected: state.root, found, message });
    return ({ ok: false });
  };
  if (checkpoint.size < size) {
    const message = `The log was rolled back: ${size} entries were verified before.`;
    return broken(checkpoint.size, `${checkpoint.size} entries`, message);
  }
  const tree = new TiledTree(source, checkpoint.size);
  const known = new CompactRange(size, state.range.map(hashOf));
  if (toHex(known.root()) !== state.root) throw new Error('The state contradicts itself.');
  try {
    const [edge, now] = [await tree.edgeAt(size), await tree.rangeAt(size)];
    if (now.hashes.some((hash, at) => toHex(hash) !== state.range[at])) {
      const message = `The log is not the one that was verified up to ${size} entries: its history was replaced.`;
      return broken(null, toHex(now.root()), message);
    }
    const declared = checkpoint.origin === origin || checkpoint.size > size;
    if (!declared) return broken(null, checkpoint.origin, `The log that was verified has the origin ${origin}.`);
    return { ok: true, start: { tree: TileWriter.from(size, edge), leaf: hashOf(state.leaf) }, records: state.records };
  } catch (error) {
    if (!(error instanceof MissingTile)) throw error;
    return broken(null, 'none', `The log does not have the tiles of the ${size} entries that were verified before.`);
  }
}

async function save(store, { origin, size, root }, walk, records) {
  const state = {
    version: VERSION,
    origin,
    size,
    root: toHex(root),
    range: walk.stored.tree().hashes.map(toHex),
    leaf: toHex(walk.previous.stored ?? new Uint8Array(HASH_SIZE)),
    records: records.state(),
  };
  await store.write(`${JSON.stringify(state)}\n`);
}

function parse(text) {
  try {
    const state = (JSON.parse(text));
    const { version, size, range, leaf, root, records } = state;
    const hashes = [...range, leaf, root].every((hash) => /^[0-9a-f]{64}$/.test(hash));
    if (
      version === VERSION &&
      Number.isSafeInteger(size) &&
      size >= 0 &&
      hashes &&
      records.writers &&
      records.commitments
    )
      return state;
  } catch {
    // Falls through to the one message.
  }
  throw new Error('The state is not one of this verifier. Delete it to begin again.');
}

function hashOf(hex) {
  return (fromHex(hex));
}

return { restore, save };
})();

// starts.mjs
// prettier-ignore
const $starts = (() => {
const { SUITE } = $entry;




class Starts {
  constructor(findings, { log, incarnation, starts } = { log: null, incarnation: null, starts: [] }) {
    this.findings = findings;
    this.log = log;
    this.incarnation = incarnation;
    this.starts = [...starts];
  }

  state() {
    return { log: this.log, incarnation: this.incarnation, starts: this.starts };
  }

  take(index, record) {
    this.log ??= record.log;
    if (record.log !== this.log) {
      const message = 'The record belongs to another log.';
      this.findings.fault({ index, class: 'record', expected: this.log, found: record.log, message });
    }
    if (record.kind === 'START') this.#start(index, record);
    else if (index === 0) this.fault(index, 'START', record.kind, 'The log does not begin with START.');
    this.incarnation ??= record.incarnation;
    if (record.incarnation !== this.incarnation) {
      const message = 'The incarnation changed without a START record.';
      this.fault(index, `${this.incarnation}`, `${record.incarnation}`, message);
    }
  }

  finish(origin) {
    const last = this.starts.at(-1);
    if (last === undefined || last.origin === origin) return;
    this.fault(last.index, origin, last.origin, 'The last START names another origin than the checkpoint.');
  }

  restoreAfter({ origin, size }) {
    const next = this.starts.find((start) => start.replaces?.origin === origin);
    return next !== undefined && next.index < size ? next : undefined;
  }

  knows(origin) {
    return this.starts.length === 0 || this.starts.some((start) => start.origin === origin);
  }

  fault(index, expected, found, message) {
    this.findings.fault({ index, class: 'start', expected, found, message });
  }

  #start(index, record) {
    const { incarnation } = record;
    const origin = `${record.origin}`;
    if (record.suite !== SUITE) {
      this.fault(index, SUITE, `${record.suite}`, 'The log uses a suite that this verifier does not know.');
    }
    const before = this.starts.at(-1);
    const replaces = record.replaces ?? null;
    this.starts.push({ index, incarnation, origin, replaces });
    if (this.incarnation === null) {
      // A log that was made after a restore begins in a later incarnation and replaces nothing.
      if (index > 0 || replaces !== null) this.#restored(index, incarnation, origin, replaces, before);
      return;
    }
    if (incarnation <= this.incarnation) {
      this.fault(index, `more than ${this.incarnation}`, `${incarnation}`, 'START does not raise the incarnation.');
      return;
    }
    this.incarnation = incarnation;
    this.#restored(index, incarnation, origin, replaces, before);
  }

  #restored(index, incarnation, origin, replaces, before) {
    if (before !== undefined) {
      const expected = `${baseOf(before)}/${incarnation}`;
      if (origin !== expected)
        this.fault(index, expected, origin, 'START names another origin than its incarnation has.');
    }
    if (replaces === null) {
      this.fault(index, 'replaces', 'none', 'START does not name the checkpoint that it replaces.');
      return;
    }
    if (before !== undefined && replaces.origin !== before.origin) {
      this.fault(index, before.origin, replaces.origin, 'START replaces a checkpoint of another origin.');
    }
    const message = `The log goes on after a declared restore, in incarnation ${incarnation}; ${lossOf(index, replaces.size)}.`;
    this.findings.warn({ index, class: 'restored', message });
  }
}

function lossOf(index, size) {
  if (size <= index) return 'nothing that was signed before was lost';
  return size === index + 1
    ? `entry ${index} was lost in a declared restore`
    : `entries ${index} to ${size - 1} were lost in a declared restore`;
}

function baseOf({ origin, incarnation }) {
  const suffix = `/${incarnation}`;
  return incarnation > 1 && origin.endsWith(suffix) ? origin.slice(0, -suffix.length) : origin;
}

return { Starts, lossOf };
})();

// kept.mjs
// prettier-ignore
const $kept = (() => {
const { toHex } = $bytes;
const { MissingTile } = $roots;
const { lossOf } = $starts;



class KeptCheckpoints {
  constructor(kept, checkpoint, findings) {
    this.rest = [...kept].sort((a, b) => a.size - b.size);
    this.checkpoint = checkpoint;
    this.findings = findings;
  }

  within(from, end) {
    return this.rest.some(({ size }) => from < size && size < end);
  }

  async compareBefore(walk, tree) {
    for (let next = this.rest[0]; next !== undefined && next.size < walk.size; next = this.rest[0]) {
      this.rest.shift();
      const found = await tree.rootAt(next.size).then(toHex, (error) => {
        if (error instanceof MissingTile) return null;
        throw error;
      });
      if (found !== toHex(next.root) && !this.#restored(next, walk.records.starts)) this.#replaced(next, found);
    }
  }

  compare(walk) {
    for (let next = this.rest[0]; next !== undefined && next.size <= walk.size; next = this.rest[0]) {
      this.rest.shift();
      if (next.size === walk.size) this.#compare(next, walk);
    }
  }

  finish(starts) {
    const { size } = this.checkpoint;
    const open = this.rest.filter((kept) => kept.size > size && !this.#restored(kept, starts));
    const last = open.at(-1);
    if (last === undefined) return;
    const message = `The log was rolled back: a kept checkpoint covers ${last.size} entries.`;
    this.findings.fault({ index: size, class: 'consistency', expected: `${last.size}`, found: `${size}`, message });
  }

  #compare(kept, walk) {
    const { starts } = walk.records;
    if (this.#restored(kept, starts)) return;
    if ((kept.origin === this.checkpoint.origin || starts.knows(kept.origin)) && walk.hasRoot(kept.root) !== false) {
      walk.records.witnessed(kept.witnessed);
      return;
    }
    this.#replaced(kept, toHex(walk.stored.tree().root()));
  }

  #replaced(kept, found) {
    const message = `The log is not the one of the kept checkpoint of size ${kept.size}: its history was replaced.`;
    this.findings.fault({ index: null, class: 'consistency', expected: toHex(kept.root), found, message });
  }

  #restored(kept, starts) {
    const start = starts.restoreAfter(kept);
    const { replaces = null } = start ?? {};
    if (start === undefined || replaces === null || kept.size > replaces.size) return false;
    if (kept.size === replaces.size && toHex(kept.root) !== replaces.root) return false;
    const message = `A kept checkpoint covers ${kept.size} entries; ${lossOf(start.index, kept.size)}.`;
    this.findings.warn({ index: start.index, class: 'restored', message });
    return true;
  }
}

return { KeptCheckpoints };
})();

// mac.mjs
// prettier-ignore
const $mac = (() => {
const { fromHex, hasBytesAt, toHex } = $bytes;
const { HASH_SIZE, sha256, sha256Into } = $browser_hash;


const BLOCK_SIZE = 64;
const COMMITMENT = new TextEncoder().encode('custodia ledger writer key\n');

class MacKey {
  constructor(key) {
    if (key.length !== HASH_SIZE) throw new Error('The key of a writer has 32 bytes.');
    this.key = key;
    const padded = new Uint8Array(BLOCK_SIZE);
    padded.set(key);
    this.inner = padded.map((byte) => byte ^ 0x36);
    this.outer = new Uint8Array(BLOCK_SIZE + HASH_SIZE);
    this.outer.set(padded.map((byte) => byte ^ 0x5c));
    this.result = new Uint8Array(HASH_SIZE);
    const bound = new Uint8Array(COMMITMENT.length + HASH_SIZE);
    bound.set(COMMITMENT);
    bound.set(key, COMMITMENT.length);
    this.commitment = toHex(sha256(bound));
  }

  after(input) {
    sha256Into(input, this.outer, BLOCK_SIZE);
    sha256Into(this.outer, this.result, 0);
    return this.result;
  }

  of(message) {
    const input = new Uint8Array(BLOCK_SIZE + message.length);
    input.set(this.inner);
    input.set(message, BLOCK_SIZE);
    return this.after(input);
  }

  holds(message, mac) {
    return mac.length === HASH_SIZE && hasBytesAt(this.of(message), 0, mac);
  }
}


function parseWriterKeys(text) {
  const keys = new Map();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, writer, key] = /^([0-9a-f]{16}) ([0-9a-f]{64})$/.exec(line.trim()) ?? [];
    if (writer === undefined || key === undefined) {
      throw new Error('A line of the writers’ keys is not "<writer> <key>" in hexadecimal.');
    }
    if (keys.has(writer)) throw new Error(`There are two keys of writer ${writer}.`);
    keys.set(writer, new MacKey(fromHex(key)));
  }
  return keys;
}

class MacChecks {
  constructor(findings, keys, commitments = []) {
    this.findings = findings;
    this.keys = keys;
    this.commitments = new Map(commitments);
    for (const [writer, commitment] of commitments) this.#bound(null, writer, commitment);
    this.checked = 0;
    this.missing = null;
  }

  registered(index, writer, commitment) {
    this.commitments.set(writer, commitment);
    this.#bound(index, writer, commitment);
  }

  #bound(index, writer, commitment) {
    const key = this.keys.get(writer);
    if (key === undefined || key.commitment === commitment) return;
    const message = `The key given for writer ${writer} is not the one that its registration is bound to.`;
    this.findings.fault({ index, class: 'mac', expected: commitment, found: key.commitment, message });
  }

  take(index, writer, bytes, mac) {
    const key = this.keys.get(writer);
    if (key === undefined) return;
    if (mac === undefined || mac.every((byte) => byte === 0)) {
      this.checked += 1;
      const message = 'The MAC of the record is missing.';
      this.missing ??= this.findings.fault({ index, class: 'mac', expected: null, found: null, message });
      this.missing.last = index;
      return;
    }
    this.found(1);
    if (key.holds(bytes, mac)) return;
    const values = { expected: toHex(key.of(bytes)), found: toHex(mac) };
    const message = `The MAC beside the record is not that of writer ${writer} over its bytes.`;
    this.findings.fault({ index, class: 'mac', ...values, message });
  }

  found(count) {
    if (count > 0) this.missing = null;
    this.checked += count;
  }
}

return { MacKey, parseWriterKeys, MacChecks };
})();

// browser-signing.mjs
// prettier-ignore
const $browser_signing = (() => {
function publicKeyOf() {
  throw new Error('There are no key objects in a browser: give the raw public key.');
}

function signEd25519() {
  throw new Error('In a browser nothing is signed.');
}

return { publicKeyOf, signEd25519 };
})();

// note.mjs
// prettier-ignore
const $note = (() => {
const { fromHex, toBase64, toHex } = $bytes;
const { allocate, HASH_SIZE, sha256, verifyEd25519 } = $browser_hash;
const { publicKeyOf, signEd25519 } = $browser_signing;


const TYPE_ED25519 = 0x01;
const TYPE_COSIGNATURE = 0x04;

const MOST_SIGNATURES = 100;
const NAME = /^[^\s+\u0085]+$/u;
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const UTF8 = new TextEncoder();



function joined(...parts) {
  const bytes = allocate(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function keyId(name, type, publicKey) {
  return toHex(sha256(joined(UTF8.encode(`${name}\n`), [type], publicKey)).subarray(0, 4));
}

function vkey(name, publicKey, type = TYPE_ED25519) {
  requireName(name);
  const raw = publicKey instanceof Uint8Array ? publicKey : publicKeyOf(publicKey);
  if (raw.length !== 32) throw new Error('An Ed25519 public key has 32 bytes.');
  return `${name}+${keyId(name, type, raw)}+${toBase64(joined([type], raw))}`;
}

function requireName(name) {
  if (!NAME.test(name)) throw new Error('A key name is not empty and has no space and no plus sign.');
}

function parseVkey(text) {
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined || !NAME.test(name)) {
    throw new Error('The verifier key does not have the form name+id+key.');
  }
  const bytes = strictBase64(encoded);
  const type = bytes?.[0];
  if (bytes === null || bytes.length !== 33 || (type !== TYPE_ED25519 && type !== TYPE_COSIGNATURE)) {
    throw new Error('The verifier key is not an Ed25519 key.');
  }
  const publicKey = bytes.subarray(1);
  if (keyId(name, type, publicKey) !== id) throw new Error('The id of the verifier key does not belong to its key.');
  return { name, keyId: id, type, publicKey };
}

function signNote(text, { name, privateKey }) {
  requireNoteText(text);
  if (!text.endsWith('\n')) throw new Error('The text of a note ends with a newline.');
  const id = keyId(name, TYPE_ED25519, publicKeyOf(privateKey));
  return `${text}\n${signatureLine(name, id, signEd25519(privateKey, UTF8.encode(text)))}`;
}

function signatureLine(name, id, signature) {
  requireName(name);
  return `\u2014 ${name} ${toBase64(joined(fromHex(id), signature))}\n`;
}

function splitNote(note) {
  requireNoteText(note);
  const end = note.lastIndexOf('\n\n');
  const lines = note.slice(end + 2).split('\n');
  if (end < 0 || lines.length < 2 || lines.pop() !== '') throw new Error('The note has no signature lines.');
  if (lines.length > MOST_SIGNATURES) throw new Error(`The note has more than ${MOST_SIGNATURES} signatures.`);
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line) ?? [];
    const bytes = encoded === undefined ? null : strictBase64(encoded);
    if (name === undefined || !NAME.test(name) || bytes === null || bytes.length < 5) {
      throw new Error('The note has a malformed signature line.');
    }
    return { name, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

function linesBy(note, keys) {
  const { signatures } = splitNote(note);
  return keys
    .flatMap(({ name, keyId: id }) => signatures.find((one) => one.name === name && one.keyId === id) ?? [])
    .map(({ name, keyId: id, signature }) => signatureLine(name, id, signature))
    .join('');
}

function verifyNote(note, vkeys) {
  const keys = vkeys.map(parseVkey);
  const { text, signatures } = splitNote(note);
  const verified = new Map();
  const unknown = new Map();
  for (const { name, keyId: id, signature } of signatures) {
    const entry = `${name} ${id}`;
    const key = keys.find((candidate) => candidate.name === name && candidate.keyId === id);
    if (key === undefined) unknown.set(entry, { name, keyId: id });
    else if (!verified.has(entry)) {
      const time = key.type === TYPE_COSIGNATURE ? cosignatureTime(signature) : undefined;
      if (!signatureHolds(key, text, signature, time)) throw new Error(`The signature of ${name} does not hold.`);
      verified.set(entry, time === undefined ? { name, keyId: id } : { name, keyId: id, time });
    }
  }
  if (verified.size === 0) throw new Error('The note has no signature by a known key.');
  return { text, verified: [...verified.values()], unknown: [...unknown.values()] };
}

function signatureHolds(key, text, signature, time) {
  if (key.type === TYPE_ED25519) return verifyEd25519(key.publicKey, UTF8.encode(text), signature);
  return time !== undefined && verifyEd25519(key.publicKey, cosignedMessage(text, time), signature.subarray(8));
}

function cosignedMessage(text, time) {
  return UTF8.encode(`cosignature/v1\ntime ${time}\n${text}`);
}

function cosignatureTime(signature) {
  if (signature.length !== 72) return undefined;
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0));
  return Number.isSafeInteger(time) ? time : undefined;
}

function requireNoteText(text) {
  if (LONE_SURROGATE.test(text)) throw new Error('The note is not valid Unicode.');
  if (CONTROL.test(text)) throw new Error('The note has a control character.');
}

function strictBase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  if (btoa(binary) !== text) return null;
  const bytes = allocate(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}


function checkpointText({ origin, size, root }) {
  if (origin === '' || origin.includes('\n')) throw new Error('An origin is one line.');
  if (!Number.isSafeInteger(size) || size < 0) throw new Error('The size of a log is a whole number.');
  if (root.length !== HASH_SIZE) throw new Error('A hash has 32 bytes.');
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

function parseCheckpoint(text) {
  const [origin, size, encoded, ...extensions] = text.split('\n');
  if (!origin || size === undefined || encoded === undefined || extensions.pop() !== '' || extensions.includes('')) {
    throw new Error('The checkpoint does not have the lines origin, size and root.');
  }
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new Error('The size of the checkpoint is not a whole number without leading zeroes.');
  }
  const root = strictBase64(encoded);
  if (root?.length !== HASH_SIZE) throw new Error('The root of the checkpoint is not the base64 form of 32 bytes.');
  return { origin, size: Number(size), root };
}

return { TYPE_ED25519, TYPE_COSIGNATURE, keyId, vkey, parseVkey, signNote, signatureLine, splitNote, linesBy, verifyNote, cosignedMessage, strictBase64, checkpointText, parseCheckpoint };
})();

// policy.mjs
// prettier-ignore
const $policy = (() => {
const { toBase64 } = $bytes;
const { parseCheckpoint, parseVkey, splitNote, TYPE_COSIGNATURE, TYPE_ED25519, verifyNote } = $note;







const NONE = 'none';
const MOST_LINES = 10_000;

function parsePolicy(text) {
  const reading = new Reading();
  const lines = text.split('\n');
  if (lines.length > MOST_LINES) throw new Error(`The policy has more than ${MOST_LINES} lines.`);
  lines.forEach((line, at) => {
    try {
      reading.line(line);
    } catch (error) {
      throw new Error(`Line ${at + 1} of the policy: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  });
  const { logs, witnesses, groups, quorum } = reading;
  if (quorum === null) throw new Error('The policy has no quorum line; write "quorum none" to demand no witness.');
  return { logs, witnesses, groups, quorum };
}

class Reading {
  constructor() {
    this.logs = [];
    this.witnesses = [];
    this.groups = [];
    this.quorum = null;
    this.names = new Set([NONE]);
    this.members = new Set();
  }

  line(line) {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw new Error('There is a control character.');
    const [word, ...rest] = line.split(/[ \t]+/).filter((item) => item !== '');
    if (word === undefined || word.startsWith('#')) return;
    if (word === 'log') this.#log(rest);
    else if (word === 'witness') this.#witness(rest);
    else if (word === 'group') this.#group(rest);
    else if (word === 'quorum') this.#quorum(rest);
    else throw new Error(`"${word}" is not log, witness, group or quorum.`);
  }

  #log([vkey, url, ...surplus]) {
    if (vkey === undefined || surplus.length > 0) throw new Error('Write "log <vkey> [<url>]".');
    const key = keyOf(vkey, TYPE_ED25519, 'a log');
    if (this.logs.some((other) => sameKey(other.key, key))) throw new Error('The key of this log is listed twice.');
    this.logs.push({ vkey, key, url: url ?? null });
  }

  #witness([name, vkey, url, ...surplus]) {
    if (name === undefined || vkey === undefined || surplus.length > 0) {
      throw new Error('Write "witness <name> <vkey> [<url>]".');
    }
    const key = keyOf(vkey, TYPE_COSIGNATURE, 'a witness');
    if (this.witnesses.some((other) => sameKey(other.key, key))) {
      throw new Error('The key of this witness is listed twice.');
    }
    this.#define(name);
    this.witnesses.push({ name, vkey, key, url: url ?? null });
  }

  #group([name, count, ...members]) {
    if (name === undefined || count === undefined || members.length === 0) {
      throw new Error('Write "group <name> <k|any|all> <names…>".');
    }
    const threshold = thresholdOf(count, members.length);
    for (const member of members) {
      this.#requireDefined(member);
      if (this.members.has(member)) throw new Error(`"${member}" is a member of a group already.`);
      this.members.add(member);
    }
    this.#define(name);
    this.groups.push({ name, threshold, members });
  }

  #quorum([name, ...surplus]) {
    if (name === undefined || surplus.length > 0) throw new Error('Write "quorum <name>" or "quorum none".');
    if (this.quorum !== null) throw new Error('There is a quorum line already.');
    if (name !== NONE) this.#requireDefined(name);
    this.quorum = name;
  }

  #define(name) {
    if (this.names.has(name)) throw new Error(`The name "${name}" is taken.`);
    this.names.add(name);
  }

  #requireDefined(name) {
    if (name === NONE || !this.names.has(name)) throw new Error(`No line above defines "${name}".`);
  }
}

function keyOf(vkey, type, whose) {
  const key = parseVkey(vkey);
  if (key.type !== type) throw new Error(`The key is not the key of ${whose}: its type is not 0x0${type}.`);
  return key;
}

function sameKey(a, b) {
  return toBase64(a.publicKey) === toBase64(b.publicKey);
}

function thresholdOf(count, members) {
  if (count === 'any') return 1;
  if (count === 'all') return members;
  const threshold = /^[1-9][0-9]{0,5}$/.test(count) ? Number(count) : NaN;
  if (!(threshold <= members)) throw new Error(`A group of ${members} is any, all, or a number from 1 to ${members}.`);
  return threshold;
}

function satisfies(policy, note) {
  const { origin } = parseCheckpoint(splitNote(note).text);
  const vkeys = [...policy.logs, ...policy.witnesses].map(({ vkey }) => vkey);
  const holding = signatures(note, vkeys);
  const signed = (key) =>
    holding.find(({ name, keyId }) => name === key.name && keyId === key.keyId);
  const verified = policy.witnesses.flatMap(({ name, key }) => {
    const { time } = signed(key) ?? {};
    return time === undefined ? [] : [{ name, keyName: key.name, keyId: key.keyId, time }];
  });
  const latestTime = verified.length === 0 ? null : Math.max(...verified.map(({ time }) => time));
  const byLog = policy.logs.length === 0 || policy.logs.some(({ key }) => key.name === origin && signed(key));
  const quorum = new Quorum(policy, new Set(verified.map(({ name }) => name)));
  const enough = quorum.has(policy.quorum);
  const missing = enough ? [] : quorum.missing(policy.quorum);
  let problem = null;
  if (!byLog) problem = 'The checkpoint is not signed by a log of the policy.';
  else if (!enough) problem = `The checkpoint lacks cosignatures: ${quorum.lack(policy.quorum)}.`;
  return { ok: byLog && enough, missing, problem, verified, latestTime };
}

function signatures(note, vkeys) {
  const known = vkeys.map(parseVkey);
  const present = splitNote(note).signatures.some(({ name, keyId }) =>
    known.some((key) => key.name === name && key.keyId === keyId),
  );
  return present ? verifyNote(note, vkeys).verified : [];
}

class Quorum {
  constructor({ groups }, cosigned) {
    this.groups = new Map(groups.map((group) => [group.name, group]));
    this.cosigned = cosigned;
  }

  has(name) {
    const group = this.groups.get(name);
    if (group === undefined) return name === NONE || this.cosigned.has(name);
    return group.members.filter((member) => this.has(member)).length >= group.threshold;
  }

  missing(name) {
    const group = this.groups.get(name);
    if (group !== undefined) return group.members.flatMap((member) => this.missing(member));
    return this.has(name) ? [] : [name];
  }

  lack(name) {
    const group = this.groups.get(name);
    if (group === undefined) return `${name} has not cosigned`;
    const open = group.members.filter((member) => !this.has(member));
    const count = group.members.length - open.length;
    return `${name} has ${count} of ${group.threshold} (${open.map((member) => this.lack(member)).join('; ')})`;
  }
}

return { parsePolicy, satisfies };
})();

// writers.mjs
// prettier-ignore
const $writers = (() => {
const GAP_GRACE_MILLISECONDS = 60_000;




class Numbering {
  constructor({ highest, latest, gaps }) {
    this.highest = highest;
    this.latest = latest;
    this.gaps = gaps;
  }

  take(number, index, time) {
    if (time > this.latest) this.latest = time;
    if (number > this.highest) {
      if (number > this.highest + 1) this.gaps.push({ from: this.highest + 1, to: number - 1, index, time });
      this.highest = number;
      return true;
    }
    const at = this.gaps.findIndex((gap) => gap.from <= number && number <= gap.to);
    const gap = this.gaps[at];
    if (gap === undefined) return false;
    const pieces = [
      { ...gap, to: number - 1 },
      { ...gap, from: number + 1 },
    ];
    this.gaps.splice(at, 1, ...pieces.filter((piece) => piece.from <= piece.to));
    return true;
  }
}

class WriterNumbers {
  constructor(states = []) {
    this.writers = new Map(states.map(([writer, state]) => [writer, new Numbering(state)]));
  }

  of(writer) {
    let numbering = this.writers.get(writer);
    if (numbering === undefined) {
      this.writers.set(writer, (numbering = new Numbering({ highest: 0, latest: -Infinity, gaps: [] })));
    }
    return numbering;
  }

  openGaps() {
    return [...this.writers].flatMap(([writer, { latest, gaps }]) =>
      gaps.map((gap) => ({ ...gap, writer, settled: latest - gap.time > GAP_GRACE_MILLISECONDS })),
    );
  }

  states() {
    return [...this.writers].map(([writer, { highest, latest, gaps }]) => [writer, { highest, latest, gaps }]);
  }
}

return { GAP_GRACE_MILLISECONDS, WriterNumbers };
})();

// records.mjs
// prettier-ignore
const $records = (() => {
const { DetailChecks } = $details;
const { NOTABLE } = $inspection;
const { MacChecks } = $mac;
const { readRecord } = $record;
const { Starts } = $starts;
const { GAP_GRACE_MILLISECONDS, WriterNumbers } = $writers;


const CLOCK_TOLERANCE_MILLISECONDS = 300_000;
const PRUNE = /^prune:(0|[1-9][0-9]{0,14})$/;


class RecordChecks {
  constructor(findings, options, state) {
    this.findings = findings;
    this.options = options;
    this.starts = new Starts(findings, state?.starts);
    this.numbers = new WriterNumbers(state?.writers);
    this.registers = state?.registers ?? false;
    this.macs = new MacChecks(findings, options.keys, state?.commitments);
    this.details = new DetailChecks(findings);
    this.latest = state?.latest ?? { time: -Infinity, index: -1 };
    this.afterPrune = state?.afterPrune ?? null;
    this.unreadable = 0;
    this.prunedFrom = 0;
    this.prunedTo = 0;
    this.declaredPrune = 0;
    this.count = 0;
  }

  get checked() {
    return { records: this.count, macs: this.macs.checked, details: this.details.checked };
  }

  state() {
    return {
      starts: this.starts.state(),
      writers: this.numbers.states(),
      registers: this.registers,
      commitments: [...this.macs.commitments],
      latest: this.latest.index < 0 ? null : this.latest,
      afterPrune: this.afterPrune,
    };
  }

  take(index, bytes, mac, detail) {
    if (!this.options.records) return;
    const { record, problem } = readRecord(bytes);
    if (record === null) {
      this.unreadable += 1;
      this.findings.fault({ index, class: 'record', expected: null, found: null, message: problem });
      if (index === 0) this.starts.fault(index, 'a valid START record', 'none', 'The log does not begin with START.');
      return;
    }
    this.#record(index, record);
    this.macs.take(index, record.writer, bytes, mac);
    if (this.options.details) this.details.take(index, record, detail);
    else if (record.sealed !== undefined) this.details.unasked += 1;
  }

  accepts({ log, incarnation, notable }) {
    if (!this.options.records) return true;
    const { starts } = this;
    const begins = starts.incarnation === null;
    if (notable.some(({ at, record }) => record.kind === 'START' && !(begins && at === 0))) return false;
    if (incarnation === 0) return true;
    if (!begins) return starts.log === log && starts.incarnation === incarnation;
    return notable.every(({ record }) => record.log === log && record.incarnation === incarnation);
  }

  takeBundle(first, { log, incarnation, writers, who, numbers, times, notable, macs, details, unasked }) {
    if (!this.options.records) return;
    const numberings = writers.map((writer) => this.numbers.of(writer));
    let next = 0;
    for (let at = 0; at < who.length; at++) {
      const which = (who[at]);
      if (which === NOTABLE) {
        const { record, detailMissing } = (notable[next++]);
        this.#record(first + at, record);
        if (detailMissing) this.details.missing(first + at, record);
        continue;
      }
      const number = (numbers[at]);
      const time = (times[at]);
      if (number === 1) this.#unregistered(first + at, (writers[which]));
      if (!numberings[which]?.take(number, first + at, time)) {
        this.#duplicate(first + at, (writers[which]), number);
      }
      this.#time(first + at, time);
    }
    if (incarnation > 0) {
      this.starts.log ??= log;
      this.starts.incarnation ??= incarnation;
    }
    this.count += who.length - notable.length;
    this.macs.found(macs);
    this.details.checked += details;
    this.details.unasked += unasked;
  }

  pruned(index) {
    if (this.prunedTo === 0) this.prunedFrom = index;
    this.prunedTo = index + 1;
  }

  witnessed(seconds) {
    const { time, index } = this.latest;
    if (seconds === null || time <= seconds * 1000 + CLOCK_TOLERANCE_MILLISECONDS) return;
    const message = 'The time of the record lies more than 5 minutes after a witness signed a checkpoint over it.';
    this.findings.warn({ index, class: 'time', message });
  }

  finish(origin) {
    this.starts.finish(origin);
    this.#gaps();
    this.details.finish();
    if (this.prunedTo === 0) return;
    const [index, last] = [this.prunedFrom, this.prunedTo - 1];
    if (this.declaredPrune > last || !this.options.records) {
      const message = `The entries ${index} to ${last} were pruned; their leaf hashes stand in the tree.`;
      this.findings.warn({ index, class: 'pruned', message });
    } else {
      const message = 'The entries are missing, and no ARCHIVE record declares that they were pruned.';
      this.findings.fault({ index, last, class: 'missing-entry', expected: null, found: null, message });
    }
  }

  #record(index, record) {
    this.count += 1;
    this.starts.take(index, record);
    const { writer, number, commitment } = record;
    if (commitment !== undefined) {
      if (index === 0 || this.prunedTo > 0) this.registers = true;
      this.macs.registered(index, writer, commitment);
    }
    if (number === 1 && commitment === undefined) this.#unregistered(index, writer);
    if (number !== 1 && record.kind === 'WRITER') {
      const message = `Writer ${writer} registers with number ${number}; that is the place of number 1.`;
      this.findings.fault({ index, class: 'writer-unregistered', expected: '1', found: `${number}`, message });
    }
    const time = Date.parse(record.time);
    if (!this.numbers.of(writer).take(number, index, time)) this.#duplicate(index, writer, number);
    this.#time(index, time);
    const { kind, outcome } = record;
    if (kind === 'ERASE' && outcome === 'success') this.details.erased(record);
    if (kind !== 'ARCHIVE' || outcome !== 'success') return;
    const declared = Number(PRUNE.exec(record.detail?.key ?? '')?.[1] ?? 0);
    // Nobody can have removed what came later.
    if (declared <= index) this.declaredPrune = Math.max(this.declaredPrune, declared);
  }

  #unregistered(index, writer) {
    if (!this.registers) return;
    const message = `Writer ${writer} did not register: its number 1 is no WRITER record.`;
    this.findings.fault({ index, class: 'writer-unregistered', expected: null, found: null, message });
  }

  #duplicate(index, writer, number) {
    const message = `Writer ${writer} used number ${number} before.`;
    this.findings.fault({ index, class: 'writer-duplicate', expected: null, found: `${number}`, message });
  }

  #time(index, time) {
    const { latest } = this;
    if (latest.index < this.prunedTo && this.prunedTo > 0) this.afterPrune ??= time;
    if (time > latest.time) this.latest = { time, index };
    else if (time < latest.time - CLOCK_TOLERANCE_MILLISECONDS) {
      const message = 'The time of the record lies more than 5 minutes before that of an earlier entry.';
      this.findings.warn({ index, class: 'time', message });
    }
  }

  #gaps() {
    const gaps = this.numbers.openGaps().filter((gap) => !this.#mayBePruned(gap));
    const missing = gaps.reduce((sum, gap) => sum + gap.to - gap.from + 1, 0);
    // Where entries are unreadable, their numbers are missing too: that is one fault, and it is reported already.
    const explained = missing <= this.unreadable;
    for (const { writer, from, to, index, settled } of gaps.sort((a, b) => a.index - b.index)) {
      const numbers = from === to ? `number ${from}` : `numbers ${from} to ${to}`;
      if (settled && !explained) {
        const message = `Writer ${writer} left out ${numbers}.`;
        this.findings.fault({ index, class: 'writer-gap', expected: `${from}`, found: `${to + 1}`, message });
      } else {
        const reason = explained
          ? 'as many entries cannot be read'
          : 'the log or the writer ends within a minute of it';
        this.findings.warn({ index, class: 'gap', message: `Writer ${writer} lacks ${numbers}; ${reason}.` });
      }
    }
  }

  #mayBePruned({ from, time }) {
    return this.afterPrune !== null && (from === 1 || time - this.afterPrune <= GAP_GRACE_MILLISECONDS);
  }
}

return { RecordChecks };
})();

// report.mjs
// prettier-ignore
const $report = (() => {
const { toBase64 } = $bytes;





const MOST_LISTED = 1_000;

const OF_THE_RECORD = new Set([
  'record',
  'start',
  'writer-gap',
  'writer-duplicate',
  'writer-unregistered',
  'mac',
  'detail',
]);

class Findings {
  constructor() {
    this.faults = [];
    this.warnings = [];
    this.faultCount = 0;
    this.warningCount = 0;
  }

  fault(fault) {
    this.faultCount += 1;
    if (this.faults.length < MOST_LISTED) this.faults.push(fault);
    return fault;
  }

  warn(warning) {
    this.warningCount += 1;
    if (this.warnings.length < MOST_LISTED) this.warnings.push(warning);
  }

  report({ origin, size, root, verified }, checked = { entries: 0, records: 0, macs: 0, details: 0 }) {
    const faults = this.faults.sort((a, b) => (a.index ?? Infinity) - (b.index ?? Infinity) || 0);
    const indexed = faults.filter((fault) => fault.index !== null);
    const first = indexed.find((fault) => !OF_THE_RECORD.has(fault.class)) ?? indexed[0] ?? faults[0];
    return {
      origin,
      size,
      root: root === null ? null : toBase64(root),
      ok: this.faultCount === 0,
      first: first === undefined ? null : { index: first.index, class: first.class },
      faultCount: this.faultCount,
      faults,
      warningCount: this.warningCount,
      warnings: this.warnings,
      verified,
      checked,
    };
  }
}

function renderReport(report) {
  const lines = report.warnings.map((warning) => `warning ${warning.class} ${place(warning)}: ${warning.message}`);
  for (const fault of report.faults) {
    lines.push(`fault ${fault.class} ${place(fault)}: ${fault.message}`);
    if (fault.expected !== null) lines.push(`  expected ${fault.expected}`);
    if (fault.found !== null) lines.push(`  found    ${fault.found}`);
  }
  const unlisted = report.faultCount - report.faults.length + report.warningCount - report.warnings.length;
  if (unlisted > 0) lines.push(`${unlisted} more are not listed`);
  const { entries, records, macs, details } = report.checked;
  if (entries > 0) lines.push(`checked ${entries} entries, ${records} records, ${macs} MACs, ${details} details`);
  if (report.proven !== undefined) {
    const { index, latestTime } = report.proven;
    const seen = latestTime === null ? '' : `, cosigned at ${new Date(latestTime * 1000).toISOString()}`;
    lines.push(`entry ${index} of ${report.size}${seen}`);
  }
  if (report.root !== null) lines.push(`root ${report.root}`);
  const origin = report.origin ?? '-';
  if (report.first === null) lines.push(`OK ${origin} ${report.size}`);
  else lines.push(`BAD ${origin} ${report.first.index ?? '-'} ${report.first.class}`);
  return lines.join('\n') + '\n';
}

function place({ index, last }) {
  if (index === null) return '-';
  return last === undefined || last === index ? `${index}` : `${index}-${last}`;
}

return { Findings, renderReport };
})();

// trust.mjs
// prettier-ignore
const $trust = (() => {
const { parseCheckpoint, parseVkey, splitNote, TYPE_ED25519, verifyNote } = $note;
const { satisfies } = $policy;



function keysIn(text) {
  return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

async function keysOf(source, given, policy, findings) {
  const listed = [...(policy?.logs ?? []), ...(policy?.witnesses ?? [])].map(({ vkey }) => vkey);
  const vkeys = [...(given ?? []), ...listed];
  if (given === undefined && (policy?.logs ?? []).length === 0) {
    const message = 'The key comes with the log itself, so its signature shows no origin: give the key with --vkey.';
    findings.warn({ index: null, class: 'key', message });
    vkeys.unshift(...keysIn((await source.text('log.vkey')) ?? ''));
  }
  return { vkeys, name: vkeys[0]?.split('+')[0] ?? null };
}

function openCheckpoint(note, { vkeys }, what, findings) {
  let checkpoint = null;
  try {
    if (note === null) throw new Error('It is missing or not text.');
    checkpoint = { ...parseCheckpoint(splitNote(note).text), witnessed: null };
    const { origin } = checkpoint;
    const { verified } = verifyNote(note, vkeys);
    const own = vkeys.map(parseVkey).filter((key) => key.name === origin && key.type === TYPE_ED25519);
    if (!own.some((key) => verified.some(({ name, keyId }) => name === key.name && keyId === key.keyId))) {
      throw new Error('It is not signed by the key of its origin.');
    }
    const times = verified.flatMap(({ time }) => (time === undefined ? [] : [time]));
    if (times.length > 0) checkpoint.witnessed = Math.max(...times);
    return { checkpoint, verified: verified.map(({ name, keyId }) => `${name}+${keyId}`) };
  } catch (error) {
    const message = `${what} cannot be relied on. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'signature', expected: null, found: null, message });
    return { checkpoint, verified: [] };
  }
}

function requireQuorum(policy, note, findings) {
  try {
    const { ok, missing, problem, verified } = satisfies(policy, note);
    if (ok) return;
    const found = verified.map(({ name }) => name).join(' ') || 'none';
    const values = { expected: policy.quorum, found, message: problem ?? 'The checkpoint lacks its quorum.' };
    findings.fault({ index: null, class: missing.length > 0 ? 'quorum' : 'signature', ...values });
  } catch (error) {
    const message = `The quorum cannot be told. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'quorum', expected: policy.quorum, found: null, message });
  }
}

return { keysIn, keysOf, openCheckpoint, requireQuorum };
})();

// walk.mjs
// prettier-ignore
const $walk = (() => {
const { hasBytesAt, toHex: hex } = $bytes;
const { HASH_SIZE } = $browser_hash;
const { leafHash } = $merkle;
const { TILE_WIDTH, TileWriter } = $tiles;



const NO_HASH = new Uint8Array(HASH_SIZE);

class Walk {
  constructor(findings, records, { tree, leaf } = { tree: new TileWriter(), leaf: NO_HASH }) {
    this.findings = findings;
    this.records = records;
    this.stored = tree;
    this.computed = undefined;
    this.holes = false;
    this.faulty = new Set();
    this.changed = [];
    this.previous = { computed: leaf, stored: leaf, fault: null };
  }

  get size() {
    return this.stored.size;
  }

  accepts(bundle) {
    const { previous, records } = this;
    const aligned = this.size % TILE_WIDTH === 0 && !this.holes;
    const joins = previous.fault === null && !differs(previous) && sameBytes(bundle.previous, previous.stored);
    return aligned && joins && records.accepts(bundle);
  }

  takeBundle(bundle) {
    this.records.takeBundle(this.size, bundle);
    this.previous = { computed: bundle.last, stored: bundle.last, fault: null };
    this.computed?.appendTile(bundle.root);
    return this.stored.appendTile(bundle.root);
  }

  takePruned(stored) {
    const index = this.size;
    this.records.pruned(index);
    if (stored === undefined && !this.holes) {
      this.holes = true;
      const message = 'The leaf hash of a pruned entry is missing.';
      this.#fault({ index, class: 'tile', expected: null, found: null, message });
    }
    return this.#append({ computed: undefined, stored, fault: null });
  }

  take(entry, tile, mac, detail) {
    const index = this.size;
    const hash = tile?.[index % TILE_WIDTH];
    const stored = hash === undefined || sameBytes(hash, NO_HASH) ? undefined : hash;
    if (entry === undefined || entry.length === 0) return this.#missing(index, stored);
    const computed = leafHash(entry);
    if (tile !== null && stored === undefined) {
      this.#fault({ index, class: 'tile', expected: hex(computed), found: null, message: 'The leaf hash is missing.' });
    }
    const fault =
      stored === undefined || sameBytes(computed, stored)
        ? this.#unchanged(index, entry, computed)
        : this.#changed(index, entry, computed, stored, (tile));
    if (fault?.class === 'leaf') this.records.unreadable += 1;
    else this.records.take(index, entry.subarray(HASH_SIZE), mac, detail);
    return this.#append({ computed, stored: stored ?? computed, fault });
  }

  missingRest(size) {
    const index = this.size;
    this.#missing(index, undefined);
    if (this.previous.fault !== null) this.previous.fault.last = size - 1;
    this.records.unreadable += size - 1 - index;
  }

  finish(root) {
    if (this.holes) return;
    const stored = this.stored.tree().root();
    if (sameBytes(stored, root)) return;
    if (sameBytes(this.computed?.tree().root(), root)) {
      for (const fault of this.changed) if (fault.class === 'leaf') retractToTile(fault);
      return;
    }
    const message = 'The tree over the entries does not have the root that the checkpoint signs.';
    this.findings.fault({ index: null, class: 'root', expected: hex(root), found: hex(stored), message });
  }

  hasRoot(root) {
    if (this.holes) return null;
    return sameBytes(this.stored.tree().root(), root) || sameBytes(this.computed?.tree().root(), root);
  }

  faultyWithin(first, last) {
    const [from, to] = [Math.floor(first / TILE_WIDTH), Math.floor(last / TILE_WIDTH)];
    for (const number of this.faulty) if (from <= number && number <= to) return true;
    return false;
  }

  #missing(index, stored) {
    this.records.unreadable += 1;
    this.faulty.add(Math.floor(index / TILE_WIDTH));
    const expected = stored === undefined ? null : hex(stored);
    const message = 'The entry is missing.';
    const fault =
      this.previous.fault?.class === 'missing-entry'
        ? this.previous.fault
        : this.#fault({ index, class: 'missing-entry', expected, found: null, message });
    fault.last = index;
    this.holes ||= stored === undefined;
    return this.#append({ computed: undefined, stored, fault });
  }

  #unchanged(index, entry, computed) {
    const { previous } = this;
    const claimed = entry.subarray(0, HASH_SIZE);
    if (sameBytes(claimed, previous.computed)) {
      // The chain confirms the entry before against its stored leaf, so it was the stored leaf that was changed.
      if (previous.fault?.class === 'leaf') retractToTile(previous.fault);
      return null;
    }
    if (!this.#breaksChain(claimed)) return null;
    const message = 'The entry does not follow the one before: an entry was deleted, inserted or moved here.';
    const expected = hex(previous.stored ?? computed);
    return this.#fault({ index, class: 'chain', expected, found: hex(claimed), message });
  }

  #changed(index, entry, computed, stored, tile) {
    const { previous } = this;
    const claimed = entry.subarray(0, HASH_SIZE);
    this.faulty.add(Math.floor(index / TILE_WIDTH));
    if (previous.fault !== null && differs(previous) && sameBytes(claimed, previous.computed)) {
      // The entries go on consistently among themselves: the same run beside the stored leaves.
      previous.fault.last = index;
      return previous.fault;
    }
    const difference = { index, expected: hex(stored), found: hex(computed) };
    const at = this.#breaksChain(claimed) ? tile.findIndex((hash) => sameBytes(hash, computed)) : -1;
    if (at >= 0) {
      const home = index - (index % TILE_WIDTH) + at;
      const message = `The entry of index ${home} stands here: an entry was deleted, inserted or moved.`;
      return this.#fault({ ...difference, class: 'chain', message });
    }
    const message = 'The entry does not have the leaf hash that is stored for it: the entry was changed.';
    const fault = this.#fault({ ...difference, class: 'leaf', message });
    this.changed.push(fault);
    return fault;
  }

  #breaksChain(claimed) {
    const { computed, stored } = this.previous;
    if (computed === undefined && stored === undefined) return false;
    return !sameBytes(claimed, computed) && !sameBytes(claimed, stored);
  }

  #append(entry) {
    const { computed, stored } = entry;
    if (this.computed === undefined && differs(entry)) this.computed = this.stored.clone();
    this.computed?.append(computed ?? stored ?? NO_HASH);
    this.previous = entry;
    return this.stored.append(stored ?? computed ?? NO_HASH);
  }

  #fault(fault) {
    if (fault.index !== null) this.faulty.add(Math.floor(fault.index / TILE_WIDTH));
    return this.findings.fault(fault);
  }
}

function differs({ computed, stored }) {
  return computed !== undefined && stored !== undefined && !sameBytes(computed, stored);
}

function retractToTile(fault) {
  fault.class = 'tile';
  fault.message = 'The stored leaf hash was changed: the entry itself is confirmed by what follows it.';
  [fault.expected, fault.found] = [fault.found, fault.expected];
}

function sameBytes(left, right) {
  return left !== undefined && left.length === right?.length && hasBytesAt(left, 0, right);
}

return { Walk };
})();

// verification.mjs
// prettier-ignore
const $verification = (() => {
const { InlineInspections, walkBundles } = $bundles;
const { toHex } = $bytes;
const { restore, save } = $incremental;
const { KeptCheckpoints } = $kept;
const { parseWriterKeys } = $mac;
const { parsePolicy } = $policy;
const { RecordChecks } = $records;
const { Findings } = $report;
const { MissingTile, TiledTree } = $roots;
const { keysOf, openCheckpoint, requireQuorum } = $trust;
const { Walk } = $walk;




const inline = (source, size, _, options) => new InlineInspections(source, size, options);

async function verifySource(source, options = {}, start = inline) {
  if (options.hashesOnly && options.state) throw new Error('An incremental verification needs the records.');
  const findings = new Findings();
  const policy = options.policy === undefined ? null : parsePolicy(options.policy);
  const trust = await keysOf(source, options.vkeys, policy, findings);
  const note = await source.text('checkpoint');
  const { checkpoint, verified } = openCheckpoint(note, trust, 'The checkpoint', findings);
  if (policy !== null && note !== null && checkpoint !== null) requireQuorum(policy, note, findings);
  if (checkpoint === null) {
    return findings.report({ origin: trust.name, size: null, root: null, verified });
  }
  const kept = (options.checkpoints ?? [])
    .map((older) => openCheckpoint(older, trust, 'A kept checkpoint', findings).checkpoint)
    .filter((older) => older !== null);
  const { size } = checkpoint;
  const earlier = options.state === undefined ? null : await restore(options.state, source, checkpoint, findings);
  if (earlier?.ok === false) return findings.report({ ...checkpoint, verified });

  const inspection = await inspectionOf(source, options, findings);
  const records = new RecordChecks(findings, inspection, earlier?.records);
  const walk = new Walk(findings, records, earlier?.start);
  const from = walk.size;
  const older = new KeptCheckpoints(kept, checkpoint, findings);
  const tree = new TiledTree(source, size);
  await older.compareBefore(walk, tree);
  const inspections = start(source, size, from, inspection);
  try {
    const minimum = minimumOf(await source.text('minimum'));
    const { progress } = options;
    const journey = { source, size, minimum, options: inspection, walk, findings, kept: older, inspections, progress };
    await walkBundles(journey);
  } finally {
    await inspections.close();
  }
  walk.finish(checkpoint.root);
  records.witnessed(checkpoint.witnessed);
  records.finish(checkpoint.origin);
  older.finish(records.starts);
  const { unasked } = records.details;
  if (unasked > 0) {
    const message = `${unasked} records name sealed details, which were not looked at.`;
    findings.warn({ index: null, class: 'detail', message });
  }
  if (findings.faultCount === 0) await compareReplaced(records, tree, from, findings);
  const report = findings.report({ ...checkpoint, verified }, { entries: walk.size - from, ...records.checked });
  if (options.state !== undefined && report.ok) await save(options.state, checkpoint, walk, records);
  return report;
}

async function inspectionOf(source, { hashesOnly = false, withoutDetails = false, writerKeys = '' }, findings) {
  if (hashesOnly) {
    const message = 'Only hashes were checked: not what the records say, nor their numbers, MACs and details.';
    findings.warn({ index: null, class: 'hashes-only', message });
    return { records: false, details: false, keys: new Map() };
  }
  const own = parseWriterKeys(writerKeys);
  const released = (await source.text('writer.keys')) ?? '';
  const details = !withoutDetails && (await source.hasDetails());
  try {
    return { records: true, details, keys: new Map([...parseWriterKeys(released), ...own]) };
  } catch (error) {
    const message = `The log's file writer.keys cannot be read. ${error instanceof Error ? error.message : ''}`.trim();
    findings.fault({ index: null, class: 'mac', expected: null, found: null, message });
    return { records: true, details, keys: own };
  }
}

async function compareReplaced({ starts }, tree, from, findings) {
  for (const { index, replaces } of starts.starts) {
    if (replaces === null || index < from || replaces.size > index) continue;
    const found = await tree.rootAt(replaces.size).then(toHex, (error) => {
      if (error instanceof MissingTile) return null;
      throw error;
    });
    if (found === replaces.root) continue;
    const message = `The log did not have the root at size ${replaces.size} that START says it replaces.`;
    findings.fault({ index, class: 'consistency', expected: replaces.root, found, message });
  }
}

function minimumOf(text) {
  return /^(0|[1-9][0-9]{0,14})\n?$/.test(text ?? '') ? Number(text) : 0;
}

return { verifySource };
})();

// proof.mjs
// prettier-ignore
const $proof = (() => {
const { toBase64 } = $bytes;
const { encodeEntry, ZERO_LEAF } = $entry;
const { HASH_SIZE } = $browser_hash;
const { leafHash, verifyInclusion } = $merkle;
const { parseCheckpoint, parseVkey, splitNote, strictBase64, TYPE_ED25519, verifyNote } = $note;
const { parsePolicy, satisfies } = $policy;


const HEADER = 'c2sp.org/tlog-proof@v1';
const MOST_HASHES = 63;



function formatProof({ index, extra = null, hashes, note }) {
  const lines = [HEADER, ...(extra === null ? [] : [`extra ${toBase64(extra)}`]), `index ${index}`];
  return [...lines, ...hashes.map(toBase64), '', note].join('\n');
}

function parseProof(text) {
  const end = text.indexOf('\n\n');
  if (!text.startsWith(`${HEADER}\n`) || end < 0) throw new Error(`The proof does not begin with ${HEADER}.`);
  const lines = text.slice(HEADER.length + 1, end).split('\n');
  const first = lines[0] ?? '';
  const extra = first.startsWith('extra ') ? bytesOf(first.slice('extra '.length), 'The extra line') : null;
  const [indexLine = '', ...encoded] = extra === null ? lines : lines.slice(1);
  const [, digits] = /^index (0|[1-9][0-9]*)$/.exec(indexLine) ?? [];
  const index = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(index)) throw new Error('The proof has no index line.');
  if (encoded.length > MOST_HASHES) throw new Error(`The proof has more than ${MOST_HASHES} hashes.`);
  const hashes = encoded.map((line) => bytesOf(line, 'A hash of the proof'));
  if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash of the proof has not 32 bytes.');
  return { index, extra, hashes, note: text.slice(end + 2) };
}

function bytesOf(text, what) {
  const bytes = strictBase64(text);
  if (bytes === null) throw new Error(`${what} is not base64.`);
  return bytes;
}

function verifyProof(text, content, { vkeys = [], policy }) {
  const proof = parseProof(text);
  const checkpoint = parseCheckpoint(splitNote(proof.note).text);
  const { verified, latestTime } = openSigned(proof.note, checkpoint.origin, vkeys, policy);
  const entry = 'entry' in content ? content.entry : encodeEntry(previousLeaf(proof), content.record);
  const { index, hashes } = proof;
  const leaf = leafHash(entry);
  verifyInclusion({ index, size: checkpoint.size, leafHash: leaf, proof: hashes, root: checkpoint.root });
  return { origin: checkpoint.origin, size: checkpoint.size, index, leaf, verified, latestTime };
}

function openSigned(note, origin, vkeys, policyOrText) {
  const policy = typeof policyOrText === 'string' ? parsePolicy(policyOrText) : policyOrText;
  const all = [...vkeys, ...(policy?.logs ?? []).map(({ vkey }) => vkey)];
  const own = all.map(parseVkey).filter((key) => key.name === origin && key.type === TYPE_ED25519);
  const { verified } = verifyNote(note, [...all, ...(policy?.witnesses ?? []).map(({ vkey }) => vkey)]);
  if (!own.some((key) => verified.some(({ name, keyId }) => name === key.name && keyId === key.keyId))) {
    throw new Error('The checkpoint of the proof is not signed by the key of its origin.');
  }
  const verdict = policy === undefined ? null : satisfies(policy, note);
  if (verdict !== null && !verdict.ok)
    throw new Error(verdict.problem ?? 'The checkpoint is not as the policy demands.');
  const times = verified.flatMap(({ time }) => (time === undefined ? [] : [time]));
  const latestTime = times.length === 0 ? null : Math.max(...times);
  return { verified: verified.map(({ name, keyId }) => `${name}+${keyId}`), latestTime };
}

function previousLeaf({ index, extra, hashes }) {
  if (index === 0) return ZERO_LEAF;
  if (extra !== null) {
    if (extra.length !== HASH_SIZE) throw new Error('The extra line is not the leaf hash of the entry before.');
    return extra;
  }
  // An odd entry's sibling is the entry before it.
  const sibling = index % 2 === 1 ? hashes[0] : undefined;
  if (sibling === undefined)
    throw new Error('The proof lacks the leaf hash of the entry before: give the whole entry.');
  return sibling;
}

return { formatProof, parseProof, verifyProof };
})();

// browser.mjs
// prettier-ignore
const $browser = (() => {
const { FileSource, HttpLog } = $source;
const { verifySource } = $verification;

const { verifyConsistency, verifyInclusion } = $merkle;
const { parseProof, verifyProof } = $proof;
const { renderReport } = $report;



class PageLog extends FileSource {
  constructor(files) {
    super();
    this.files = files;
  }

  async read(path) {
    const file = this.files.get(path);
    return file === undefined ? null : new Uint8Array(await file.arrayBuffer());
  }

  widths(path) {
    const names = this.#below(`${path}.p/`).filter((name) => /^[1-9][0-9]{0,2}$/.test(name));
    return Promise.resolve(names.map(Number));
  }

  highestBundle() {
    const numbers = this.#below('tile/entries/').map((path) => {
      const [, digits] = /^((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/[0-9]+)?$/.exec(path) ?? [];
      return digits === undefined ? -1 : Number(digits.replace(/[x/]/g, ''));
    });
    return Promise.resolve(Math.max(-1, ...numbers));
  }

  hasDetails() {
    return Promise.resolve(this.#below('detail/').length > 0);
  }

  #below(start) {
    return [...this.files.keys()].filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  }
}

function verifyFiles(files, options = {}) {
  const checkpoints = [...files.keys()].filter((path) => path === 'checkpoint' || path.endsWith('/checkpoint'));
  const [shortest = 'checkpoint'] = checkpoints.sort((left, right) => left.length - right.length);
  const root = shortest.slice(0, -'checkpoint'.length);
  const own = [...files].filter(([path]) => path.startsWith(root));
  return verifySource(new PageLog(new Map(own.map(([path, file]) => [path.slice(root.length), file]))), options);
}

function verifyUrl(url, { headers = {}, ...options } = {}) {
  return verifySource(new HttpLog(url, headers), options);
}

return { verifyConsistency, verifyInclusion, parseProof, verifyProof, renderReport, verifyFiles, verifyUrl };
})();

// prettier-ignore
export const { verifyConsistency, verifyInclusion, parseProof, verifyProof, renderReport, verifyFiles, verifyUrl } = $browser;
