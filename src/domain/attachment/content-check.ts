import { createHash } from 'node:crypto';
import { Failure } from '../../kernel/failure.js';
import { hasControlCharacter } from '../../operation/input.js';
import { HEAD_BYTES, isOfType } from './content-type.js';

/** Markup that a browser or a mail program could run, in what is declared to be a text. */
const ACTIVE_TEXT =
  /<(?:!doctype\b|(?:[a-z]\w{0,7}:)?(?:html|head|body|script|style|iframe|object|embed|svg|math|img)[\s/>])/i;
/** The same in any content: a file can be two things at once. Shorter words come up by chance in compressed bytes. */
const ACTIVE = /<(?:!doctype html|(?:html|body|script|iframe|object)[\s/>])/i;
const LONGEST_WORD = 20;

/** The bytes are not what was declared: the attachment is refused for good. */
export class RefusedContent extends Failure {
  constructor(problem: string, extensions: Record<string, unknown> = {}) {
    super('BAD_USER_INPUT', `The content ${problem}.`, 'Attach the file again, with what it is.', { extensions });
  }
}

/**
 * Looks at a content while it passes: size, type, active markup, and for texts the encoding. Nothing of it may be used
 * before `inspect` has ended without an error; `sha256` is known then.
 */
export class ContentCheck {
  sha256 = '';
  private readonly hash = createHash('sha256');
  private readonly decoder: InstanceType<typeof TextDecoder> | null;
  private readonly head: Uint8Array[] = [];
  private size = 0;
  private sniffed = false;
  private tail = '';

  constructor(private readonly declared: { readonly contentType: string; readonly size: number }) {
    this.decoder = declared.contentType === 'text/plain' ? new TextDecoder('utf-8', { fatal: true }) : null;
  }

  /** Passes the bytes on. Throws {@link RefusedContent} as soon as they cannot be what was declared. */
  async *inspect(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      if (this.size < HEAD_BYTES) this.head.push(bytes);
      this.size += bytes.length;
      if (this.size > this.declared.size) throw new RefusedContent('is larger than was declared');
      this.hash.update(bytes);
      this.scan(bytes);
      if (!this.sniffed && this.size >= HEAD_BYTES) await this.sniff();
      yield bytes;
    }
    if (this.size !== this.declared.size) throw new RefusedContent('is smaller than was declared');
    if (!this.sniffed) await this.sniff();
    this.readText(new Uint8Array(), true);
    this.sha256 = this.hash.digest('hex');
  }

  private async sniff(): Promise<void> {
    this.sniffed = true;
    const head = Buffer.concat(this.head.splice(0)).subarray(0, HEAD_BYTES);
    if (!(await isOfType(this.declared.contentType, head))) throw notOfType(this.declared.contentType);
  }

  private scan(bytes: Uint8Array): void {
    this.readText(bytes, false);
    const text = this.tail + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    this.tail = text.slice(-LONGEST_WORD);
    if ((this.decoder === null ? ACTIVE : ACTIVE_TEXT).test(text)) throw notOfType(this.declared.contentType);
  }

  /** A text is valid UTF-8 (RFC 3629) without control characters. */
  private readText(bytes: Uint8Array, last: boolean): void {
    if (this.decoder === null) return;
    let text: string;
    try {
      text = this.decoder.decode(bytes, { stream: !last });
    } catch {
      throw notOfType(this.declared.contentType);
    }
    if (hasControlCharacter(text)) throw notOfType(this.declared.contentType);
  }
}

function notOfType(contentType: string): RefusedContent {
  return new RefusedContent(`is not ${contentType}`, { field: 'Attachment.contentType' });
}
