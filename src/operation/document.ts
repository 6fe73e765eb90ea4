import DataLoader from 'dataloader';
import type { Actor, RequestFacts } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { Access, Receipt, RecordDraft } from '../ledger/record.js';
import { newId } from '../kernel/identifier.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { Policies } from '../policy/policies.js';
import type { DecidingPolicy } from '../policy/shadow.js';
import type { KeyUse } from '../vault/vault.js';
import type { Asked, DetailContent, RowChange } from './detail-text.js';
import type { Details, KnownSubjects } from './details.js';
import { reportOf, widestKind, type DocumentReport } from './document-report.js';
import type { AnyOperation } from './operation.js';
import type { Turn } from './turn.js';
import { UnwrappedSubjects, unwrapRecord } from './key-use.js';
import type { Pattern } from './view.js';
import type { Grounds } from './write-record.js';

/** Rows that one document may read before it is refused: bounds what aliases and nested lists can multiply. */
const LARGEST_READ = 5_000;
const NOTHING: ReadonlySet<string> = new Set();

interface Gathered {
  rows: number;
  readonly subjects: Set<string>;
}

/** A read that began: what `refuseRead` takes back. */
export interface BegunRead {
  readonly operation: AnyOperation;
  /** Undefined where the input is told elsewhere: in the record of the write that is read back. */
  readonly input: unknown;
  /** Obligations that its decisions demanded until the document is recorded. */
  readonly demanded: ReadonlySet<string>;
}

interface Draft {
  readonly draft: RecordDraft;
  readonly asked: readonly Asked[];
}

/**
 * One document (a GraphQL request, a command, a job): who asks, what was read so far, what must be recorded.
 * Owned by the transport that made it; `flush` must be awaited before the first byte of the answer leaves.
 * A crash before `flush` returns means that the caller got nothing, so nothing is owed to the ledger.
 */
export class Document {
  private readonly accesses = new Map<Pattern, Gathered>();
  private readonly noted: Access[] = [];
  private readonly reads: BegunRead[] = [];
  private readonly drafts: Draft[] = [];
  private readonly subjects = new Map<string, string>();
  private readonly loaders = new Map<string, DataLoader<string, unknown>>();
  private readonly receipts: Receipt[] = [];
  private readonly rules = new Set<string>();
  private readonly consents = new Set<string>();
  private readonly names = new Set<string>();
  private readonly hiddenFields = new Set<string>();
  private rowsRead = 0;
  private policy: string | null = null;
  private deciding: DecidingPolicy | null = null;
  /** Names the decisions of this document: in its answer, in its records, and where a shadow would have decided otherwise. */
  readonly decisionId = newId();
  private readonly unwrapped = new UnwrappedSubjects();
  /** For what the keys of patients are unwrapped: this document, whose records say whose they were. */
  readonly keyUse: KeyUse = { id: this.decisionId, used: (references) => this.unwrapped.add(references) };

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

  /** The policies of this document: those in force when it asks first, to its end. */
  governedBy(policies: Policies): DecidingPolicy {
    return (this.deciding ??= policies.governing(() => this.decisionId));
  }

  /** Version of the policies that decided; null where none were asked. */
  get policyVersion(): string | null {
    return this.deciding?.version ?? null;
  }

  /**
   * Whether policies were asked for somebody who may break the glass: that is told with every answer to him, whatever is in
   * it, so that the offer never tells that something is hidden.
   */
  get offersEmergencyAccess(): boolean {
    const { actor, deciding } = this;
    const { purpose: stated } = this.facts;
    if (actor === null || deciding === null || stated === null) return false;
    const purposes = deciding.purposesOf(actor.role);
    if (!purposes.includes(stated)) return false;
    return purposes.some((purpose) => deciding.decide(actor, purpose, 'create', 'EmergencyAccess').allowed);
  }

  /** Notes that an operation reads under these rules. Called before any row is asked for. */
  beginRead(
    operation: AnyOperation,
    policy: string,
    { ruleIds, consents }: Grounds,
    input?: unknown,
    demanded: ReadonlySet<string> = NOTHING,
  ): BegunRead {
    const begun = { operation, input, demanded };
    this.reads.push(begun);
    this.names.add(operation.name);
    this.policy = policy;
    for (const rule of ruleIds) this.rules.add(rule);
    for (const scope of consents) this.consents.add(scope);
    return begun;
  }

  /** Takes back what `beginRead` noted: the operation was refused, and the record of the refusal is the only one. */
  refuseRead(begun: BegunRead): void {
    const at = this.reads.indexOf(begun);
    if (at >= 0) this.reads.splice(at, 1);
  }

