import type { ParseArgsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import { migrations } from '../../migrations/list.js';
import type { Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { Failure } from '../kernel/failure.js';
import { isRunning, startEmbedded } from '../persistence/embedded.js';
import { passwordsIn } from '../persistence/login.js';
import { EMBEDDED_DATABASE, embeddedUrl, prepareDatabase, prepareEmbedded } from '../persistence/preparation.js';
import { DatabaseFault } from '../persistence/sqlstate.js';
import { PolicyError } from '../policy/error.js';

/** A prepared database: roles made, migrations done. */
export interface OpenDatabase {
  readonly ownerUrl: string;
  readonly appUrl: string;
  readonly sequencerUrl: string;
  readonly auditorUrl: string;
  /** Of the embedded server only. */
  readonly superuserUrl: string | null;
  readonly migrated: readonly string[];
  /** Set when this process started the embedded server: whoever opened the database stops it, last of all. */
  readonly embedded: { readonly port: number; stop(): Promise<void> } | null;
}

/** Uses DATABASE_URL, else the running embedded server, else starts one. */
export async function openDatabase(configuration: Configuration): Promise<OpenDatabase> {
  const passwords = passwordsIn(configuration.dataDirectory);
  if (configuration.databaseUrl !== null) {
    return { ...(await prepared(configuration.databaseUrl)), superuserUrl: null, embedded: null };
  }
  const { dataDirectory, databasePort } = configuration;
  const running = await isRunning(dataDirectory);
  const started =
    running === null ? await startEmbedded({ dataDirectory, password: passwords.superuser, port: databasePort }) : null;
  const port = running?.port ?? started?.port ?? 0;
  try {
    const ownerUrl = await prepareEmbedded(port, passwords);
    const superuserUrl = embeddedUrl(port, 'postgres', passwords.superuser, EMBEDDED_DATABASE);
    return { ...(await prepared(ownerUrl)), superuserUrl, embedded: started };
  } catch (error) {
    await started?.stop();
    throw error;
  }

  async function prepared(url: string) {
    const { urls, migrated } = await prepareDatabase(url, passwords, migrations);
    const { owner, app, sequencer, auditor } = urls;
    return { ownerUrl: owner, appUrl: app, sequencerUrl: sequencer, auditorUrl: auditor, migrated };
  }
}

/**
 * Calls `stop` once, with the exit code that fits, when this process is asked to end or its launcher was killed.
 * @returns a function that takes the request back
 */
export function onInterruption(stop: (code: number) => void): () => void {
  let asked = false;
  const interrupted = (signal?: NodeJS.Signals) => {
    // A signal to a whole group comes twice, by itself and from the launcher: the second must not end a drain.
    if (asked) return;
    asked = true;
    stop(signal === 'SIGINT' ? 130 : 143);
  };
  const ignore = () => {
    for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.off(event, interrupted);
  };
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(event, interrupted);
  process.on('disconnect', interrupted);
  return ignore;
}

/** Opens the database for the duration of `work`. An embedded server that was started for it is stopped on every way out. */
export async function withDatabase<T>(
  configuration: Configuration,
  work: (database: OpenDatabase) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(configuration);
  const ignore = onInterruption((code) => {
    void Promise.resolve(database.embedded?.stop()).finally(() => process.exit(code));
  });
  try {
    return await work(database);
  } finally {
    ignore();
    await database.embedded?.stop();
  }
}

export interface CommandInput {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

export interface Command {
  /** What `--help` prints: how to call it and what each option means. */
  readonly usage: string;
  readonly options?: NonNullable<ParseArgsConfig['options']>;
  /** How many words may stand beside the options: [least, most]. */
  readonly words?: readonly [number, number];
  /** Does the work. A Refusal or Failure ends in its sentence; false in exit code 1 after the command's own words. */
  run(input: CommandInput): Promise<boolean | void>;
}

/** Runs a command of the command line and ends the process: 0 done, 1 failed, 2 wrong use. */
export async function runCommand(command: Command, words = process.argv.slice(2)): Promise<never> {
  process.exit(await execute(command, words));
}

/** As {@link runCommand}, but hands the exit code back. */
export async function execute(command: Command, words: readonly string[]): Promise<0 | 1 | 2> {
  let input: CommandInput & { values: { help?: boolean } };
  try {
    const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const;
    input = parseArgs({ args: [...words], options, allowPositionals: true }) as typeof input;
    const [least, most] = command.words ?? [0, 0];
    if (!input.values.help && (input.positionals.length < least || input.positionals.length > most)) {
      throw new Error(input.positionals.length < least ? 'Something is missing.' : 'That is too much.');
    }
  } catch (error) {
    return say(`${(error as Error).message.split('\n')[0] ?? ''}\n${command.usage}`, 2);
  }
  if (input.values.help) {
    process.stdout.write(`${command.usage}\n`);
    return 0;
  }
  try {
    return (await command.run(input)) === false ? 1 : 0;
  } catch (error) {
    if (error instanceof Refusal) return say(error.message, error.exitCode);
    if (error instanceof Failure) return say(`${error.message} ${error.nextStep}`, 1);
    if (error instanceof DatabaseFault || error instanceof PolicyError) return say(error.message, 1);
    const where = error instanceof Error ? error.stack?.slice(error.stack.indexOf('\n    at ')) : '';
    return say(`Unexpected ${error instanceof Error ? error.constructor.name : typeof error}.${where ?? ''}`, 1);
  }
}

function say<Code extends 1 | 2>(sentence: string, code: Code): Code {
  process.stderr.write(`${sentence}\n`);
  return code;
}
