import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Refusal } from '../src/config/refusal.js';
import type { ProbeAnswer, ProbeQuestion } from './profiler.js';

/** The root of the build, and of the project: this file is dist/bench/server.js. */
export const DIST = path.resolve(import.meta.dirname, '..');
export const PROJECT = path.resolve(DIST, '..');
const LONGEST_START = 120_000;
/** What `npm start` gives its process: the heap grows in small steps. */
const MEMORY = ['--max-semi-space-size=8', '--heap-growing-percent=20'];
const LONGEST_STOP = 20_000;
/** What `npm start` runs. */
export const GOVERNED = 'src/cli/start.js';

/** A measured server: a child process that announces itself with `ready <url>` and stops at SIGTERM. */
export class MeasuredServer {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    private readonly output: Tail,
  ) {}

  /** @param script below dist/ @param directory where it runs: where its `policies` are */
  static async start(
    script: string,
    environment: Readonly<Record<string, string>>,
    directory: string = PROJECT,
  ): Promise<MeasuredServer> {
    const preloads = (script === GOVERNED ? ['profiler.js', 'measured-policies.js'] : ['profiler.js']).flatMap(
      (name) => ['--import', pathToFileURL(path.join(DIST, 'bench', name)).href],
    );
    const child = spawn(process.execPath, [...MEMORY, ...preloads, path.join(DIST, script)], {
      cwd: directory,
      env: { ...process.env, ...environment, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A group of its own: Ctrl-C reaches the bench only, which stops its children in the right order.
      detached: true,
    });
    const output = new Tail(child);
    try {
      return new MeasuredServer(child, await portOf(child, output), output);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Throws when the process ended by itself, with the end of what it wrote. */
  assertRunning(): void {
    const { exitCode, signalCode } = this.child;
    if (exitCode === null && signalCode === null) return;
    throw new Refusal(`A measured server ended by itself (${signalCode ?? exitCode}):\n${this.output.text}`);
  }

  /** Processor time that the process has used so far, in milliseconds. */
  async processorTime(): Promise<number> {
    const answer = await this.ask({ kind: 'cpu' });
    return answer.kind === 'cpu' ? answer.milliseconds : Number.NaN;
  }

  async startProfile(): Promise<void> {
    await this.ask({ kind: 'start' });
  }

  async stopProfile(file: string | null) {
    const answer = await this.ask({ kind: 'stop', file });
    if (answer.kind !== 'stop') throw new Refusal('The profiler gave no profile.');
    return answer.summary;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise<boolean>((resolve) => this.child.once('exit', () => resolve(true)));
    this.child.kill('SIGTERM');
    const inTime = await Promise.race([ended, pause(LONGEST_STOP, false, { ref: false })]);
    if (!inTime) this.child.kill('SIGKILL');
    await ended;
  }

  private ask(question: ProbeQuestion): Promise<ProbeAnswer> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(new Refusal('A measured server ended by itself.'));
      this.child.once('exit', gone);
      this.child.once('message', (message) => {
        this.child.off('exit', gone);
        resolve(message as ProbeAnswer);
      });
      this.child.send(question);
    });
  }
}

/** Waits for the ready line. */
function portOf(child: ChildProcess, output: Tail): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Refusal('A server did not become ready.')), LONGEST_START);
    const read = () => {
      const port = /^ready http:\/\/[^/]*:(\d+)\//m.exec(output.text)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      child.stdout?.off('data', read);
      resolve(Number(port));
    };
    child.stdout?.on('data', read);
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Refusal(`A server ended with ${code} before it was ready:\n${output.text}`));
    });
  });
}

/** The end of what a process writes; the rest is read and thrown away, as a log collector would take it. */
class Tail {
  text = '';

  constructor(child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.text = (this.text + chunk.toString()).slice(-2000);
      });
    }
  }
}
