import type { Ledger } from '../ledger/ledger.js';

export interface ReadinessState {
  readonly ready: boolean;
  readonly ledger: {
    readonly leader: boolean;
    readonly lagMilliseconds: number | null;
    /** Process id in PostgreSQL of the transaction that holds the ledger back, when it lags. */
    readonly blockedByPid: number | null;
    readonly problem: string | null;
  };
}

const LARGEST_LAG = 5_000;

/** Whether this process may be sent requests. A draining process is not. */
export class Readiness {
  private draining = false;

  constructor(private readonly ledger: Ledger) {}

  drain(): void {
    this.draining = true;
  }

  async look(): Promise<ReadinessState> {
    try {
      const { leader, lagMilliseconds, blockedByPid, problem } = await this.ledger.health();
      const ready = !this.draining && problem === null && lagMilliseconds <= LARGEST_LAG;
      return { ready, ledger: { leader, lagMilliseconds, blockedByPid, problem } };
    } catch {
      return {
        ready: false,
        ledger: { leader: false, lagMilliseconds: null, blockedByPid: null, problem: 'database unreachable' },
      };
    }
  }
}
