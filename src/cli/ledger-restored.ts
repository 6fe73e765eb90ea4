import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { confirmationOf, Restore, type Survey } from '../ledger/restore.js';
import { ownerSession } from '../ledger/owner-session.js';
import { connectTo } from '../ledger/session.js';
import { Database } from '../persistence/database.js';
import { type CommandInput, withDatabase } from './command.js';

export const restoredUsage = `npm run ledger -- restored [--confirm <logs and sizes, as shown> | --reason-file F]

  Declares that the database was restored from an older copy, with every process of the system stopped: without options it
  shows for each log what was signed and what the database has. Every log then goes on in a new incarnation, under a new
  origin, and says in the open which checkpoint was given up; checkpoints from before are kept.
  --confirm      the line that was shown
  --reason-file  a file with the reason, in which that line stands too; its hash goes into the logs`;

export const restoredOptions = { confirm: { type: 'string' }, 'reason-file': { type: 'string' } } as const;

/** False: the operator has to look and confirm. */
export async function restored({ values }: CommandInput): Promise<boolean> {
  const configuration = readConfiguration();
  const confirmed = confirmationIn(values);
  return withDatabase(configuration, async (open) => {
    const [owner, app, sequencer, session] = await Promise.all([
      ownerSession(open.ownerUrl),
      Database.connect(open.appUrl, { maximum: 1 }),
      Database.connect(open.sequencerUrl, { maximum: 1 }),
      connectTo(open.sequencerUrl, 'custodia restore')(),
    ]);
    try {
      const store = new FileCheckpointStore(configuration.checkpointDirectory);
      const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin, await store.incarnation());
      const { archiveDirectory } = configuration;
      const clock = new SystemClock();
      const restore = await Restore.open({ owner, app, sequencer, session, store, keys, archiveDirectory, clock });
      const survey = await restore.survey();
      if (!survey.needed) throw new Refusal('There is nothing to declare: the database extends all that was signed.');
      const line = confirmationOf(survey);
      show(survey);
      if (confirmed === null || !confirmed.split(/\s+/).includes(line)) {
        process.stderr.write(
          confirmed === null ? 'Nothing is changed.' : 'Nothing is changed: that is not what was found.',
        );
        process.stderr.write(` To go on from here, in the open: npm run ledger -- restored --confirm ${line}\n`);
        return false;
      }
      await restore.declare(survey, hash('sha256', confirmed));
      process.stdout.write(`incarnation ${survey.next}\n`);
      return true;
    } finally {
      await Promise.all([session.close(), owner.close()]);
      await Promise.all([app.close(), sequencer.close()]);
    }
  });
}

function show({ incarnations, next, logs }: Survey): void {
  process.stdout.write(
    incarnations.unfinished
      ? `The restore to incarnation ${next} was declared and is not finished.\n`
      : `The ledger is in incarnation ${incarnations.declared}; the next is ${next}.\n`,
  );
  for (const { log, signed, size, unsequenced } of logs) {
    const lost = Math.max(0, (signed?.size ?? 0) - size);
    process.stdout.write(
      `${log}: signed ${signed?.size ?? 0}, sequenced ${size}, waiting ${unsequenced}` +
        (lost === 0 || incarnations.unfinished ? '\n' : `; entries ${size} to ${size + lost - 1} are given up\n`),
    );
  }
}

function confirmationIn({ confirm, 'reason-file': file }: CommandInput['values']): string | null {
  if (confirm !== undefined && file !== undefined) throw new Refusal(restoredUsage, 2);
  if (typeof confirm === 'string') return confirm;
  if (typeof file !== 'string') return null;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Refusal(`The file of --reason-file cannot be read (${(error as NodeJS.ErrnoException).code}).`, 2);
  }
}
