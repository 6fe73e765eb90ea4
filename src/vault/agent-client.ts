import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { Failure } from '../kernel/failure.js';
import { frame, Frames, PROTOCOL_VERSION, type AgentAnswer, type AgentRequest } from './agent-protocol.js';

const CONNECTIONS = 2;
const ANSWER_MILLISECONDS = 10_000;

type Answered = Extract<AgentAnswer, { ok: true }>;
type Asked = Exclude<AgentRequest, { op: 'hello' }>;

/**
 * The connections to a key agent, made when they are needed and made again when they were lost. Fails closed: without an
 * answer in time there is no key, and the request ends in AUDIT_UNAVAILABLE, because the agent's log is half of the record
 * of what was opened. A request whose connection was lost is sent once more: the agent may be starting again, and a batch
 * that it logged twice is explained by the same record.
 */
export class AgentClient {
  private readonly connections: readonly Connection[];
  private next = 0;
  private problem: string | null = null;

  constructor(path: string, token: () => Promise<string>) {
    this.connections = Array.from({ length: CONNECTIONS }, () => new Connection(path, token));
  }

  /** Reads the token for every connection, so that it can be replaced while this process runs. */
  static of({ socket, tokenFile }: { readonly socket: string; readonly tokenFile: string }): AgentClient {
    return new AgentClient(socket, async () => (await readFile(tokenFile, 'utf8')).trim());
  }

  /** Lines of the agent's log after a number, see `UnwrapLogReader`. */
  async after(n: number): Promise<string[]> {
    const { lines } = await this.ask({ op: 'log', after: n });
    return lines as string[];
  }

  /** Why the last request got no answer; null when it got one. */
  get health(): string | null {
    return this.problem;
  }

  /** Names the root key of the agent. */
  async rootId(): Promise<string> {
    const [connection] = this.connections;
    return (connection as Connection).rootId().catch((error: unknown) => {
      this.problem = 'key agent unreachable';
      throw unavailable('The key agent does not answer.', error);
    });
  }

  async ask(request: Asked): Promise<Answered> {
    this.next = (this.next + 1) % CONNECTIONS;
    const connection = this.connections[this.next] as Connection;
    let answer: AgentAnswer;
    try {
      answer = await connection.ask(request).catch(() => connection.ask(request));
    } catch (error) {
      this.problem = 'key agent unreachable';
      throw unavailable('The key agent does not answer.', error);
    }
    this.problem = null;
    if (answer.ok) return answer;
    const { code, retryAfter } = answer;
    if (code === 'RATE_LIMITED') {
      const retryAfterSeconds = Math.ceil((retryAfter ?? 1_000) / 1_000);
      throw new Failure(
        'RATE_LIMITED',
        'More keys of patients were asked for than the key agent gives out.',
        `Try again in ${retryAfterSeconds} s.`,
        { extensions: { retryAfterSeconds, retryAfterMilliseconds: retryAfter ?? 1_000 } },
      );
    }
    if (code === 'LOG_UNAVAILABLE') this.problem = 'key agent cannot write its log';
    throw unavailable(`The key agent refuses (${code}).`, null);
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}

function unavailable(sentence: string, cause: unknown): Failure {
  return new Failure('AUDIT_UNAVAILABLE', sentence, 'No data was released. Try again later.', { cause });
}

interface Waiting {
  resolve(answer: AgentAnswer): void;
  reject(error: unknown): void;
}

class Connection {
  private socket: Promise<Socket> | null = null;
  private open: Socket | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private number = 0;
  private root = '';

  constructor(
    private readonly path: string,
    private readonly token: () => Promise<string>,
  ) {}

  async ask(request: Asked): Promise<AgentAnswer> {
    return this.send(await this.connection(), request);
  }

  /** Names the root key, as the agent said when it was greeted. */
  async rootId(): Promise<string> {
    await this.connection();
    return this.root;
  }

  private connection(): Promise<Socket> {
    return (this.socket ??= this.connect());
  }

  close(): void {
    this.open?.destroy();
  }

  private async connect(): Promise<Socket> {
    try {
      const token = await this.token();
      const socket = await connected(this.path);
      this.open = socket;
      this.listen(socket);
      const answer = await this.send(socket, { op: 'hello', version: PROTOCOL_VERSION, token });
      if (!answer.ok) {
        socket.destroy();
        throw new Error(`The key agent refuses the connection (${answer.code}).`);
      }
      this.root = String(answer['root']);
      return socket;
    } catch (error) {
      this.socket = null;
      throw error;
    }
  }

  private listen(socket: Socket): void {
    const frames = new Frames();
    // It keeps the process while it waits for an answer, and no longer.
    socket.unref();
    socket.on('data', (bytes) => {
      try {
        for (const answer of frames.take(bytes))
          this.waiting.get(answer['id'] as number)?.resolve(answer as AgentAnswer);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.socket = null;
      this.open = null;
      for (const { reject } of this.waiting.values()) reject(new Error('The connection to the key agent was lost.'));
    });
  }

  private async send(socket: Socket, request: AgentRequest): Promise<AgentAnswer> {
    const id = ++this.number;
    let patience: NodeJS.Timeout | undefined;
    socket.ref();
    try {
      return await new Promise<AgentAnswer>((resolve, reject) => {
        this.waiting.set(id, { resolve, reject });
        patience = setTimeout(() => socket.destroy(), ANSWER_MILLISECONDS);
        if (socket.destroyed) reject(new Error('The connection to the key agent was lost.'));
        else socket.write(frame({ ...request, id }));
      });
    } finally {
      clearTimeout(patience);
      this.waiting.delete(id);
      if (this.waiting.size === 0) socket.unref();
    }
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
