import type * as fileSystem from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseFault } from '../../src/persistence/sqlstate.js';
import type { Statement } from '../../src/persistence/statement.js';
import type { Session } from '../../src/ledger/session.js';

/** How a call fails: without effect, with it, or (what is written to a file) with half of it. */
export type Flavour = 'before its effect' | 'half way' | 'after its effect';
export const FLAVOURS: readonly Flavour[] = ['before its effect', 'half way', 'after its effect'];

type Call = (...words: unknown[]) => Promise<unknown>;

/** Calls that change files, or open them to be changed: in between a process that dies leaves the same files. */
export const CHANGING: ReadonlySet<string> = new Set(['link', 'mkdir', 'open', 'rename', 'rm', 'rmdir', 'writeFile']);

/**
 * Fails the n-th of all SQL statements and file calls that go through it. Until `heal` every later one fails as well and
 * has no effect: the process is dead, or has lost its connections and its disk. Half way counts what writes files only.
 */
export class Strike {
  private readonly running = new Set<Promise<unknown>>();
  private count = 0;
  private healed = false;
  /** Nothing has an effect any more. */
  dead = false;
  /** The call that was struck; null: there was no n-th. */
  struck: string | null = null;

  constructor(
    private readonly at: number,
    private readonly flavour: Flavour,
    /** `counted`: names of the only calls that count. `deadly` false: later ones have their effect. */
    private readonly options: { readonly counted?: ReadonlySet<string>; readonly deadly?: boolean } = {},
  ) {}

  heal(): void {
    this.dead = false;
    this.healed = true;
  }

  /** Resolves when nothing runs any more that was begun before the strike, beside what failed. */
  async calm(): Promise<void> {
    while (this.running.size > 0) {
      await Promise.allSettled(this.running);
      await nextTurn();
    }
  }

  /** One step. `half`: leaves a part of the effect. */
  private async step<Result>(
    name: string,
    effect: () => Promise<Result>,
    half?: () => Promise<unknown>,
  ): Promise<Result> {
    if (this.dead) throw lost(name);
    const { counted, deadly = true } = this.options;
    const counts = this.flavour === 'half way' ? half !== undefined : (counted?.has(name.split(' ')[0] ?? '') ?? true);
    if (this.healed || !counts || ++this.count !== this.at) return effect();
    this.struck = name;
    this.dead = deadly;
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
    return this.wrap(functions, 1);
  }

  /** `contentAt`: which parameter of writeFile is the content. */
  private wrap<Target extends object>(target: Target, contentAt: number): Target {
    return new Proxy(target, {
      get: (object, property) => {
        const value: unknown = Reflect.get(object, property);
        if (typeof value !== 'function') return value;
        return async (...words: unknown[]) => {
          const name = String(property);
          const call = (own: unknown[]) => Reflect.apply(value as Call, object, own);
          // Node itself complains of a handle that is left open.
          if (name === 'close') await call([]);
          const half = name === 'writeFile' ? () => call(halved(words, contentAt)) : undefined;
          const place = contentAt === 0 ? name : `${name} ${String(words[0])}`;
          let opened: fileSystem.FileHandle | null = null;
          const effect = async () => {
            const result = name === 'close' ? undefined : await call(words);
            if (name === 'open') opened = result as fileSystem.FileHandle;
            return result;
          };
          const step = this.step(place, effect, half);
          this.running.add(step);
          const result = await step
            .finally(() => this.running.delete(step))
            .catch(async (error: unknown) => {
              await opened?.close();
              throw error;
            });
          return name === 'open' ? this.wrap(result as object, 0) : result;
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
