import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** How a pool of connections is used now. */
export interface PoolFigures {
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
}

/** The ledger now: records not yet durable, age of the oldest record without index, whether that is too old, entries per log. */
export interface LedgerFigures {
  readonly queued: number;
  readonly lagSeconds: number;
  readonly refusing: boolean;
  readonly sizes: ReadonlyMap<string, number>;
  /** When each witness cosigned last, in POSIX seconds, by its name in the policy; null: not since this process leads. */
  readonly witnesses?: ReadonlyMap<string, number | null>;
}

/** The policies now. */
export interface PolicyFigures {
  readonly version: number;
  /** Whether what is stored is not what is in force here. */
  readonly problem: boolean;
}

export type Outcome = 'success' | 'denied' | 'failed';

/** Prometheus figures. Labels are names that code or the operator gave; none is a person, a session or an address. */
export class Metrics {
  private readonly registry = new Registry();
  private readonly pools = new Map<string, () => PoolFigures>();
  private ledger: (() => LedgerFigures) | null = null;
  private policies: (() => PolicyFigures) | null = null;
  private readonly shadowDifferences: Counter<'type' | 'action'>;
  private readonly requests: Counter<'outcome'>;
  private readonly operations: Histogram<'operation' | 'outcome'>;

  constructor(options: { processFigures?: boolean } = {}) {
    if (options.processFigures ?? true) collectDefaultMetrics({ register: this.registry });
    const registers = [this.registry];
    this.requests = new Counter({
      name: 'custodia_http_requests_total',
      help: 'HTTP requests answered, by outcome.',
      labelNames: ['outcome'],
      registers,
    });
    this.operations = new Histogram({
      name: 'custodia_operation_seconds',
      help: 'Time from the decision to the durable record, by operation and outcome.',
      labelNames: ['operation', 'outcome'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    });
    this.shadowDifferences = new Counter({
      name: 'custodia_policy_shadow_differences_total',
      help: 'Decisions that the shadow release would have made otherwise, by type and action.',
      labelNames: ['type', 'action'],
      registers,
    });
    this.definePools();
    this.defineLedger();
    this.definePolicies();
  }

  request(outcome: Outcome): void {
    this.requests.inc({ outcome });
  }

  /** `operation` must be a declared operation: what a client calls its document is no label. */
  operation(operation: string, outcome: Outcome, seconds: number): void {
    this.operations.observe(
      { operation: /^[A-Za-z_.-]{1,64}$/.test(operation) ? operation : 'other', outcome },
      seconds,
    );
  }

  /** Asked whenever the figures are read. `role` is the database role of the pool. */
  watchPool(role: string, figures: () => PoolFigures): void {
    this.pools.set(role, figures);
  }

  watchLedger(figures: () => LedgerFigures): void {
    this.ledger = figures;
  }

  watchPolicies(figures: () => PolicyFigures): void {
    this.policies = figures;
  }

  /** `type` and `action` are names of the code. */
  shadowDifference(type: string, action: string): void {
    this.shadowDifferences.inc({ type, action });
  }

  /** Keys of patients that were unwrapped and that no record explains, as this process found. */
  watchUnexplainedUnwraps(figure: () => number): void {
    new Gauge({
      name: 'custodia_unexplained_unwraps_total',
      help: 'Keys of patients given out by the key agent that no record explains, found since the start.',
      registers: [this.registry],
      collect() {
        this.set(figure());
      },
    });
  }

  /** How often a reader was refused because it had seen too many patients, by the window that was full. */
  watchBulkLimits(figures: () => Readonly<Record<'hour' | 'day', number>>): void {
    new Gauge({
      name: 'custodia_bulk_limit_refusals',
      help: 'Reads refused since the start because the account has seen as many patients as its role may, by window.',
      labelNames: ['window'],
      registers: [this.registry],
      collect() {
        for (const [window, refusals] of Object.entries(figures())) this.set({ window }, refusals);
      },
    });
  }

  /** Emergency accesses that wait for their review, by state. Asked whenever the figures are read; a failure leaves the last ones. */
  watchEmergencyAccesses(
    figures: () => Promise<Readonly<Record<'open' | 'due' | 'overdue' | 'locked', number>>>,
  ): void {
    new Gauge({
      name: 'custodia_emergency_accesses',
      help: 'Emergency accesses that nobody reviewed yet: open, due (over), overdue (not reviewed in time).',
      labelNames: ['state'],
      registers: [this.registry],
      async collect() {
        const now = await figures().catch(() => null);
        if (now === null) return;
        for (const state of ['open', 'due', 'overdue'] as const) this.set({ state }, now[state]);
      },
    });
    new Gauge({
      name: 'custodia_locked_accounts',
      help: 'Accounts that are locked because an emergency access of theirs was not reviewed in time.',
      registers: [this.registry],
      async collect() {
        const now = await figures().catch(() => null);
        if (now !== null) this.set(now.locked);
      },
    });
  }

  /** Notices of erasures that nobody completed in time. Asked whenever the figures are read; a failure leaves the last ones. */
  watchErasureNotices(overdue: () => Promise<number>): void {
    new Gauge({
      name: 'custodia_erasure_notices_overdue',
      help: 'Recipients, requesters of exports and backups of erased persons that nobody completed in time.',
      registers: [this.registry],
      async collect() {
        const now = await overdue().catch(() => null);
        if (now !== null) this.set(now);
      },
    });
  }

  /**
   * Values that each key protects, as they were counted last. An older key may be destroyed when it protects none. Asked
   * whenever the figures are read; a failure leaves the last ones.
   */
  watchSealedValues(
    figures: () => Promise<
      readonly {
        readonly tenant: string;
        readonly purpose: string;
        readonly keyId: number;
        readonly state: string;
        readonly values: number;
      }[]
    >,
  ): void {
    new Gauge({
      name: 'custodia_sealed_values',
      help: 'Stored values by the key that protects them and its state, as "npm run keys" counted them last.',
      labelNames: ['tenant', 'purpose', 'key_id', 'state'],
      registers: [this.registry],
      async collect() {
        const now = await figures().catch(() => null);
        if (now === null) return;
        this.reset();
        for (const { tenant, purpose, keyId, state, values } of now) {
          this.set({ tenant, purpose, key_id: String(keyId), state }, values);
        }
      },
    });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** The text that `/metrics` answers. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  private definePools(): void {
    const pools = this.pools;
    for (const state of ['open', 'idle', 'waiting'] as const) {
      new Gauge({
        name: `custodia_database_connections_${state}`,
        help: `Database connections ${state}, by database role.`,
        labelNames: ['role'],
        registers: [this.registry],
        collect() {
          for (const [role, figures] of pools) this.set({ role }, figures()[state]);
        },
      });
    }
  }

  private definePolicies(): void {
    const figures = () => this.policies?.();
    const gauge = (name: string, help: string, read: (policies: PolicyFigures) => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          const policies = figures();
          if (policies !== undefined) this.set(read(policies));
        },
      });
    gauge('custodia_policy_version', 'Version of the policies in force in this process.', ({ version }) => version);
    gauge(
      'custodia_policy_problem',
      '1 while what is stored of the policies is not what is in force in this process.',
      ({ problem }) => Number(problem),
    );
  }

