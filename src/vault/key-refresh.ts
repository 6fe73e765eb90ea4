import type { VaultNotice } from './vault.store.js';

/** Twice in the time after which an erased key must be gone everywhere (5 s), with some to spare. */
const EVERY_MILLISECONDS = 2_000;
const MOST_REMEMBERED = 10_000;

/** What is done with what is heard. */
export interface KeyRefreshWork {
  notices(): Promise<readonly VaultNotice[]>;
  /** The keys of a tenant have other states, or there are new ones. */
  reload(tenant: string): Promise<void>;
  forget(tenant: string, subjectId: string): void;
  forgetAll(): void;
}

/**
 * Keeps the keys in this process as they are in the database: looks every two seconds. A process that could not look in two
 * turns does not know what was erased: it drops every subject's key, and loads those that it needs from the database again.
 */
export class KeyRefresh {
  private timer: NodeJS.Timeout | null = null;
  private looking = false;
  private missed = 0;
  private readonly done = new Set<string>();

  constructor(private readonly work: KeyRefreshWork) {}

  start(): void {
    this.timer = setInterval(() => void this.turn(), EVERY_MILLISECONDS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** One look; never rejects. A look that is still under way counts as one that failed. */
  async turn(): Promise<void> {
    if (this.looking) return this.miss();
    this.looking = true;
    try {
      await this.look();
      this.missed = 0;
    } catch {
      this.miss();
    } finally {
      this.looking = false;
    }
  }

  private async look(): Promise<void> {
    const fresh = (await this.work.notices()).filter(({ id }) => !this.done.has(id));
    for (const { tenantId, subjectId } of fresh) if (subjectId !== null) this.work.forget(tenantId, subjectId);
    const changed = new Set(fresh.filter(({ subjectId }) => subjectId === null).map(({ tenantId }) => tenantId));
    for (const tenant of changed) await this.work.reload(tenant);
    if (this.done.size > MOST_REMEMBERED) this.done.clear();
    for (const { id } of fresh) this.done.add(id);
  }

  private miss(): void {
    this.missed += 1;
    if (this.missed >= 2) this.work.forgetAll();
  }
}