  /** Notes, once, that a nested field was asked for and is hidden as a whole. */
  hide(operation: AnyOperation, pattern: Pattern): void {
    if (this.hiddenFields.has(operation.name)) return;
    this.hiddenFields.add(operation.name);
    this.reads.push({ operation, input: undefined, demanded: NOTHING });
    this.accesses.set(pattern, { rows: 0, subjects: new Set() });
  }

  /** Notes an access that is no row of a noun: a part of the ledger that was shown. */
  note(access: Access): void {
    this.noted.push(access);
  }

  /** Notes whose reference in the ledger it is: a record about one patient alone is sealed under that patient's key. */
  know(reference: string, patientId: string): void {
    this.subjects.set(reference, patientId);
  }

  /** Notes one row that was shown, of the patient with this reference and id. */
  gather(pattern: Pattern, subject: string | null, subjectId: string | null): void {
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
    if (subject === null) return;
    gathered.subjects.add(subject);
    if (subjectId !== null) this.subjects.set(subject, subjectId);
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

  /**
   * Queues the record of something that was refused or failed, or of a sign-in, with what was asked. A nested list that
   * fails for many parents fails once.
   */
  record(draft: RecordDraft, asked: readonly Asked[] = []): void {
    const { operation, code } = draft;
    if (
      operation.includes('.') &&
      this.drafts.some(({ draft: one }) => one.operation === operation && one.code === code)
    )
      return;
    this.names.add(operation);
    this.drafts.push({ draft, asked });
  }

  /** The record of a write with its details. What was asked of other operations of the document is not in them. */
  detailed(draft: RecordDraft, asked: Asked, changes: readonly RowChange[], details: Details): RecordDraft {
    return details.attach(draft, { ...this.content([asked]), changes }, this.subjects);
  }

  /** Keeps the receipt of a record that was committed with its data. What was read before it is read again. */
  committed(operation: AnyOperation, receipt: Receipt, accesses: readonly Access[]): void {
    this.unwrapped.name(accesses);
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
      decision: this.decisionId,
      acr: this.actor?.acr,
      consents: [...this.consents].sort(),
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
  async flush(ledger: LedgerWriter, details: Details): Promise<readonly Receipt[]> {
    const drafts = this.drafts.splice(0);
    if (this.reads.length > 0) drafts.push(this.readRecord());
    const known: KnownSubjects = this.subjects;
    for (const { draft } of drafts) if (known.size > 0) await details.prepare(draft, known, this.keyUse);
    for (const { draft } of drafts) this.unwrapped.name(draft.accesses);
    const appended = drafts.map(({ draft, asked }) => {
      // What a write is answered with is read for the same caller: the write's own record has the address.
      const told = asked.length === 0 && this.receipts.length > 0;
      return ledger.append(told ? draft : details.attach(draft, this.content(asked), known));
    });
    const [receipts] = await Promise.all([Promise.all(appended), this.settleKeys(ledger)]);
    this.receipts.push(...receipts);
    return this.receipts;
  }

  /**
   * Records whose keys were unwrapped where no record of this document names them: of work that failed, or of rows that were
   * not shown. Part of `flush`; called before by work that takes long, because an unwrap that no record explains within
   * 45 s raises an alarm.
   */
  async settleKeys(ledger: LedgerWriter): Promise<void> {
    await Promise.all(this.unwrapped.take().map((access) => ledger.append(unwrapRecord(this.frame(), access))));
  }

  /** What was read, for `extensions.policy`: schema coordinates, each once. */
  report(): DocumentReport {
    return reportOf(this.accesses.keys(), this.hiddenFields);
  }

  private content(asked: readonly Asked[]): DetailContent {
    return { address: this.facts.clientAddress, asked, changes: [] };
  }

  private readRecord(): Draft {
    const reads = this.reads.splice(0);
    const operations = reads.map(({ operation }) => operation);
    const accesses: Access[] = this.noted.splice(0);
    for (const [pattern, { rows, subjects }] of this.accesses) {
      accesses.push({ type: pattern.type, rows, fields: pattern.selected, subjects: [...subjects] });
    }
    const draft: RecordDraft = {
      ...this.frame(),
      operation: [...new Set(operations.map((operation) => operation.name))].join(' '),
      kind: widestKind(operations),
      outcome: 'success',
      code: null,
      accesses,
      obligations: [...new Set(reads.flatMap(({ demanded }) => [...demanded]))].sort(),
    };
    return { draft, asked: reads.filter(({ input }) => input !== undefined) };
  }
}
