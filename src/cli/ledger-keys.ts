import { hash } from 'node:crypto';
import path from 'node:path';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { writeDurably } from '../ledger/durable-file.js';
import { listLogs } from '../ledger/logs.js';
import { bareDraft } from '../ledger/record.js';
import { endedWriters, releaseWriters } from '../ledger/writer-ending.js';
import { releasedWriters, writerKeysText } from '../ledger/writer-release.js';
import type { CommandInput } from './command.js';
import { say, withWorkingLedger } from './ledger-access.js';

export const keysUsage = `npm run ledger -- keys --tenant T [--release]

  Prints "<writer> <key>" for every writer whose key was released, so that auditors can check the MACs of its records.
  --release  releases the writers that have ended (no process, no record for 24 hours) and writes writer.keys into the
             archive of the log. From then on no record of theirs is taken any more`;

export const keysOptions = { tenant: { type: 'string' }, release: { type: 'boolean' } } as const;

/** Recorded, then refused by the sequencer, then public: in this order no key is known while a record under it counts. */
export async function keys({ values }: CommandInput): Promise<void> {
  const { tenant: log } = values;
  if (typeof log !== 'string') throw new Refusal(keysUsage, 2);
  await withWorkingLedger(readConfiguration(), async ({ files, ledger, owner, sequencer, configuration }) => {
    if (!(await listLogs(files.database)).includes(log)) throw new Refusal(`There is no log ${log}.`);
    const now = new SystemClock().now();
    const released = await releasedWriters(files.database, log);
    const ended = await endedWriters({ query: (statement) => sequencer.query(null, statement) }, log, now);
    const writers = values['release'] === true ? [...released, ...ended].sort() : released;
    const text = writerKeysText(files.keys.macKey, log, writers) ?? '';
    if (values['release'] === true && ended.length > 0) {
      const detail = { key: 'writer.keys', sha256: hash('sha256', text) };
      await ledger.writer.register(log);
      await ledger.writer.append({ ...bareDraft(log, 'ledger.keys', 'KEY', newId()), detail });
      await releaseWriters(owner, log, ended, now);
    }
    if (values['release'] === true && text !== '') {
      await writeDurably(path.join(configuration.archiveDirectory, log, 'writer.keys'), text);
    } else if (ended.length > 0) {
      say(`${ended.length} more have ended: release them with --release`);
    }
    process.stdout.write(text);
  });
}
