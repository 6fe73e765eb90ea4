import { createHmac, type KeyObject } from 'node:crypto';
import { deriveKey } from './derivation.js';
import { INTERNATIONAL } from './suite.js';

/** How many values an index must at least leave to each of its outputs: what an output tells is one of so many. */
const FEWEST_COINCIDENCES = 2;
const LARGEST_BITS = 32;
const HEAD_BYTES = 2;

/**
 * Bits of an index over so many values, so that each output stands for at least two of them: `2 <= values / 2^bits`. More
 * bits would tell one person from another, fewer would only cost time. Throws a RangeError for fewer than 16 values, where
 * any index tells too much.
 */
export function plannedBits(values: number): number {
  if (values < 16) throw new RangeError('An index needs at least 16 values.');
  return Math.min(LARGEST_BITS, Math.floor(Math.log2(values / FEWEST_COINCIDENCES)));
}

/** One version of a tenant's index key, with the keys of its attributes as they are needed. */
export class IndexKey {
  private readonly attributes = new Map<string, KeyObject>();

  constructor(
    readonly keyId: number,
    /** Bits that are kept of each HMAC. */
    readonly bits: number,
    private readonly key: KeyObject,
  ) {}

  /**
   * Equality index of a sealed field: `keyId(2, big-endian)` and the first bits of an HMAC under a key of the tenant and the
   * attribute (`Patient.phone`), in whole bytes. Equal input in two tenants or attributes gives unrelated output.
   */
  indexOf(attribute: string, normalised: string): Buffer {
    const bytes = Math.ceil(this.bits / 8);
    const index = Buffer.alloc(HEAD_BYTES + bytes);
    index.writeUInt16BE(this.keyId);
    this.mac(attribute, normalised).copy(index, HEAD_BYTES, 0, bytes);
    const last = index.length - 1;
    index[last] = (index[last] ?? 0) & (0xff << (bytes * 8 - this.bits));
    return index;
  }

  /** The whole HMAC, from which tokens of parts of a value are cut. */
  mac(attribute: string, text: string): Buffer {
    let key = this.attributes.get(attribute);
    if (key === undefined) {
      key = deriveKey(this.key, 'index', attribute);
      this.attributes.set(attribute, key);
    }
    return createHmac(INTERNATIONAL.hash, key).update(text).digest();
  }
}

/** The version of the index key that an index value says it was made with. */
export function indexKeyIdOf(index: Buffer): number {
  return index.length < HEAD_BYTES ? 0 : index.readUInt16BE();
}
