import type { ExecutionArgs, FormattedExecutionResult, GraphQLError, GraphQLSchema } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import type { Context, OperationResult, Server, SubscribePayload } from 'graphql-ws';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { Admission } from '../identity/admission.js';
import type { Identity } from '../identity/identity.js';
import { Unauthenticated } from '../identity/unauthenticated.js';
import { auditUnavailable } from '../operation/answering.js';
import { ChangesMissed } from '../operation/notices.js';
import { Places } from './places.js';
import type { Deployment } from './request-document.js';
import { Acceptance, asGraphQLError, formatted } from './subscription-acceptance.js';
import { hasExpired, SubscriptionCaller } from './subscription-caller.js';
import { Subscription, type SubscriptionServices } from './subscription.js';

/** What one process holds open. `perAccount` counts subscriptions, and sockets apart; `sockets` all connections. */
export const SUBSCRIPTION_LIMITS = { perSocket: 20, perAccount: 100, sockets: 5_000 } as const;

const INIT_MILLISECONDS = 5_000;
/** How often a socket is asked whether it lives, and its session whether it still does. */
const BEAT_MILLISECONDS = 15_000;
const LARGEST_MESSAGE = 64 * 1024;
const PUSHES_AT_ONCE = 200;
const PATH = '/graphql';
/** Close codes of RFC 6455 that GraphQL clients take as a reason to come back. */
const GOING_AWAY = 1001;
const RESTART = 1012;
const TRY_AGAIN_LATER = 1013;

export interface SubscriptionServerOptions extends Omit<SubscriptionServices, 'admission'>, Deployment {
  readonly schema: GraphQLSchema;
  readonly identity: Identity;
  readonly limits?: Readonly<Record<keyof typeof SUBSCRIPTION_LIMITS, number>>;
}

/** What graphql-ws hands to every callback of a socket. */
interface Extra {
  readonly socket: WebSocket;
  readonly clientAddress: string;
  caller: SubscriptionCaller | null;
  /** Leaves the place among the sockets of the account, once it has one. */
  leave: () => void;
  /** Subscriptions on it. */
  open: number;
}
type SocketContext = Context<Record<string, unknown>, Extra>;

/**
 * Subscriptions by the protocol graphql-transport-ws, on the address of the GraphQL endpoint. Nothing else runs here:
 * queries and mutations go by HTTP. A socket is closed with 4403 when its token has run out (a fresh one may go on), with
 * 4401 when its session is not accepted, and with 1012 when changes may have been missed.
 */