  private defineLedger(): void {
    const figures = () => this.ledger?.();
    const gauge = (name: string, help: string, read: (ledger: LedgerFigures) => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          const ledger = figures();
          if (ledger !== undefined) this.set(read(ledger));
        },
      });
    gauge('custodia_ledger_queue', 'Ledger records that wait to become durable.', (ledger) => ledger.queued);
    gauge(
      'custodia_ledger_lag_seconds',
      'Age of the oldest ledger record without an index.',
      (ledger) => ledger.lagSeconds,
    );
    gauge('custodia_ledger_refusing', '1 while nothing is recorded, because the ledger lags too far.', (ledger) =>
      Number(ledger.refusing),
    );
    new Gauge({
      name: 'custodia_ledger_witness_seconds',
      help: 'POSIX time at which a witness cosigned last, by its name in the policy; told by the leading process.',
      labelNames: ['witness'],
      registers: [this.registry],
      collect() {
        for (const [witness, time] of figures()?.witnesses ?? []) if (time !== null) this.set({ witness }, time);
      },
    });
    new Gauge({
      name: 'custodia_ledger_size',
      help: 'Entries with an index, by log.',
      labelNames: ['log'],
      registers: [this.registry],
      collect() {
        for (const [log, size] of figures()?.sizes ?? []) this.set({ log }, size);
      },
    });
  }
}
