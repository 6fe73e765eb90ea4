import type { Cursors } from './cursor.js';
import type { Page } from './reader.js';
import type { View } from './view.js';

/** A Relay edge. The cursor is sealed when it is asked for: most documents want only the last one. */
export class Edge {
  readonly node: View;

  constructor(
    entry: { readonly view: View; readonly position: readonly unknown[] },
    private readonly cursors: Cursors,
  ) {
    this.node = entry.view;
    this.position = entry.position;
  }

  private readonly position: readonly unknown[];
  private sealed: string | null = null;

  /** The same text whenever it is asked for: no two seals of a position are equal, and page info repeats cursors. */
  get cursor(): string {
    this.sealed ??= this.cursors.seal(this.position);
    return this.sealed;
  }
}

/** Relay page info of one connection. */
export class PageInfo {
  constructor(
    private readonly edges: readonly Edge[],
    readonly hasNextPage: boolean,
    readonly hasPreviousPage: boolean,
  ) {}

  get startCursor(): string | null {
    return this.edges[0]?.cursor ?? null;
  }

  get endCursor(): string | null {
    return this.edges.at(-1)?.cursor ?? null;
  }
}

/** A page of views in the shape of the Relay connection specification. */
export class Connection {
  readonly edges: readonly Edge[];
  readonly pageInfo: PageInfo;

  constructor(
    entries: readonly { readonly view: View; readonly position: readonly unknown[] }[],
    cursors: Cursors,
    page: Page,
    /** At most the largest count; null when it was not asked for. */
    readonly totalCount: number | null,
  ) {
    this.edges = entries.map((entry) => new Edge(entry, cursors));
    this.pageInfo = new PageInfo(this.edges, page.hasNextPage, page.hasPreviousPage);
  }
}
