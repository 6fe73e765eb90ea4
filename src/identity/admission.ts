import { Failure } from '../kernel/failure.js';

/**
 * A room with few places and a short queue in front of it. Password hashing takes 19 MiB and a core for tens of
 * milliseconds: without this, a burst of sign-ins takes the machine away from everybody who is already inside.
 */
export class Admission {
  private occupied = 0;
  private readonly queue: (() => void)[] = [];

  constructor(
    private readonly places: number,
    private readonly queueLength: number,
  ) {}

  /** Runs the work when a place is free, in order of arrival. Throws RATE_LIMITED at once when the queue is full. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.occupied < this.places) {
      this.occupied += 1;
    } else if (this.queue.length < this.queueLength) {
      await new Promise<void>((resolve) => this.queue.push(resolve));
    } else {
      throw new Failure('RATE_LIMITED', 'Too many people are signing in at this moment.', 'Try again in some seconds.');
    }
    try {
      return await work();
    } finally {
      // The place goes to the next in the queue without becoming free in between: nobody can overtake.
      const next = this.queue.shift();
      if (next === undefined) this.occupied -= 1;
      else next();
    }
  }
}
