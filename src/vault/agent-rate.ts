import type { Clock } from '../kernel/clock.js';

interface Bucket {
  tokens: number;
  filled: number;
}

/**
 * How many subject keys a tenant's work may have unwrapped: a steady number a second, and a burst after a quiet time. Held
 * in memory: a start of the agent fills every bucket.
 */
export class UnwrapRate {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly clock: Clock,
    /** Keys a second and tenant. */
    private readonly rate: number,
    private readonly burst: number,
  ) {}

  /**
   * Takes `count` keys, or none: the milliseconds to wait until they may be taken, 0 where they were. One request larger
   * than the burst passes when the bucket is full, and is paid off afterwards.
   */
  take(tenant: string, count: number): number {
    const now = this.clock.milliseconds();
    const bucket = this.buckets.get(tenant) ?? { tokens: this.burst, filled: now };
    this.buckets.set(tenant, bucket);
    const passed = Math.max(0, now - bucket.filled);
    bucket.tokens = Math.min(this.burst, bucket.tokens + (passed * this.rate) / 1_000);
    bucket.filled = now;
    const lacking = Math.min(count, this.burst) - bucket.tokens;
    if (lacking > 0) return Math.ceil((lacking * 1_000) / this.rate);
    bucket.tokens -= count;
    return 0;
  }
}
