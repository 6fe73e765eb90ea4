import type * as fileSystem from 'node:fs/promises';
import { DatabaseFault } from '../../src/persistence/sqlstate.js';
import type { Statement } from '../../src/persistence/statement.js';
import type { Session } from '../../src/ledger/session.js';

/** How a call fails: without effect, with it, or (what is written to a file) with half of it. */
export type Flavour = 'before its effect' | 'half way' | 'after its effect';
export const FLAVOURS: readonly Flavour[] = ['before its effect', 'half way', 'after its effect'];

type Call = (...words: unknown[]) => Promise<unknown>;

/**
 * Fails the n-th of all SQL statements and file calls that go through it. Until `heal` every later one fails as well and
 * has no effect: the process is dead, or has lost its connections and its disk. Half way counts what writes files only.
 */
export class Strike {
  private count = 0;
  dead = false;
  private healed = false;
  /** The call that was struck; null: there was no n-th. */
  struck: string | null = null;

  constructor(
    private readonly at: number,
    private readonly flavour: Flavour,
  ) {}

  heal(): void {
    this.dead = false;
    this.healed = true;
  }

  /** One step that counts. `half`: leaves a part of the effect. */
  async step<Result>(name: string, effect: () => Promise<Result>, half?: () => Promise<unknown>): Promise<Result> {
    if (this.dead) throw lost(name);
    if (this.healed || (this.flavour === 'half way' && half === undefined) || ++this.count !== this.at) return effect();
    this.struck = name;
    this.dead = true;
    if (this.flavour === 'half way') await half?.();
    if (this.flavour === 'after its effect') await effect();
    throw lost(name);
  }

  /** A session whose connection ends with the strike, and its open transaction with it. */
  session(session: Session): Session {
    return {
      ...session,
      query: async <Row>(statement: Statement): Promise<Row[]> => {
        try {
          return await this.step(statement.text, () => session.query<Row>(statement));
        } catch (error) {
          if (this.dead) await session.close().catch(() => undefined);
          throw error;
        }
      },
    };
  }

  /** Single statements, each a transaction of its own. */
  database<Target extends { query<Row>(tenant: null, statement: Statement): Promise<Row[]> }>(database: Target) {
    return {
      query: <Row>(tenant: null, statement: Statement): Promise<Row[]> =>
        this.step(statement.text, () => database.query<Row>(tenant, statement)),
    };
  }

  /** The functions of node:fs/promises, and the handles that they open. */
  files<Functions extends object>(functions: Functions): Functions {
    return this.wrap(functions, (name, words) => (name === 'writeFile' ? halved(words, 1) : null));
  }

  private wrap<Target extends object>(target: Target, half: (name: string, words: unknown[]) => unknown[] | null): Target {
    return new Proxy(target, {
      get: (object, property) => {
        const value: unknown = Reflect.get(object, property);
        if (typeof value !== 'function') return value;
        const name = String(property);
        return async (...words: unknown[]) => {
          const call = (own: unknown[]) => Reflect.apply(value as Call, object, own);
          // Node itself complains of a handle that is left open.
          if (name === 'close') await call([]);
          const part = half(name, words);
          const effect = async () => {
            const result = name === 'close' ? undefined : await call(words);
            if (name === 'open' && this.dead) await (result as fileSystem.FileHandle).close();
            return result;
          };
          const place = `${name} ${typeof words[0] === 'string' ? words[0] : ''}`;
          const result = await this.step(place, effect, part === null ? undefined : () => call(part));
          return name === 'open' ? this.wrap(result as object, (own, own_) => (own === 'writeFile' ? halved(own_, 0) : null)) : result;
        };
      },
    });
  }
}

function halved(words: unknown[], at: number): unknown[] {
  const content = words[at] as string | Buffer;
  return words.map((word, index) => (index === at ? content.slice(0, content.length / 2) : word));
}

function lost(name: string): DatabaseFault {
  return new DatabaseFault('connection', null, null, `struck at ${name}`);
}
