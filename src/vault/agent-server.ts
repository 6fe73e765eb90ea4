import { hash, timingSafeEqual } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Refusal } from '../config/refusal.js';
import { AgentFault, type AgentKeys } from './agent-keys.js';
import type { UnwrapLog } from './agent-log.js';
import { UnwrapLogReader } from './agent-log-reader.js';
import { frame, Frames, PROTOCOL_VERSION, type AgentRequest } from './agent-protocol.js';

const MOST_CONNECTIONS = 64;
/** Bytes of the first frame, before the client has shown the token. */
const LARGEST_HELLO = 1_024;
const HELLO_MILLISECONDS = 5_000;
/** Requests of one connection that are worked on at once. */
const MOST_AT_ONCE = 32;

export interface AgentServerOptions {
  readonly keys: AgentKeys;
  readonly log: UnwrapLog;
  readonly logDirectory: string;
  /** What every client must show. */
  readonly token: string;
  /** Names the root key, see `RootKeyProvider.id`. */
  readonly rootId: string;
  /** Something was refused: for the operator's log. */
  refused(code: string): void;
}

/**
 * The socket of a key agent. Node cannot ask who is at the other end (SO_PEERCRED): the mode of the socket and of its
 * directory keep other users away, and the token in a file tells the members of that group apart from whoever only
 * reached the socket.
 */
export class AgentServer {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly options: AgentServerOptions) {
    this.server = createServer((socket) => this.accept(socket));
    this.server.maxConnections = MOST_CONNECTIONS;
  }

  /** Listens on a path; a socket that a crash left there is replaced, one that answers is not. */
  static async listen(path: string, options: AgentServerOptions): Promise<AgentServer> {
    if (await answers(path)) throw new Refusal(`Another key agent answers on ${path}.`);
    await rm(path, { force: true });
    const agent = new AgentServer(options);
    await new Promise<void>((resolve, reject) => {
      agent.server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Refusal(`The socket ${path} cannot be made (${error.code}).`)),
      );
      agent.server.listen(path, resolve);
    });
    await chmod(path, 0o660);
    return agent;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    new Conversation(socket, this.options);
    socket.once('close', () => this.sockets.delete(socket));
  }
}

/** One connection: nothing but `hello` before the token was shown. */
class Conversation {
  private readonly frames = new Frames();
  private readonly patience: NodeJS.Timeout;
  private readonly log: UnwrapLogReader;
  private known = false;
  private running = 0;

  constructor(
    private readonly socket: Socket,
    private readonly options: AgentServerOptions,
  ) {
    this.log = new UnwrapLogReader(options.logDirectory);
    this.patience = setTimeout(() => socket.destroy(), HELLO_MILLISECONDS);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => clearTimeout(this.patience));
    socket.on('data', (bytes) => this.take(bytes));
  }

  private take(bytes: Buffer): void {
    try {
      const messages = this.frames.take(bytes, this.known ? undefined : LARGEST_HELLO);
      for (const message of messages) {
        if (this.known) void this.answer(message);
        else this.greet(message);
      }
    } catch {
      this.options.refused('BAD_REQUEST');
      this.socket.destroy();
    }
  }

  private greet({ id, op, version, token }: Record<string, unknown>): void {
    const shown = hash('sha256', typeof token === 'string' ? token : '', 'buffer');
    this.known = timingSafeEqual(shown, hash('sha256', this.options.token, 'buffer')) && op === 'hello';
    clearTimeout(this.patience);
    if (this.known && version === PROTOCOL_VERSION) {
      this.send({ id, ok: true, version: PROTOCOL_VERSION, root: this.options.rootId });
      return;
    }
    this.options.refused(this.known ? 'BAD_REQUEST' : 'UNAUTHENTICATED');
    this.socket.end(frame({ id, ok: false, code: this.known ? 'BAD_REQUEST' : 'UNAUTHENTICATED' }));
    this.known = false;
  }

  private async answer(message: Record<string, unknown>): Promise<void> {
    const { id } = message;
    if (++this.running >= MOST_AT_ONCE) this.socket.pause();
    try {
      this.send({ ...(await this.work(message as AgentRequest & Record<string, unknown>)), id, ok: true });
    } catch (error) {
      const { code, retryAfter } = error instanceof AgentFault ? error : new AgentFault('BAD_REQUEST');
      this.options.refused(code);
      this.send({ id, ok: false, code, retryAfter });
    } finally {
      if (--this.running < MOST_AT_ONCE) this.socket.resume();
    }
  }

  private async work(request: AgentRequest): Promise<object> {
    const { keys } = this.options;
    switch (request.op) {
      case 'root.wrap':
        return keys.wrap(request);
      case 'root.wrapNew':
        return keys.wrapNew(request);
      case 'root.unwrap':
        return keys.unwrap(request);
      case 'subject.wrap':
        return keys.wrapSubject(request);
      case 'subject.unwrap':
        return keys.unwrapSubjects(request);
      case 'log':
        return { lines: await this.lines(request.after) };
      default:
        throw new AgentFault('BAD_REQUEST');
    }
  }

  /** What is durable: a line that is only written may be gone after a crash, and its number another's. */
  private async lines(after: number): Promise<string[]> {
    const { n } = this.options.log.end;
    if (!Number.isInteger(after) || after < 0) throw new AgentFault('BAD_REQUEST');
    return after >= n ? [] : (await this.log.after(after)).slice(0, n - after);
  }

  private send(answer: object): void {
    if (!this.socket.destroyed) this.socket.write(frame(answer));
  }
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
