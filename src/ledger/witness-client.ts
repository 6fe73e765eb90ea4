import { logId } from '../../audit/cosigner.mjs';
import { verifyCosignature } from '../../audit/cosignature.mjs';
import { EMPTY_ROOT, verifyConsistency } from '../../audit/merkle.mjs';
import { type Checkpoint, parseCheckpoint, parseVkey, splitNote, verifyNote } from '../../audit/note.mjs';
import type { PolicyWitness } from '../../audit/policy.mjs';
import { formatAddCheckpoint, parseSize, SIZE_TYPE } from '../../audit/witness-request.mjs';
import type { Clock } from '../kernel/clock.js';
import { LedgerFault, rollbackDetected } from './fault.js';

/** A verified line of a witness, and the time that it states, in POSIX seconds. */
export interface Cosignature {
  readonly line: string;
  readonly time: number;
}

export interface WitnessHealth {
  /** As the policy calls it. */
  readonly name: string;
  /** The latest time that it stated, in POSIX seconds; null: nothing was cosigned since this process leads. */
  readonly time: number | null;
  /** One sentence: why it does not cosign. Null while it does. */
  readonly problem: string | null;
}

/** What is to be cosigned: the stored checkpoint of a log. */
export interface SignedCheckpoint extends Checkpoint {
  readonly log: string;
  readonly note: string;
  readonly text: string;
}

export interface WitnessClientOptions {
  readonly clock: Clock;
  /** The proof of consistency between two sizes of a log (RFC 9162 section 2.1.4). */
  readonly proof: (log: string, from: number, to: number) => Promise<readonly Uint8Array[]>;
  /** The key by which a log signs. */
  readonly vkey: (log: string) => string;
  /** The size of the newest stored checkpoint: another process may have signed a later one meanwhile. */
  readonly storedSize: (log: string) => Promise<number>;
  /** Told once when the witness fails, and once (null) when it cosigns again. */
  readonly announce: (name: string, problem: string | null) => void;
}

const TIMEOUT = 1_000;
/** After a failure it is left alone for so long, so that it does not hold up the next checkpoints. */
const REST = 10_000;
const LARGEST_ANSWER = 64 * 1024;

/**
 * The log's side of the witness protocol (c2sp.org/tlog-witness), for one witness. It is never trusted: a cosignature is
 * verified before it is used, and what it says about the past counts only where the log's own key has signed it. When it
 * is down the ledger goes on without it.
 */
export class WitnessClient {
  private readonly url: string;
  private readonly sizes = new Map<string, number>();
  private time: number | null = null;
  private problem: string | null = null;
  private restsUntil = 0;

  constructor(
    readonly witness: PolicyWitness & { readonly url: string },
    private readonly options: WitnessClientOptions,
  ) {
    this.url = witness.url.replace(/\/+$/, '');
  }

  health(): WitnessHealth {
    return { name: this.witness.name, time: this.time, problem: this.problem };
  }

  /**
   * A cosignature over the checkpoint; null while the witness gives none. Throws a {@link LedgerFault} when the witness holds
   * a checkpoint of this very log that contradicts the stored one: then database and store went back in time together, or
   * the key has signed elsewhere.
   */
  async cosign(checkpoint: SignedCheckpoint): Promise<Cosignature | null> {
    if (this.options.clock.milliseconds() < this.restsUntil) return null;
    return this.attempt(async () => {
      const cosignature = await this.ask(checkpoint);
      this.time = Math.max(this.time ?? 0, cosignature.time);
      return cosignature;
    });
  }

  /**
   * Compares what the witness holds of a log with what is stored, before anything is signed. Throws as `cosign` does; says
   * nothing while the witness is down.
   */
  async compare(log: string, stored: SignedCheckpoint | null): Promise<void> {
    await this.attempt(() => this.requireNoContradiction(log, stored));
  }

