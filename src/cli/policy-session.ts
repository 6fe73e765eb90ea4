import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { compose, type Composition } from '../composition.js';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import type { Actor } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { Document } from '../operation/document.js';
import type { OperationDefinition } from '../operation/operation.js';
import { selectFields } from '../operation/selection.js';
import { withDatabase, type CommandInput } from './command.js';

/** Somebody who is signed in on the command line, and asks like any other caller. */
export interface PolicySession {
  readonly composition: Composition;
  /** Runs an operation; where it asks for a second factor, a code is asked for and the operation is run again. */
  run<Input extends object, Result>(operation: OperationDefinition<Input, Result>, input: Input): Promise<Result>;
}

export const sessionOptions = { tenant: { type: 'string' }, email: { type: 'string' } } as const;
export const sessionUsage =
  '--tenant, --email  who does it. Password, code of the second factor at sign-in (an empty line where none is asked for) and\n' +
  '  code for this very step are asked for at the terminal, or are three lines on standard input: never arguments';

/**
 * Signs in, works and signs out, also while no server runs and where the stored release does not fit this software: then
 * the policies that came with it decide. Records are made as everywhere.
 */
export async function withSession<Result>(
  { values }: CommandInput,
  work: (session: PolicySession) => Promise<Result>,
): Promise<Result> {
  const { tenant, email } = values;
  if (typeof tenant !== 'string' || typeof email !== 'string')
    throw new Refusal('--tenant and --email are missing.', 2);
  return withDatabase(readConfiguration(), async (database) => {
    const composition = await compose(readConfiguration(), database, { stopgap: true });
    const answers = new Answers();
    try {
      if (!composition.tenants.includes(tenant)) throw new Refusal(`There is no tenant ${tenant}.`, 2);
      const password = await answers.secret('Password: ');
      const code = await answers.secret('Code of the second factor (empty: none): ');
      const actor = await signIn(composition, { tenant, email, password, code: code === '' ? null : code });
      try {
        return await work(sessionOf(composition, actor, answers));
      } finally {
        await settled(composition, actor, null, (document) => composition.sessions.signOut(document));
      }
    } finally {
      answers.close();
      await composition.close();
    }
  });
}

function sessionOf(composition: Composition, actor: Actor, answers: Answers): PolicySession {
  return {
    composition,
    run: async (operation, input) => {
      const { operations, policy, sessions } = composition;
      const decides = (purpose: string) => policy.decide(actor, purpose, operation.action, operation.type).allowed;
      const purposes = policy.purposesOf(actor.role);
      const purpose = purposes.find(decides) ?? purposes[0] ?? null;
      const ask = (given: typeof input) =>
        settled(composition, actor, purpose, (document) => operations.run(operation, document, given, selectFields()));
      try {
        return await ask(input);
      } catch (error) {
        const challenge = challengeOf(error);
        if (challenge === null) throw error;
        const code = await answers.secret('Code for this step: ');
        await settled(composition, actor, null, (document) => sessions.satisfyChallenge(document, challenge, code));
        return await ask({ ...input, challengeId: challenge });
      }
    },
  };
}

async function signIn(
  composition: Composition,
  request: Parameters<Composition['sessions']['signIn']>[1],
): Promise<Actor> {
  const signedIn = await settled(composition, null, null, (document) => composition.sessions.signIn(document, request));
  return signedIn.actor;
}

/** Nothing is answered before its record is durable. */
async function settled<Result>(
  { answering }: Composition,
  actor: Actor | null,
  purpose: string | null,
  work: (document: Document) => Promise<Result>,
): Promise<Result> {
  const facts = { requestId: newId(), purpose, reason: null, idempotencyKey: null, clientAddress: null };
  const document = new Document(actor, facts, null);
  try {
    return await work(document);
  } finally {
    await answering.settle(document, null);
  }
}

function challengeOf(error: unknown): string | null {
  if (!(error instanceof Failure) || error.code !== 'STEP_UP_REQUIRED') return null;
  const { challenge } = (error.options.extensions ?? {}) as { challenge?: { id: string; methods: readonly string[] } };
  return challenge === undefined || challenge.methods.length === 0 ? null : challenge.id;
}

/** Lines of standard input; at a terminal they are asked for and not shown. */
class Answers {
  private lines: AsyncIterator<string> | null = null;
  private reader: Interface | null = null;

  async secret(question: string): Promise<string> {
    if (process.stdin.isTTY) process.stderr.write(question);
    if (this.reader === null) {
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      this.reader = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY });
      this.lines = this.reader[Symbol.asyncIterator]();
    }
    const line = await this.lines?.next();
    if (process.stdin.isTTY) process.stderr.write('\n');
    if (line === undefined || line.done === true)
      throw new Refusal('Standard input ended before everything was asked.', 2);
    return line.value.trim();
  }

  close(): void {
    this.reader?.close();
  }
}
