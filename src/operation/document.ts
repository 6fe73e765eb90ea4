import DataLoader from 'dataloader';
import type { Actor, RequestFacts } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { Access, Receipt, RecordDraft } from '../ledger/record.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { AnyOperation } from './operation.js';
import type { Turn } from './turn.js';
import type { Pattern } from './view.js';

/** Rows that one document may read before it is refused: bounds what aliases and nested lists can multiply. */
const LARGEST_READ = 5_000;

interface Gathered {
  rows: number;
  readonly subjects: Set<string>;
}

/**
 * One document (a GraphQL request, a command, a job): who asks, what was read so far, what must be recorded.
 * Owned by the transport that made it; `flush` must be awaited before the first byte of the answer leaves.
 * A crash before `flush` returns means that the caller got nothing, so nothing is owed to the ledger.
 */
export class Document {
  private readonly accesses = new Map<Pattern, Gathered>();
  private readonly noted: Access[] = [];
  private readonly reads: AnyOperation[] = [];
  private readonly drafts: RecordDraft[] = [];
  private readonly loaders = new Map<string, DataLoader<string, unknown>>();
  private readonly receipts: Receipt[] = [];
  private readonly rules = new Set<string>();
  private readonly names = new Set<string>();
  private readonly hiddenFields = new Set<string>();
  private rowsRead = 0;
  private policy: string | null = null;

  constructor(
    readonly actor: Actor | null,
    /** Replaced by work that goes on with what was allowed before, such as a download: it states no purpose of its own. */
    public facts: RequestFacts,
    /** SHA-256 of the normalised document, in hexadecimal; null for commands and until the document is parsed. */
    public digest: string | null,
    /** Set for one of many documents about the same event: what they read alike is read once. */
    readonly turn: Turn | null = null,
  ) {}

  requireActor(): Actor {
    if (this.actor !== null) return this.actor;
    throw new Failure('UNAUTHENTICATED', 'There is no live session for this request.', 'Sign in and send the token.');
  }

  /** Notes that an operation reads under these rules. Called before any row is asked for. */
  beginRead(operation: AnyOperation, policy: string, rules: readonly string[]): void {
    this.reads.push(operation);
    this.names.add(operation.name);
    this.policy = policy;
    for (const rule of rules) this.rules.add(rule);
  }

  /** Takes back what `beginRead` noted: the operation was refused, and the record of the refusal is the only one. */
  refuseRead(operation: AnyOperation): void {
    const at = this.reads.lastIndexOf(operation);
    if (at >= 0) this.reads.splice(at, 1);
  }

  /** Notes, once, that a nested field was asked for and is hidden as a whole. */
  hide(operation: AnyOperation, pattern: Pattern): void {
    if (this.hiddenFields.has(operation.name)) return;
    this.hiddenFields.add(operation.name);
    this.reads.push(operation);
    this.accesses.set(pattern, { rows: 0, subjects: new Set() });
  }

  /** Notes an access that is no row of a noun: a part of the ledger that was shown. */
  note(access: Access): void {
    this.noted.push(access);
  }

  /** Notes one row that was shown. */
  gather(pattern: Pattern, subject: string | null): void {
    if (++this.rowsRead > LARGEST_READ) {
      throw new Failure(
        'QUERY_COST_EXCEEDED',
        `The document reads more than ${LARGEST_READ} records.`,
        'Ask for smaller pages or fewer nested lists.',
      );
    }
    let gathered = this.accesses.get(pattern);
    if (gathered === undefined) {
      gathered = { rows: 0, subjects: new Set() };
      this.accesses.set(pattern, gathered);
    }
    gathered.rows += 1;
    if (subject !== null) gathered.subjects.add(subject);
  }

  /** One loader per nested list, arguments and decision: any number of parents costs one statement. */
  loader<Result>(key: string, load: (parents: readonly string[]) => Promise<Result[]>): DataLoader<string, Result> {
    let loader = this.loaders.get(key);
    if (loader === undefined) {
      loader = new DataLoader<string, unknown>((parents) => load(parents));
      this.loaders.set(key, loader);
    }
    return loader as DataLoader<string, Result>;
  }

