import type { Clock } from '../kernel/clock.js';
import type { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';

/** Where reads are sent: to the database, or to a turn of it. */
export type Reads = Pick<Database, 'query'>;

/** Turns of one process. Made for what reaches many at once: a change that a thousand subscribers are told of. */
export class Turns {
  private current: Turn | null = null;

  constructor(
    private readonly database: Reads,
    private readonly clock: Clock,
  ) {}

  /** The turn for work that begins now; all that begins in one turn of the event loop gets the same one. */
  take(): Turn {
    if (this.current === null) {
      this.current = new Turn(this.database, this.clock.now());
      setImmediate(() => (this.current = null));
    }
    return this.current;
  }
}

/**
 * Work of several documents at one moment. Statements that are the same to the last parameter (actors whose decision asks
 * the same of the database) are sent once, and never before the last document that shares the answer had asked: nobody is
 * answered from an earlier look. Predicates, bits and records stay each document's own.
 */
export class Turn implements Reads {
  private readonly asked = new Map<string, Promise<unknown[]>>();
  private waiting: (() => void)[] = [];

  constructor(
    private readonly database: Reads,
    /** The moment of the decisions. One for all: it is a parameter of their statements. */
    readonly now: Date,
  ) {}

  query<Row>(tenant: string | null, statement: Statement): Promise<Row[]> {
    const key = `${tenant} ${statement.text} ${JSON.stringify(statement.values)}`;
    let answer = this.asked.get(key) as Promise<Row[]> | undefined;
    if (answer === undefined) {
      answer = new Promise<Row[]>((resolve, reject) => {
        this.waiting.push(() => void this.database.query<Row>(tenant, statement).then(resolve, reject));
      });
      this.asked.set(key, answer);
      if (this.waiting.length === 1) setImmediate(() => this.send());
    }
    return answer;
  }

  private send(): void {
    this.asked.clear();
    for (const ask of this.waiting.splice(0)) ask();
  }
}
