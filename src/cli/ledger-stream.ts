import { readFile, rename, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { toCef } from '../interop/siem/cef.js';
import type { SecurityEvent } from '../interop/siem/event.js';
import { weightOf } from '../interop/siem/event.js';
import { securityEvents } from '../interop/siem/event-stream.js';
import { toOcsf } from '../interop/siem/ocsf.js';
import { openSyslog, type EventSink } from '../interop/siem/syslog.js';
import type { LogFiles } from '../ledger/log-files.js';
import type { CommandInput } from './command.js';
import { say, withLedger } from './ledger-access.js';

export const streamUsage = `npm run ledger -- stream --tenant T [--format ndjson|ocsf|cef] [--syslog tcp://host:601] [--from N] [--state FILE] [--follow]

  The records of a log for a security team's tools, in order, as soon as a signed checkpoint covers them. Patients are
  tokens of this stream; nothing in it is a personal value.
  --format  ndjson: the record's members (standard) · ocsf: OCSF 1.3 · cef: ArcSight Common Event Format
  --syslog  sends each event as a message of RFC 5424: tcp:// and tls:// (RFC 6587), udp://; else standard output
  --from N  begins at this index (0)
  --state F keeps the next index in this file after every delivery, and goes on from it: an event may come twice;
            syslog acknowledges nothing, so go back a little with --from after the receiver failed
  --follow  goes on until interrupted`;

const FORMATS = { ndjson: toNdjson, ocsf: toOcsfLine, cef: toCef };
const SAVE_MILLISECONDS = 200;

/** The options that the verb adds to the command. */
export const streamOptions = {
  tenant: { type: 'string' },
  format: { type: 'string' },
  syslog: { type: 'string' },
  from: { type: 'string' },
  state: { type: 'string' },
  follow: { type: 'boolean' },
} as const;

/** Streams a log; see {@link streamUsage}. Writes how many events were delivered to standard error. */
export async function stream(input: CommandInput): Promise<void> {
  const { tenant } = input.values;
  if (typeof tenant !== 'string') throw new Refusal(`Usage: ${streamUsage}`, 2);
  await withLedger(readConfiguration(), async (files, fault) => {
    if (fault !== null) say(fault.message);
    await streamLog(files, tenant, input);
  });
}

async function streamLog(files: LogFiles, tenant: string, { values }: CommandInput): Promise<void> {
  const format = FORMATS[String(values['format'] ?? 'ndjson') as keyof typeof FORMATS];
  if (format === undefined) throw new Refusal('--format is ndjson, ocsf or cef.', 2);
  const state = typeof values['state'] === 'string' ? values['state'] : null;
  const from = (state === null ? null : await savedIndex(state)) ?? indexIn(values['from']);
  if ((await files.checkpoint(tenant)) === null) throw new Refusal(`There is no log ${tenant}.`);
  const sink = typeof values['syslog'] === 'string' ? await openSyslog(values['syslog']) : standardOutput();
  const follow = values['follow'] === true;
  let next = from;
  let count = 0;
  let saved = performance.now();
  try {
    const options = { files, log: tenant, tokenKey: files.keys.macKey, from, follow };
    for await (const event of securityEvents(options)) {
      await sink.send(format(event), event.time, weightOf(event) === 'serious');
      next = event.index + 1;
      count += 1;
      if (state === null || performance.now() - saved < SAVE_MILLISECONDS) continue;
      await saveIndex(state, next);
      saved = performance.now();
    }
  } finally {
    if (state !== null && next > from) await saveIndex(state, next);
    await sink.close();
    process.stderr.write(`${count} events\n`);
  }
}

function toNdjson(event: SecurityEvent): string {
  return JSON.stringify(event);
}

function toOcsfLine(event: SecurityEvent): string {
  return JSON.stringify(toOcsf(event));
}

function standardOutput(): EventSink {
  return {
    async send(text) {
      if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
    },
    close: () => Promise.resolve(),
  };
}

function indexIn(value: string | boolean | undefined): number {
  const index = Number(value ?? 0);
  if (Number.isSafeInteger(index) && index >= 0) return index;
  throw new Refusal('--from is the index of an entry: 0 or more.', 2);
}

async function savedIndex(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  if (!/^\d{1,15}\n$/.test(text)) throw new Refusal(`The file ${path} holds no index of this stream.`);
  return Number(text);
}

/** After the delivery, never before: a crash between the two repeats events and loses none. */
async function saveIndex(path: string, index: number): Promise<void> {
  await writeFile(`${path}.new`, `${index}\n`);
  await rename(`${path}.new`, path);
}
