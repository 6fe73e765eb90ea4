import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import { Refusal } from '../config/refusal.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { PolicyEngine } from './engine.js';
import { PolicyError } from './error.js';
import type { PolicyKey } from './policy-key.js';
import { countedApprovals, digestOf, highestOf, releaseFault, SYSTEM, textOf, verifyHistory } from './release.js';
import type { Activation, Release } from './release.js';
import type { Counted, ReleaseStore } from './release.store.js';
import { PolicySource } from './source.js';

/** Engines that are kept: of the release in force, of one before it to go back to, of a shadow. */
const MOST_ENGINES = 4;

/** A release that may not be in force, and why. */
export class UnfitRelease extends Refusal {}

/** What is in force, and by which state of the tables. */
export interface Standing {
  readonly engine: PolicyEngine;
  readonly shadow: PolicyEngine | null;
  /** Null where it is not read from the tables. */
  readonly counted: Counted | null;
  readonly problem: string | null;
  /** Whether the shipped directory says something else. */
  readonly differs: boolean;
  /**
   * Set while the policies of the shipped directory are in force and no release of them is stored yet: whoever composes
   * stores it with its record. `stopgap`: the stored release does not load, and nobody adopts the directory for good.
   */
  readonly unsettled: 'install' | 'stopgap' | null;
}

export interface LoaderOptions {
  readonly store: ReleaseStore;
  readonly key: PolicyKey;
  readonly registry: AttributeRegistry;
  /** The policies that came with the software. */
  readonly shipped: PolicySource;
  /** File that remembers how far the history went: a shorter one is refused. Not in the database. */
  readonly head: string;
  /** Whether shipped policies of a higher version are adopted without two people: for trying out. */
  readonly adopts: boolean;
  /** Whether the shipped policies decide where no stored release loads: for commands that put another one in force. */
  readonly stopgap: boolean;
}

const NEXT_STEP =
  'Put another release in force with "npm run policy -- propose", "approve" and "activate", or go back to the software before.';

interface Head {
  readonly sequence: number;
  readonly digest: string;
}

/**
 * Decides what may be in force: verifies history, signatures, approvals and content before a rule is read, every time and
 * whatever the configuration says. Nothing that is not signed by the policy key counts.
 */
export class ReleaseLoader {
  private readonly engines = new LRUCache<string, PolicyEngine>({ max: MOST_ENGINES });

  constructor(private readonly options: LoaderOptions) {}

  get store(): ReleaseStore {
    return this.options.store;
  }
  get key(): PolicyKey {
    return this.options.key;
  }
  get registry(): AttributeRegistry {
    return this.options.registry;
  }
  get shipped(): PolicySource {
    return this.options.shipped;
  }