  /** Queues the record of something that was refused or failed, or of a sign-in. A nested list that fails for many parents fails once. */
  record(draft: RecordDraft): void {
    const nested = draft.operation.includes('.');
    if (nested && this.drafts.some((one) => one.operation === draft.operation && one.code === draft.code)) return;
    this.names.add(draft.operation);
    this.drafts.push(draft);
  }

  /** Keeps the receipt of a record that was committed with its data. What was read before it is read again. */
  committed(operation: AnyOperation, receipt: Receipt): void {
    this.loaders.clear();
    this.names.add(operation.name);
    this.receipts.push(receipt);
  }

  /** The fields every record of this document has in common. */
  frame(log: string = this.actor?.tenant ?? 'system') {
    return {
      log,
      actor: this.actor?.reference ?? null,
      role: this.actor?.role ?? null,
      session: this.actor?.sessionId ?? null,
      purpose: this.facts.purpose,
      request: this.facts.requestId,
      document: this.digest,
      policy: this.policy,
      rules: [...this.rules].sort(),
      reason: this.facts.reason !== null,
    };
  }

  /** The first operation of this document, for logs and metrics; empty when none began. */
  leadingOperation(): string {
    const [first = ''] = this.names;
    return first;
  }

  /** True when nothing was run or recorded: the document failed before any operation began. */
  get untouched(): boolean {
    return this.reads.length === 0 && this.drafts.length === 0 && this.receipts.length === 0;
  }

  /**
   * Makes every record of this document durable. Rejects with AUDIT_UNAVAILABLE when one is not; the caller must then
   * answer with that failure alone. Idempotent.
   */
  async flush(ledger: LedgerWriter): Promise<readonly Receipt[]> {
    const drafts = this.drafts.splice(0);
    if (this.reads.length > 0) drafts.push(this.readRecord());
    const receipts = await Promise.all(drafts.map((draft) => ledger.append(draft)));
    this.receipts.push(...receipts);
    return this.receipts;
  }

  /** What was read, for `extensions.policy`: schema coordinates, each once. */
  report(): { masked: { path: string; fn: string }[]; hidden: { path: string }[]; any: boolean } {
    const masked = new Map<string, { path: string; fn: string }>();
    const hidden = new Map([...this.hiddenFields].map((path) => [path, { path }]));
    for (const pattern of this.accesses.keys()) {
      for (const { field, mask } of pattern.masked) {
        const path = `${pattern.type}.${field}`;
        masked.set(path, { path, fn: mask ?? 'M_NULL' });
      }
      for (const { field } of pattern.hidden)
        hidden.set(`${pattern.type}.${field}`, { path: `${pattern.type}.${field}` });
    }
    return { masked: [...masked.values()], hidden: [...hidden.values()], any: this.accesses.size > 0 };
  }

  private readRecord(): RecordDraft {
    const operations = this.reads.splice(0);
    const accesses: Access[] = this.noted.splice(0);
    for (const [pattern, { rows, subjects }] of this.accesses) {
      accesses.push({ type: pattern.type, rows, fields: pattern.selected, subjects: [...subjects] });
    }
    return {
      ...this.frame(),
      operation: [...new Set(operations.map((operation) => operation.name))].join(' '),
      kind: widestKind(operations),
      outcome: 'success',
      code: null,
      accesses,
    };
  }
}

/** A document that searches is recorded as a search, even when it also reads by id. */
function widestKind(operations: readonly AnyOperation[]): RecordDraft['kind'] {
  const kinds = new Set(operations.map((operation) => operation.kind));
  for (const kind of ['EXPORT', 'DISCLOSE', 'LEDGER_READ', 'LOOKUP', 'SEARCH'] as const)
    if (kinds.has(kind)) return kind;
  return 'READ';
}
