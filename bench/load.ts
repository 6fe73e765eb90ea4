// The load generator: a process of its own, so that every server meets the same one. Takes one job after another over
// the channel to its parent, and answers each with figures, or with the first answer that was not as it must be.
import { connect, type Socket } from 'node:net';
import { mulberry32 } from './patients.js';
import { requestsOf, type Work } from './work.js';

export interface LoadJob {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  /** For how long; null: until the work is used up. */
  readonly milliseconds: number | null;
  readonly work: Work;
}

export interface LoadFigures {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export type LoadAnswer = { readonly figures: LoadFigures } | { readonly fault: string };

process.on('message', (job: LoadJob) => {
  run(job).then(
    (figures) => answer({ figures }),
    (error: unknown) => answer({ fault: error instanceof Error ? error.message : String(error) }),
  );
});
process.once('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the parent ends this process by closing the channel.
process.on('SIGINT', () => undefined);

function answer(message: LoadAnswer): void {
  process.send?.(message);
}

async function run(job: LoadJob): Promise<LoadFigures> {
  const requests = requestsOf(job.work, mulberry32(Date.now()));
  const head = Object.entries({ 'content-type': 'application/json', ...job.headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const latencies: number[] = [];
  const start = performance.now();
  const end = job.milliseconds === null ? Infinity : start + job.milliseconds;
  await Promise.all(
    Array.from({ length: job.connections }, async () => {
      const connection = await Connection.open(job.port);
      try {
        while (performance.now() < end) {
          const request = requests.next();
          if (request === null) break;
          const sent = performance.now();
          const body = await connection.exchange(head, request.body);
          latencies.push(performance.now() - sent);
          request.check(JSON.parse(body));
        }
      } finally {
        connection.close();
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  latencies.sort((one, other) => one - other);
  const quantile = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    requests: latencies.length,
    seconds,
    perSecond: latencies.length / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

/**
 * One kept-alive HTTP/1.1 connection with one request at a time. Reads what the servers send: a status line, headers with
 * a content-length, a body. Lean, because it shares the processors with the server that it measures.
 */
class Connection {
  private received: Buffer = Buffer.alloc(0);
  private wanted = -1;
  private resolve: (body: string) => void = () => undefined;
  private reject: (error: Error) => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', (error) => this.reject(error));
    socket.on('close', () => this.reject(new Error('The server closed the connection.')));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  exchange(head: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      const length = Buffer.byteLength(body);
      this.socket.write(`POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\n${head}content-length: ${length}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk]);
    if (this.wanted < 0 && !this.readHead()) return;
    if (this.received.length < this.wanted) return;
    const body = this.received.toString('utf8', this.wanted - this.length, this.wanted);
    this.received = this.received.subarray(this.wanted);
    this.wanted = -1;
    if (this.status === 200) this.resolve(body);
    else this.reject(new Error(`The server answered ${this.status}: ${body.slice(0, 300)}`));
  }

  private status = 0;
  private length = 0;

  /** True when the whole head is there; `wanted` is then the number of bytes of head and body together. */
  private readHead(): boolean {
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.received.toString('latin1', 0, end);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.reject(new Error('The server answered without a content-length.'));
      return false;
    }
    this.status = Number(head.slice(9, 12));
    this.length = Number(length);
    this.wanted = end + 4 + this.length;
    return true;
  }
}
