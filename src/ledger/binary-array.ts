/**
 * Arrays of one dimension without nulls, as PostgreSQL's array_recv reads them in the binary format of the frontend
 * protocol: dimensions, flags, type of the elements, length, lower bound; then each element with its length before it.
 * The driver sends a Buffer as it is and writes any other array as one long text, which costs several times as much on
 * both sides. The parameter must be cast to the array's type (`$1::bytea[]`).
 */
const HEAD = 20;
const EMPTY_HEAD = 12;
const BYTEA = 17;
const INT8 = 20;
const TEXT = 25;
const TIMESTAMPTZ = 1184;
/** Microseconds from the Unix epoch to 2000-01-01T00:00:00Z, from which PostgreSQL counts. */
const EPOCH_MICROSECONDS = 946_684_800_000_000;
const TWO_32 = 4_294_967_296;

export function byteaArray(items: readonly Buffer[]): Buffer {
  let bytes = 0;
  for (const item of items) bytes += item.length;
  const array = begin(BYTEA, items.length, bytes);
  let at = HEAD;
  for (const item of items) {
    at = array.writeInt32BE(item.length, at);
    at += item.copy(array, at);
  }
  return array;
}

export function textArray(items: readonly string[]): Buffer {
  let bytes = 0;
  for (const item of items) bytes += Buffer.byteLength(item);
  const array = begin(TEXT, items.length, bytes);
  let at = HEAD;
  for (const item of items) {
    const length = array.write(item, at + 4);
    array.writeInt32BE(length, at);
    at += 4 + length;
  }
  return array;
}

/** Safe integers: larger ones lose digits before they come here. */
export function bigintArray(items: readonly number[]): Buffer {
  return eightBytes(INT8, items, 0);
}

/** `timestamptz[]` of whole microseconds since the Unix epoch. */
export function instantArray(microseconds: readonly number[]): Buffer {
  return eightBytes(TIMESTAMPTZ, microseconds, EPOCH_MICROSECONDS);
}

function eightBytes(type: number, items: readonly number[], less: number): Buffer {
  const array = begin(type, items.length, items.length * 8);
  let at = HEAD;
  for (const item of items) {
    const value = item - less;
    at = array.writeInt32BE(8, at);
    at = array.writeInt32BE(Math.floor(value / TWO_32), at);
    at = array.writeUInt32BE(value >>> 0, at);
  }
  return array;
}

function begin(type: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(length === 0 ? EMPTY_HEAD : HEAD + 4 * length + bytes);
  array.writeInt32BE(length === 0 ? 0 : 1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(type, 8);
  if (length === 0) return array;
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}