export class SubscriptionServer {
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LARGEST_MESSAGE,
    perMessageDeflate: false,
    handleProtocols,
  });
  private readonly services: SubscriptionServices;
  private readonly acceptance: Acceptance;
  private readonly limits: NonNullable<SubscriptionServerOptions['limits']>;
  private readonly subscriptionsOf: Places;
  private readonly socketsOf: Places;
  /** Sockets that have not said whose they are, the oldest first. */
  private readonly strangers = new Set<WebSocket>();
  private readonly protocol: Server<Extra>;
  private draining = false;

  constructor(private readonly options: SubscriptionServerOptions) {
    const { schema, trusted, answering } = options;
    this.limits = options.limits ?? SUBSCRIPTION_LIMITS;
    this.subscriptionsOf = new Places(this.limits.perAccount);
    this.socketsOf = new Places(this.limits.perAccount);
    this.acceptance = new Acceptance(schema, trusted, answering);
    this.services = { ...options, admission: new Admission(PUSHES_AT_ONCE, Number.POSITIVE_INFINITY) };
    this.protocol = makeServer<Record<string, unknown>, Extra>({
      connectionInitWaitTimeout: INIT_MILLISECONDS,
      onConnect: (context) => this.connect(context),
      onSubscribe: (context, _id, payload) => this.accept(context, payload),
      // What comes out of a subscription has its errors formatted: graphql-ws would format them its own way.
      subscribe: ({ contextValue }) => contextValue as OperationResult,
      onNext: (_context, _id, _payload, _args, result) => result as FormattedExecutionResult,
      onError: (_context, _id, _payload, errors) => errors.map(formatted),
    });
  }

  /** Takes the upgrades of this server. */
  attach(server: HttpServer): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const refusal = this.refusalOf(request);
      if (refusal !== null) socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      else this.sockets.handleUpgrade(request, socket, head, (opened) => this.open(opened, request));
    });
  }

  /** Open sockets at this moment. */
  get size(): number {
    return this.sockets.clients.size;
  }

  /** Takes no new sockets and sends the open ones away. */
  async close(): Promise<void> {
    this.draining = true;
    for (const socket of this.sockets.clients) socket.close(GOING_AWAY, 'Going away');
    const late = setTimeout(() => this.sockets.clients.forEach((socket) => socket.terminate()), 1_000);
    await Promise.all(
      [...this.sockets.clients].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    clearTimeout(late);
    this.sockets.close();
  }

  /** A browser names the page's origin and cannot be made to name another; programs name none. */
  private refusalOf({ url = '', headers }: IncomingMessage): string | null {
    if (url.split('?')[0] !== PATH) return '404 Not Found';
    if (headers.origin !== undefined && !this.options.origins.allows(headers.origin)) return '403 Forbidden';
    return this.draining || !this.makeRoom() ? '503 Service Unavailable' : null;
  }

  /** Nobody is kept out by sockets that say nothing: the oldest stranger gives way. False where all are somebody's. */
  private makeRoom(): boolean {
    if (this.size < this.limits.sockets) return true;
    const [oldest] = this.strangers;
    if (oldest === undefined) return false;
    this.strangers.delete(oldest);
    oldest.terminate();
    return true;
  }

  private open(socket: WebSocket, request: IncomingMessage): void {
    this.strangers.add(socket);
    const leave = () => undefined;
    const extra: Extra = { socket, clientAddress: request.socket.remoteAddress ?? '', caller: null, leave, open: 0 };
    const closed = this.protocol.opened(
      {
        protocol: socket.protocol,
        send: (text) => send(socket, text),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) =>
          socket.on('message', (data) => {
            handle(String(data)).catch((error: unknown) => {
              this.options.log.debug('operation failed', { error });
              socket.close(CloseCode.BadRequest, 'Invalid message received');
            });
          }),
      },
      extra,
    );
    let alive = true;
    const beat = setInterval(() => {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
      extra.caller?.actor().catch((error: unknown) => this.dismiss(socket, error));
    }, BEAT_MILLISECONDS);
    socket.on('pong', () => (alive = true));
    // What breaks the protocol of sockets closes the socket by itself; without a listener it would end the process.
    socket.on('error', () => undefined);
    socket.once('close', (code, reason) => {
      clearInterval(beat);
      this.strangers.delete(socket);
      extra.leave();
      void closed(code, String(reason));
    });
  }

  private async connect({ connectionParams, extra }: SocketContext): Promise<boolean> {
    const caller = SubscriptionCaller.of(this.options.identity, connectionParams, extra.clientAddress);
    try {
      const { id } = await caller.actor();
      // What has closed meanwhile would never leave its place.
      if (extra.socket.readyState !== extra.socket.OPEN) return false;
      const leave = this.socketsOf.enter(id);
      if (leave === null) {
        extra.socket.close(TRY_AGAIN_LATER, 'Too many sockets');
        return false;
      }
      Object.assign(extra, { caller, leave });
      this.strangers.delete(extra.socket);
      return true;
    } catch (error) {
      if (error instanceof Unauthenticated) extra.socket.close(CloseCode.Unauthorized, 'Unauthorized');
      else this.dismiss(extra.socket, error);
      return false;
    }
  }

  /** What a socket is told that cannot go on. Any other failure than the caller's own counts as changes that were missed. */
  private dismiss(socket: WebSocket, error: unknown): void {
    if (error instanceof Unauthenticated) {
      if (hasExpired(error)) socket.close(CloseCode.Forbidden, 'The token has expired');
      else socket.close(CloseCode.Unauthorized, 'Unauthorized');
      return;
    }
    if (!(error instanceof ChangesMissed)) this.options.log.error('operation failed', { error });
    socket.close(RESTART, 'Changes may have been missed');
  }

  private async accept(
    context: SocketContext,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { socket, caller } = context.extra;
    if (caller === null) throw new Error('The socket was not acknowledged.');
    let leave: (() => void) | null = null;
    try {
      const { id } = await caller.actor();
      leave = this.enter(context.extra, id);
      const accepted = await this.acceptance.accept(caller, payload, leave !== null);
      if ('caller' in accepted) {
        const broken = (error: unknown) => this.dismiss(socket, error);
        const subscription = new Subscription(this.services, accepted, broken, leave ?? (() => undefined));
        return { ...accepted.args, contextValue: subscription };
      }
      leave?.();
      return accepted;
    } catch (error) {
      leave?.();
      this.dismiss(socket, error);
      return [asGraphQLError(auditUnavailable(error))];
    }
  }

  /** Takes a place among the subscriptions of the account; gives the way to leave it, or null where there is none. */
  private enter(extra: Extra, account: string): (() => void) | null {
    const leaveAccount = extra.open < this.limits.perSocket ? this.subscriptionsOf.enter(account) : null;
    if (leaveAccount === null) return null;
    extra.open += 1;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      extra.open -= 1;
      leaveAccount();
    };
  }
}

/** Resolves when the bytes are on their way, so that who reads slowly is served slowly and not from memory. */
function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.OPEN) socket.send(text, () => resolve());
    else resolve();
  });
}
