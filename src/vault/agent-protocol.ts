import type { SubjectKeyPlace } from './subject-key.js';

/**
 * What a key agent is asked and answers: frames of a length (4 bytes, big-endian) and JSON in UTF-8, bytes in it as base64.
 * The first frame of a connection is `hello`; every other request has an id of its own, and answers come in any order.
 */
export const PROTOCOL_VERSION = 1;
export const LARGEST_FRAME = 4 * 1024 * 1024;
/** Keys of one request. */
export const MOST_KEYS = 500;
/** A use is named as documents are: an id, or a word. */
export const USE = /^[0-9A-Za-z.:_-]{1,64}$/;
export const TENANT = /^[0-9A-Za-z-]{1,32}$/;
export const REFERENCE = /^[0-9a-f]{32}$/;

const LENGTH_BYTES = 4;

/** A version of the tenant's key that wraps subject keys, as it is stored: opened by the agent alone. */
export interface WrappedTenantKey {
  readonly keyId: number;
  /** Base64. */
  readonly wrapped: string;
}

/** A wrapped subject key; the tenant is the request's. */
export interface AskedKey extends Omit<SubjectKeyPlace, 'tenant'> {
  readonly wrapKeyId: number;
  /** Base64. */
  readonly wrapped: string;
}

export type AgentRequest =
  | { readonly op: 'hello'; readonly version: number; readonly token: string }
  | { readonly op: 'root.wrap'; readonly context: string; readonly plain: string }
  | { readonly op: 'root.wrapNew'; readonly context: string }
  | { readonly op: 'root.unwrap'; readonly context: string; readonly wrapped: string }
  | {
      readonly op: 'subject.wrap';
      readonly tenant: string;
      readonly tenantKey: WrappedTenantKey;
      readonly place: Omit<SubjectKeyPlace, 'tenant'>;
      readonly raw: string;
    }
  | {
      readonly op: 'subject.unwrap';
      readonly tenant: string;
      readonly use: string;
      readonly tenantKeys: readonly WrappedTenantKey[];
      readonly keys: readonly AskedKey[];
    }
  /** Lines of the agent's log after a number. */
  | { readonly op: 'log'; readonly after: number };

/** Why the agent did not do what it was asked. */
export type AgentRefusal =
  /** Not a request of this protocol, or larger than one may be. */
  | 'BAD_REQUEST'
  | 'UNAUTHENTICATED'
  /** What no client may have. */
  | 'FORBIDDEN'
  | 'RATE_LIMITED'
  /** The agent's log cannot be written: no key is given out. */
  | 'LOG_UNAVAILABLE';

export type AgentAnswer =
  | { readonly id: number; readonly ok: true; readonly [member: string]: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: AgentRefusal;
      /** Milliseconds after which the same request passes the limit. */
      readonly retryAfter?: number;
    };

export function frame(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(LENGTH_BYTES);
  head.writeUInt32BE(text.length);
  return Buffer.concat([head, text]);
}

/** Takes a stream of bytes apart. Throws on a frame that is too long or is no JSON object: the connection is then ended. */
export class Frames {
  private pieces: Buffer[] = [];
  private held = 0;

  /** The messages that are whole with these bytes. */
  take(bytes: Buffer, largest: number = LARGEST_FRAME): Record<string, unknown>[] {
    this.pieces.push(bytes);
    this.held += bytes.length;
    const messages: Record<string, unknown>[] = [];
    for (;;) {
      if (this.held < LENGTH_BYTES) return messages;
      if ((this.pieces[0]?.length ?? 0) < LENGTH_BYTES) this.join();
      const length = this.pieces[0]?.readUInt32BE() ?? 0;
      if (length > largest) throw new RangeError('The frame is too long.');
      if (this.held < LENGTH_BYTES + length) return messages;
      const all = this.join();
      const message: unknown = JSON.parse(all.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length));
      if (typeof message !== 'object' || message === null) throw new TypeError('The frame is no object.');
      messages.push(message as Record<string, unknown>);
      this.pieces = [all.subarray(LENGTH_BYTES + length)];
      this.held = this.pieces[0]?.length ?? 0;
    }
  }

  private join(): Buffer {
    const all = this.pieces.length === 1 ? (this.pieces[0] as Buffer) : Buffer.concat(this.pieces);
    this.pieces = [all];
    return all;
  }
}
