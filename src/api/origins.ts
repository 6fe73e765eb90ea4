const LOCAL = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/** The allow-list of origins whose pages may call from a browser. `localhost` in it stands for any port of this machine. */
export class Origins {
  constructor(private readonly allowed: readonly string[]) {}

  /** False for an absent origin too: whoever asks wants to know that a listed page called. */
  allows(origin: string | undefined): boolean {
    if (origin === undefined) return false;
    return this.allowed.includes(origin) || (this.allowed.includes('localhost') && LOCAL.test(origin));
  }
}
