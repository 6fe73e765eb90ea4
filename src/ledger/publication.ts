import { verifyCosignature } from '../../audit/cosignature.mjs';
import { type Policy, satisfies } from '../../audit/policy.mjs';
import { Refusal } from '../config/refusal.js';
import type { Clock } from '../kernel/clock.js';
import type { CheckpointStore } from './checkpoint-store.js';
import {
  type Cosignature,
  type SignedCheckpoint,
  signedCheckpoint,
  WitnessClient,
  type WitnessClientOptions,
  type WitnessHealth,
} from './witness-client.js';

/** Cosignatures over the newest checkpoint of a log, and since when each stands, in milliseconds of the clock. */
interface Shown {
  checkpoint: SignedCheckpoint;
  lines: Map<string, Cosignature & { readonly since: number }>;
  /** What auditors are shown now; null: nothing of this process yet. */
  published: { readonly note: string; readonly quorum: boolean; readonly since: number } | null;
}

export interface PublicationOptions extends Omit<WitnessClientOptions, 'storedSize' | 'announce'> {
  readonly store: CheckpointStore;
  /** Who is asked, and which of them are enough; null: nobody. */
  readonly policy: Policy | null;
  readonly clock: Clock;
}

/** A cosignature says that nothing newer was seen at its time, so it is renewed while the log stands still. */
const RENEWAL = 600_000;
/** For so long a checkpoint with a quorum stays in its place when the next one finds none. */
const PATIENCE = 60_000;

/**
 * Shows auditors what was signed: asks all witnesses at once, then publishes the checkpoint with the cosignatures there
 * are. Only the leader calls `show`. Nothing here is remembered that the store and the witnesses do not know.
 */
export class Publication {
  private readonly clients: readonly WitnessClient[];
  private readonly shown = new Map<string, Shown>();
  private listener: ((name: string, problem: string | null) => void) | null = null;

  /** Throws a {@link Refusal} for a policy whose witnesses cannot be asked. */
  constructor(private readonly options: PublicationOptions) {
    const storedSize = async (log: string) => Number((await options.store.read(log))?.split('\n')[1] ?? 0);
    this.clients = (options.policy?.witnesses ?? []).map((witness) => {
      const { name, url } = witness;
      if (url === null || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
        throw new Refusal(`The witness ${name} of the policy has no http or https address.`);
      }
      const announce = (witness: string, problem: string | null) => this.listener?.(witness, problem);
      return new WitnessClient({ ...witness, url }, { ...options, storedSize, announce });
    });
  }

  /** Is told once when a witness fails, and once with null when it cosigns again. One listener. */
  onAlarm(listener: (name: string, problem: string | null) => void): void {
    this.listener = listener;
  }

  health(): WitnessHealth[] {
    return this.clients.map((client) => client.health());
  }

  /**
   * Before anything is signed: does any witness hold a checkpoint of these logs that the stored one does not extend? Then a
   * {@link LedgerFault} ("ledger rollback detected …"), also where database and store were set back together.
   */
  async verify(notes: ReadonlyMap<string, string | null>): Promise<void> {
    const stored = [...notes].map(([log, note]) => ({ log, held: note === null ? null : signedCheckpoint(log, note) }));
    await Promise.all(
      this.clients.flatMap((client) => stored.map(({ log, held }) => this.watches(log) && client.compare(log, held))),
    );
  }

  /** Publishes the stored checkpoints of these logs, each as soon as its witnesses have answered. */
  async show(notes: ReadonlyMap<string, string>): Promise<void> {
    const results = await Promise.allSettled([...notes].map(([log, note]) => this.showOne(log, note)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  private async showOne(log: string, note: string): Promise<void> {
    const shown = this.shown.get(log) ?? (await this.recall(log, note));
    this.shown.set(log, shown);
    const now = this.options.clock.milliseconds();
    if (shown.checkpoint.note !== note)
      Object.assign(shown, { checkpoint: signedCheckpoint(log, note), lines: new Map() });
    const asked = this.watches(log) ? this.clients : [];
    await Promise.all(
      asked.map(async (client) => {
        const { name } = client.witness;
        if (now - (shown.lines.get(name)?.since ?? -Infinity) < RENEWAL) return;
        const cosignature = await client.cosign(shown.checkpoint);
        if (cosignature !== null) shown.lines.set(name, { ...cosignature, since: now });
      }),
    );
    const lines = this.clients.map(({ witness }) => shown.lines.get(witness.name)?.line ?? '');
    const full = note + lines.join('');
    const { published } = shown;
    if (published?.note === full) return;
    const quorum = this.hasQuorum(log, full);
    if (!quorum && published?.quorum === true && now - published.since < PATIENCE) return;
    await this.options.store.publish(log, full);
    shown.published = { note: full, quorum, since: now };
  }

  /** Where the policy lists logs, its witnesses know no others. */
  private watches(log: string): boolean {
    const logs = this.options.policy?.logs ?? [];
    return logs.length === 0 || logs.some(({ vkey }) => vkey === this.options.vkey(log));
  }

  private hasQuorum(log: string, note: string): boolean {
    const { policy } = this.options;
    return policy === null || !this.watches(log) || satisfies({ ...policy, logs: [] }, note).ok;
  }

  /** Logs whose published checkpoint the policy does not accept. From the store, so in every process. */
  async unwitnessed(): Promise<string[]> {
    const { policy, store } = this.options;
    if (policy === null) return [];
    const logs = await store.logs();
    const fit = await Promise.all(
      logs.map(async (log) => {
        const note = await store.readPublished(log);
        return note !== null && this.hasQuorum(log, note);
      }),
    );
    return logs.filter((_, at) => fit[at] === false);
  }

  /** After a start: the cosignatures that are published already. */
  private async recall(log: string, note: string): Promise<Shown> {
    const checkpoint = signedCheckpoint(log, note);
    const shown: Shown = { checkpoint, lines: new Map(), published: null };
    const published = await this.options.store.readPublished(log);
    if (published === null) return shown;
    const { text } = signedCheckpoint(log, published);
    if (text !== checkpoint.text) return shown;
    for (const { witness } of this.clients) {
      try {
        const cosignature = verifyCosignature(text, published.slice(text.length + 1), witness.vkey);
        shown.lines.set(witness.name, { ...cosignature, since: cosignature.time * 1000 });
      } catch {
        // It has not cosigned this one.
      }
    }
    return shown;
  }
}
