import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseFault } from '../persistence/sqlstate.js';
import { PolicyEngine } from './engine.js';
import type { ReleaseLoader, Standing } from './release-loader.js';
import { ShadowedPolicy, type DecidingPolicy, type ShadowDifference } from './shadow.js';

/** What a process can tell of its policies; no content. */
export interface PolicyHealth {
  readonly version: string;
  readonly hash: string;
  /** Of the release that is asked beside the one in force. */
  readonly shadow: string | null;
  /** Why what is stored is not what is in force here; null where it is. */
  readonly problem: string | null;
}

/** Every process has a change within two of them, and the time that loading takes. */
const POLL_MILLISECONDS = 1_000;
const JITTER_MILLISECONDS = 500;

/**
 * The policies in force, and who notices that others are. A document takes `current` once and keeps it to its end. A release
 * that does not verify or load changes nothing: the one before it stays in force, and the problem is told.
 * Owns which engine is in force in this process; the loader owns what may be.
 */
export class Policies implements DecidingPolicy {
  private readonly stopping = new AbortController();
  private polling: Promise<void> = Promise.resolve();
  private looking: Promise<void> | null = null;
  private problem: string | null = null;
  private readonly told: ((health: PolicyHealth) => void)[] = [];
  private readonly toldDifferences: Parameters<Policies['onDifference']>[0][] = [];
  private record: (hash: string) => Promise<unknown> = () => Promise.resolve();

  private constructor(
    private standing: Standing,
    /** Null where the policies are a directory's: nothing changes then. */
    readonly releases: ReleaseLoader | null,
  ) {
    this.problem = standing.problem;
  }

  /** The policies of one engine, for ever: a directory that somebody names. */
  static of(engine: PolicyEngine): Policies {
    return new Policies({ engine, shadow: null, counted: null, problem: null, differs: false, unsettled: null }, null);
  }

  /** What is in force by the stored releases. Throws Refusal where none of them can be. */
  static async open(loader: ReleaseLoader): Promise<Policies> {
    return new Policies(await loader.stand(), loader);
  }

  get current(): PolicyEngine {
    return this.standing.engine;
  }

  /** The engine that is asked beside the one in force; null where none is. */
  get shadow(): PolicyEngine | null {
    return this.standing.shadow;
  }

  /** What the shipped directory would put in force, as long as nobody has stored that; see {@link Standing}. */
  get unsettled(): Standing['unsettled'] {
    return this.standing.unsettled;
  }

  /** Whether the shipped directory says something else than what was in force when this process began. */
  get differs(): boolean {
    return this.standing.differs;
  }

  get health(): PolicyHealth {
    const { version, hash } = this.current;
    return { version, hash, shadow: this.shadow?.hash ?? null, problem: this.problem };
  }

  /**
   * What one document asks from its beginning to its end: the engine in force, and beside it the shadow where there is one.
   * @param decisionId of the document, for what is told of differences
   */
  governing(decisionId: () => string): DecidingPolicy {
    const { engine, shadow } = this.standing;
    if (shadow === null) return engine;
    return new ShadowedPolicy(engine, shadow, (difference) => {
      for (const tell of this.toldDifferences) tell({ ...difference, decisionId: decisionId() });
    });
  }

  /** Told of each decision that the shadow would have made otherwise, once for each document. */
  onDifference(tell: (difference: ShadowDifference & { readonly decisionId: string }) => void): void {
    this.toldDifferences.push(tell);
  }

  /** Told of every change of what is in force, and of every problem when it comes and goes. */
  onChange(tell: (health: PolicyHealth) => void): void {
    this.told.push(tell);
  }

  /** Begins to look for changes. `record` makes the record of a change: without it, the change is not made here. */
  start(record: (hash: string) => Promise<unknown>): void {
    this.record = record;
    if (this.releases !== null) this.polling = this.poll();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.polling;
    await this.looking;
  }

  /** Looks now. What cannot be looked at is told as a problem and looked at again later. */
  refresh(): Promise<void> {
    this.looking ??= this.look().finally(() => (this.looking = null));
    return this.looking;
  }

  get version(): string {
    return this.current.version;
  }
  get hash(): string {
    return this.current.hash;
  }
  get files(): number {
    return this.current.files;
  }
  get ruleIds(): readonly string[] {
    return this.current.ruleIds;
  }
  get consentScopes(): readonly string[] {
    return this.current.consentScopes;
  }
  get operations(): PolicyEngine['operations'] {
    return this.current.operations;
  }
  get indexes(): PolicyEngine['indexes'] {
    return this.current.indexes;
  }
  get emergencyAccess(): PolicyEngine['emergencyAccess'] {
    return this.current.emergencyAccess;
  }

  decide(...question: Parameters<PolicyEngine['decide']>): ReturnType<PolicyEngine['decide']> {
    return this.current.decide(...question);
  }
  purposesOf(...question: Parameters<PolicyEngine['purposesOf']>): readonly string[] {
    return this.current.purposesOf(...question);
  }
  knowsPurpose(purpose: string): boolean {
    return this.current.knowsPurpose(purpose);
  }
  classOf(...question: Parameters<PolicyEngine['classOf']>): ReturnType<PolicyEngine['classOf']> {
    return this.current.classOf(...question);
  }

  private async poll(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      // Spread, so that the processes of an installation do not ask at the same moment.
      const wait = POLL_MILLISECONDS + randomInt(JITTER_MILLISECONDS);
      await pause(wait, undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await this.refresh();
    }
  }

  private async look(): Promise<void> {
    const { releases, standing } = this;
    if (releases === null) return;
    try {
      const next = await releases.next(standing);
      const changes = next.engine !== standing.engine;
      if (next !== standing) {
        if (changes) await this.record(next.engine.hash);
        await releases.remember();
        this.standing = next;
      }
      this.say(next.problem, changes);
    } catch (error) {
      this.say(error instanceof DatabaseFault ? 'the database cannot be asked' : 'looking for changes failed', false);
    }
  }

  /** Told when something changes or a problem comes or goes, not with every look. */
  private say(problem: string | null, changed: boolean): void {
    if (problem === this.problem && !changed) return;
    this.problem = problem;
    for (const tell of this.told) tell(this.health);
  }
}