  private async attempt<Result>(ask: () => Promise<Result>): Promise<Result | null> {
    const { clock, announce } = this.options;
    try {
      const result = await ask();
      if (this.problem !== null) announce(this.witness.name, null);
      this.problem = null;
      return result;
    } catch (error) {
      if (error instanceof LedgerFault) throw error;
      const problem = `Witness ${this.witness.name}: ${reasonOf(error)}`;
      if (this.problem === null) announce(this.witness.name, problem);
      this.problem = problem;
      this.restsUntil = clock.milliseconds() + REST;
      return null;
    }
  }

  private async ask(checkpoint: SignedCheckpoint): Promise<Cosignature> {
    const { log, size, text, note } = checkpoint;
    let old = this.sizes.get(log) ?? 0;
    for (let attempt = 1; ; attempt++) {
      const proof = old === 0 || old >= size ? [] : await this.options.proof(log, old, size);
      const { status, type, body } = await this.send('add-checkpoint', formatAddCheckpoint({ old, proof, note }));
      if (status === 200) {
        const cosignature = verifyCosignature(text, body, this.witness.vkey);
        this.sizes.set(log, size);
        return cosignature;
      }
      if (status !== 409) throw new Error(`It answers ${status}.`);
      const known = type === SIZE_TYPE ? parseSize(body) : null;
      if (known === null || known > size) await this.requireNoContradiction(log, checkpoint);
      if (known === null || known > size || attempt > 1) throw new Error('It has another size of this log.');
      this.sizes.set(log, (old = known));
    }
  }

  /** Looks at what the witness holds of the log. What the log's own key has not signed proves nothing. */
  private async requireNoContradiction(log: string, stored: SignedCheckpoint | null): Promise<void> {
    const held = await this.held(log);
    if (held === null) return;
    const { size, root } = stored ?? { size: 0, root: EMPTY_ROOT };
    // Another process may have signed a later one since.
    const now = Math.max(size, await this.options.storedSize(log));
    if (held.size > now) throw rollbackDetected(log, held.size, now, `witness ${this.witness.name}`);
    this.sizes.set(log, held.size);
    if (held.size === 0 || held.size > size) return;
    const proof = held.size === size ? [] : await this.options.proof(log, held.size, size);
    try {
      verifyConsistency({ from: held.size, to: size, fromRoot: held.root, toRoot: root, proof });
    } catch {
      const message = `Log ${log} does not extend the ${held.size} entries that witness ${this.witness.name} has cosigned.`;
      throw new LedgerFault(log, held.size, 'consistency', message);
    }
  }

  private async held(log: string): Promise<Checkpoint | null> {
    const vkey = this.options.vkey(log);
    const { name: origin } = parseVkey(vkey);
    const { status, body } = await this.send(`${logId(origin)}/checkpoint`);
    if (status === 404) return null;
    if (status !== 200) throw new Error(`It answers ${status}.`);
    const held = parseCheckpoint(verifyNote(body, [vkey]).text);
    return held.origin === origin ? held : null;
  }

  private async send(path: string, request?: string): Promise<{ status: number; type: string; body: string }> {
    const response = await fetch(`${this.url}/${path}`, {
      method: request === undefined ? 'GET' : 'POST',
      body: request,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > LARGEST_ANSWER) throw new Error('Its answer is too large.');
      chunks.push(chunk);
    }
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: Buffer.concat(chunks).toString('utf8') };
  }
}

/** Parts of a note with the checkpoint in it; throws for one that is none. */
export function signedCheckpoint(log: string, note: string): SignedCheckpoint {
  const { text } = splitNote(note);
  return { log, note, text, ...parseCheckpoint(text) };
}

/** What happened, without the witness's own words. */
function reasonOf(error: unknown): string {
  const { name, message, cause } = error as { name?: unknown; message?: unknown; cause?: { code?: unknown } };
  if (name === 'TimeoutError') return `It did not answer within ${TIMEOUT} ms.`;
  // fetch hides what happened in the cause; only its code is taken.
  if (typeof cause?.code === 'string') return `It could not be reached (${cause.code}).`;
  return typeof message === 'string' ? message : 'It could not be asked.';
}
