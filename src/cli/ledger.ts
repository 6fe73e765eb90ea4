import { Refusal } from '../config/refusal.js';
import { type Command, type CommandInput, runCommand } from './command.js';
import { archive, archiveOptions, archiveUsage, prune, pruneOptions, pruneUsage } from './ledger-archive.js';
import { keys, keysOptions, keysUsage } from './ledger-keys.js';
import { exportOptions, exportTo, exportUsage, tail, tailOptions, tailUsage } from './ledger-read.js';
import { restored, restoredOptions, restoredUsage } from './ledger-restored.js';
import { retention, retentionOptions, retentionUsage } from './ledger-retention.js';
import { rows, rowsOptions, rowsUsage } from './ledger-rows.js';
import { stream, streamOptions, streamUsage } from './ledger-stream.js';

interface Verb {
  readonly usage: string;
  readonly options: NonNullable<Command['options']>;
  /** Words after the verb; none unless it says so. */
  readonly words?: number;
  run(input: CommandInput): Promise<boolean | void>;
}

const VERBS: Readonly<Record<string, Verb>> = {
  export: { usage: exportUsage, options: exportOptions, words: 1, run: exportTo },
  tail: { usage: tailUsage, options: tailOptions, run: tail },
  stream: { usage: streamUsage, options: streamOptions, run: stream },
  archive: { usage: archiveUsage, options: archiveOptions, run: archive },
  retention: { usage: retentionUsage, options: retentionOptions, run: retention },
  prune: { usage: pruneUsage, options: pruneOptions, run: prune },
  keys: { usage: keysUsage, options: keysOptions, run: keys },
  rows: { usage: rowsUsage, options: rowsOptions, run: rows },
  restored: { usage: restoredUsage, options: restoredOptions, run: restored },
};

const usages = Object.values(VERBS).map(({ usage }) => usage);
const usage = `Usage: ${usages.join('\n\n       ')}\n\n  The log is the code of a tenant, or: system. Exit code 0: done; 1: not done, and why; 2: wrong use.`;

await runCommand({
  usage,
  words: [1, 2],
  options: Object.assign({}, ...Object.values(VERBS).map(({ options }) => options)) as Verb['options'],
  async run(input) {
    const [name = '', ...words] = input.positionals;
    const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (verb === undefined) throw new Refusal(usage, 2);
    const foreign = Object.keys(input.values).find((option) => !Object.hasOwn(verb.options, option));
    if (foreign !== undefined || words.length !== (verb.words ?? 0)) throw new Refusal(`Usage: ${verb.usage}`, 2);
    return verb.run({ values: input.values, positionals: words });
  },
});
