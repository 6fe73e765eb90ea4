import { createClient, type Client } from 'graphql-ws';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket, type ClientOptions } from 'ws';
import type { Loose } from './system.js';

export interface SubscriberOptions {
  /** `connectionParams`, as they are sent. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly origin?: string;
}

/** One subscription of a subscriber, with all that came so far. */
export interface Watching {
  readonly pushes: Loose[];
  /** What the server said when it refused or ended it with an error. */
  readonly errors: Loose[];
  /** True once the server completed it. */
  completed: boolean;
  stop(): void;
}

/** A client of the socket, as frontends use it: the library graphql-ws, without coming back by itself. */
export class Subscriber {
  /** Close code and reason, once the socket is closed. */
  closed: { code: number; reason: string } | null = null;
  private readonly client: Client;
  private isOpen = false;

  constructor(endpoint: string, { parameters, origin }: SubscriberOptions = {}) {
    class Socket extends WebSocket {
      constructor(address: string, protocols: string | string[]) {
        super(address, protocols, { origin } as ClientOptions);
      }
    }
    this.client = createClient({
      url: endpoint.replace(/^http/, 'ws'),
      webSocketImpl: Socket,
      connectionParams: { ...parameters },
      lazy: false,
      retryAttempts: 0,
      onNonLazyError: () => undefined,
      on: {
        connected: () => (this.isOpen = true),
        closed: (event) => {
          const { code = 0, reason = '' } = event as { code?: number; reason?: string };
          this.closed = { code, reason };
        },
      },
    });
  }

  /** Resolves when the server has acknowledged the connection, or has refused it. */
  async settled(): Promise<this> {
    await until(() => this.isOpen || this.closed !== null);
    return this;
  }

  watch(query: string, variables: Record<string, unknown> = {}): Watching {
    const pushes: Loose[] = [];
    const errors: Loose[] = [];
    const watching: Watching = { pushes, errors, completed: false, stop: () => undefined };
    watching.stop = this.client.subscribe<Loose>(
      { query, variables },
      {
        next: (result) => void pushes.push(result as Loose),
        error: (reason) => void errors.push(...(Array.isArray(reason) ? (reason as Loose[]) : [])),
        complete: () => (watching.completed = true),
      },
    );
    return watching;
  }

  async close(): Promise<void> {
    await this.client.dispose();
  }
}

/** Waits until the condition holds; throws after `longest` milliseconds. */
export async function until(holds: () => boolean | Promise<boolean>, what = 'It', longest = 15_000): Promise<void> {
  for (let waited = 0; !(await holds()); waited += 10) {
    if (waited > longest) throw new Error(`${what} did not come about.`);
    await pause(10);
  }
}
