/** So many places for each key, in this process. */
export class Places {
  private readonly taken = new Map<string, number>();

  constructor(private readonly most: number) {}

  /** Takes a place; gives the way to leave it, good once, or null where there is none. */
  enter(key: string): (() => void) | null {
    const before = this.taken.get(key) ?? 0;
    if (before >= this.most) return null;
    this.taken.set(key, before + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      const left = (this.taken.get(key) ?? 1) - 1;
      if (left === 0) this.taken.delete(key);
      else this.taken.set(key, left);
    };
  }
}
