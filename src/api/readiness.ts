import type { Ledger } from '../ledger/ledger.js';
import type { WitnessHealth } from '../ledger/witness-client.js';
import type { Policies, PolicyHealth } from '../policy/policies.js';

export interface ReadinessState {
  readonly ready: boolean;
  readonly ledger: {
    readonly leader: boolean;
    readonly lagMilliseconds: number | null;
    /** Process id in PostgreSQL of the transaction that holds the ledger back, when it lags. */
    readonly blockedByPid: number | null;
    /** Whether every request that would leave a record is refused, because the ledger lags too far. */
    readonly refusing: boolean;
    /** Witnesses of the checkpoints, by their names in the policy; told by the leading process. */
    readonly witnesses: readonly WitnessHealth[];
    readonly problem: string | null;
  };
  /** Why the key agent gives no keys, or why its log is not matched against the ledger; null where there is none, or all is well. */
  readonly keyAgent: { readonly problem: string | null } | null;
  /** What decides. With a problem the policies before it stay in force, so that the process stays ready. */
  readonly policies: PolicyHealth;
}

const LARGEST_LAG = 5_000;

/** Whether this process may be sent requests. A draining process is not. */
export class Readiness {
  private draining = false;

  constructor(
    private readonly ledger: Ledger,
    private readonly policies: Policies,
    private readonly keys: { readonly problem: string | null } | null = null,
  ) {}

  drain(): void {
    this.draining = true;
  }

  async look(): Promise<ReadinessState> {
    const policies = this.policies.health;
    const keyAgent = this.keys === null ? null : { problem: this.keys.problem };
    try {
      const { leader, lagMilliseconds, blockedByPid, refusing, witnesses, problem } = await this.ledger.health();
      const ready =
        !this.draining && problem === null && lagMilliseconds <= LARGEST_LAG && (keyAgent?.problem ?? null) === null;
      const figures = { leader, lagMilliseconds, blockedByPid, refusing, witnesses, problem };
      return { ready, ledger: figures, keyAgent, policies };
    } catch {
      return {
        ready: false,
        ledger: {
          leader: false,
          lagMilliseconds: null,
          blockedByPid: null,
          refusing: false,
          witnesses: [],
          problem: 'database unreachable',
        },
        keyAgent,
        policies,
      };
    }
  }
}