  /** What a process begins with. Throws Refusal where nothing may be in force: with that, nothing is served. */
  async stand(): Promise<Standing> {
    const { store, shipped, registry, adopts, stopgap } = this.options;
    const counted = await store.counted();
    if (counted.activations === 0) {
      if ((await this.head()) !== null)
        throw new Refusal(`The history of the policies is gone from the database. ${this.restored()}`);
      const engine = PolicyEngine.load(shipped, registry);
      return { engine, shadow: null, counted, problem: null, differs: false, unsettled: 'install' };
    }
    const { active, problem } = await this.active();
    const differs = this.differs(await store.release(active.hash));
    const newer = adopts && differs ? await this.adoptable(highestOf(await this.history())) : null;
    if (newer !== null) return { engine: newer, shadow: null, counted, problem, differs: false, unsettled: 'install' };
    try {
      const engine = await this.loaded(active.hash);
      await this.remember();
      const shadow = await this.shadow();
      return { engine, shadow, counted, problem, differs, unsettled: null };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!stopgap) throw new Refusal(`${error.message} ${NEXT_STEP}`);
      const engine = PolicyEngine.load(shipped, registry);
      return { engine, shadow: null, counted, problem: error.message, differs, unsettled: 'stopgap' };
    }
  }

  /** What is in force now; the same object where nothing changed. What does not verify or load leaves the engine as it is. */
  async next(standing: Standing): Promise<Standing> {
    const counted = await this.store.counted();
    const before = standing.counted;
    if (before !== null && counted.activations === before.activations && counted.shadows === before.shadows)
      return standing;
    try {
      const { active, problem } = await this.active();
      const engine = active.hash === standing.engine.hash ? standing.engine : await this.loaded(active.hash);
      return { engine, shadow: await this.shadow(), counted, problem, differs: standing.differs, unsettled: null };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { ...standing, counted, problem: error.message };
    }
  }

  /** Remembers how far the history went, outside of the database. */
  async remember(): Promise<void> {
    const { activations } = verifyHistory(await this.store.history(), this.key);
    const last = activations.at(-1);
    const known = await this.head();
    if (last === undefined || (known !== null && known.sequence >= last.sequence)) return;
    await replaceFile(this.options.head, JSON.stringify({ sequence: last.sequence, digest: digestOf(last) }));
  }

  /** The last activation that holds. A history that is shorter than it was, or another one, is refused. */
  async active(): Promise<{ active: Activation; problem: string | null }> {
    const { activations, problem } = verifyHistory(await this.store.history(), this.key);
    const head = await this.head();
    const active = activations.at(-1);
    if (head !== null && !activations.some((one) => digestOf(one) === head.digest)) {
      throw new Refusal(`The history of the policies is not the one that this installation knows. ${this.restored()}`);
    }
    if (active === undefined || (head === null && problem !== null)) {
      throw new Refusal(`No release of the policies holds. ${problem ?? ''}`);
    }
    return { active, problem };
  }

  /** The entries of the history that hold, oldest first. */
  async history(): Promise<readonly Activation[]> {
    return verifyHistory(await this.store.history(), this.key).activations;
  }

  /** Of all entries, those too that do not hold. */
  async lastSequence(): Promise<number> {
    return (await this.store.history()).at(-1)?.sequence ?? 0;
  }

  /** The files of the release in force, where it is what was signed; else none. What a proposal begins with. */
  async baseline(): Promise<Release['files']> {
    const active = (await this.history()).at(-1);
    const release = active === undefined ? null : await this.store.release(active.hash);
    return release === null || releaseFault(release, this.key) !== null ? {} : release.files;
  }

  /** A release whose signature and content hold. Throws UnfitRelease for any other. */
  async signed(hash: string): Promise<Release> {
    const release = await this.store.release(hash);
    const fault = release === null ? 'it is missing' : releaseFault(release, this.key);
    if (release !== null && fault === null) return release;
    throw unfit(hash, fault ?? '');
  }

  /** A release that may be in force. Throws UnfitRelease for one that is missing, or is not what was signed or approved. */
  async verified(hash: string): Promise<Release> {
    const release = await this.signed(hash);
    if (release.author.id === SYSTEM.id) return release;
    if (countedApprovals(release, await this.store.approvals(hash), this.key).length > 0) return release;
    throw unfit(hash, 'nobody but its author approved it');
  }

  /** The engine of a release that verifies. Throws UnfitRelease where it does not, or does not fit this software. */
  async loaded(hash: string, { lazy = false } = {}): Promise<PolicyEngine> {
    return this.engineOf(await this.verified(hash), lazy);
  }

  /** As {@link loaded}, of a release that is signed and need not be approved: for shadows, which decide nothing. */
  async proposed(hash: string): Promise<PolicyEngine> {
    return this.engineOf(await this.signed(hash), false);
  }

  /** Of files that are those that were signed. Loading takes a second and more: what was loaded is not loaded again. */
  private engineOf(release: Release, lazy: boolean): PolicyEngine {
    const known = this.engines.get(`${release.hash} ${release.content} ${lazy}`);
    if (known !== undefined) return known;
    const engine = this.made(release, lazy);
    this.engines.set(`${release.hash} ${release.content} ${lazy}`, engine);
    return engine;
  }

  private made(release: Release, lazy: boolean): PolicyEngine {
    try {
      const files = new Map(Object.entries(release.files));
      // Those of the software hold too: of another version of it than the one that the release was proposed to.
      const source = PolicySource.of(`release ${release.version}`, files, this.shipped);
      const engine = PolicyEngine.load(source, this.registry, { lazy });
      if (engine.hash === release.hash && engine.version === String(release.version)) return engine;
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      throw unfit(release.hash, `it does not fit this software (${error.problems.length} problems)`);
    }
    throw unfit(release.hash, 'its rules are not those that were signed');
  }

  /** A shadow decides nothing: one that does not verify is none. */
  private async shadow(): Promise<PolicyEngine | null> {
    const last = await this.store.lastShadowing();
    if (last?.hash == null || !this.key.verifies(textOf.shadowing(last), last.signature)) return null;
    return this.proposed(last.hash).catch((error: unknown) => {
      if (error instanceof Refusal) return null;
      throw error;
    });
  }

  /** Shipped policies of a higher version that nobody has proposed; null where there are none. */
  private async adoptable(version: number): Promise<PolicyEngine | null> {
    const engine = PolicyEngine.load(this.shipped, this.registry);
    return Number(engine.version) > version && (await this.store.release(engine.hash)) === null ? engine : null;
  }

  private differs(release: Release | null): boolean {
    if (release === null) return true;
    const { texts } = this.shipped;
    const names = new Set([...texts.keys(), ...Object.keys(release.files)]);
    return [...names].some((name) => texts.get(name) !== release.files[name]);
  }

  private async head(): Promise<Head | null> {
    try {
      return JSON.parse(await readFile(this.options.head, 'utf8')) as Head;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new Refusal(`The file ${this.options.head} cannot be read: restore it.`);
    }
  }

  private restored(): string {
    return `If the database was restored from a backup on purpose, remove ${this.options.head} and start again.`;
  }
}

function unfit(hash: string, fault: string): UnfitRelease {
  return new UnfitRelease(`The release ${hash.slice(0, 12)} of the policies is not put in force: ${fault}.`);
}

async function replaceFile(file: string, content: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
