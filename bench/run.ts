// npm run bench -- <name>: measures, prints a table of absolute figures, and the ratio against a peer of the same run.
import { Refusal } from '../src/config/refusal.js';
import { runCommand } from '../src/cli/command.js';
import { Installation } from './installation.js';
import { consent } from './consent.js';
import { erasure } from './erasure.js';
import { exporting } from './export.js';
import { hidden } from './hidden.js';
import { ledgerAppend } from './ledger-append.js';
import { ledgerMutation } from './ledger-mutation.js';
import { ledgerSequence } from './ledger-sequence.js';
import { ledgerSize } from './ledger-size.js';
import { ledgerVerify } from './ledger-verify.js';
import { policyCompile } from './policy-compile.js';
import { policyDiff } from './policy-diff.js';
import { policyCost } from './policy-cost.js';
import { readList } from './read-list.js';
import type { Pace } from './rounds.js';
import { rotation } from './rotation.js';
import { seal } from './seal.js';
import { searching } from './search.js';
import { subscriptions } from './subscriptions.js';
import { write } from './write.js';

/** Figures of one process without servers. */
const ALONE: Readonly<Record<string, (rounds: number) => Promise<number>>> = {
  seal,
  'ledger-verify': ledgerVerify,
  'policy-compile': policyCompile,
};

/** How many patients there are usually and at most, where that is not what lists are measured with. */
const SIZES: Readonly<Record<string, readonly [number, number]>> = {
  export: [100_000, 1_000_000],
  'policy-diff': [1_000_000, 1_000_000],
  search: [1_000_000, 1_000_000],
  'key-rotation': [50_000, 1_000_000],
};

type Figure = (installation: Installation, patients: number, pace: Pace) => Promise<number>;
const FIGURES: Readonly<Record<string, Figure>> = {
  'read-list': readList,
  write,
  consent,
  'ledger-append': ledgerAppend,
  'ledger-sequence': ledgerSequence,
  'ledger-mutation': ledgerMutation,
  'ledger-size': ledgerSize,
  subscriptions,
  export: exporting,
  erasure,
  'policy-diff': policyDiff,
  'key-rotation': rotation,
  hidden,
  'policy-cost': policyCost,
  search: searching,
};

const usage = `Usage: npm run bench -- <name> [--rounds 3] [--seconds 8] [--patients 10000] [--entries N] [--profiles <directory>]

  read-list      20 patients × 9 fields, 6 of them sealed and 4 masked, 16 connections, everything on,
                 against a bare Nest + Apollo + MikroORM server with the same columns in clear (wanted: 0.8)
  write          createPatient against the bare server's (wanted: 0.6)
  consent        read-list's list under a rule with a consent clause against the same without it, ten consents a patient
                 (wanted: 0.95)
  ledger-append  durable ledger records of 512 callers against a plain INSERT for each (wanted: 25,000/s, half of them
                 within 15 ms)
  ledger-sequence
                 entries that get their place in the log while 512 callers append, against what they append (wanted:
                 20,000/s, 99 % within 500 ms)
  ledger-mutation
                 createPatient of 32 callers through the door with the ledger on, against the same without (wanted: 0.85)
  ledger-size    appends, proofs, searches and memory at a hundredth of 10,000,000 entries (or --entries N) and at all of
                 them (wanted: nothing grows; proof 20 ms, by patient 50 ms p95)
  ledger-verify  verification of a log of 512,000 entries: hashes alone (wanted: 250,000/s), everything (wanted: 90,000/s)
                 and that with two threads, against a plain loop of SHA-256 over the same bytes
  subscriptions  one change to 1,000 open subscriptions, 800 of which may see it (wanted: the last within 1,000 ms),
                 against a bare graphql-ws server's fan-out to 1,000
  export         100,000 patients (or --patients N) to a sealed CSV file behind a second factor, with a record for every 150
                 (wanted: 6,000 rows/s with 300 MB), against a plain CSV of the same columns in clear
  erasure        eraseSubject of a person with 10,000 rows, receipt and tombstone included (wanted: 1 s), against a bare
                 DELETE of as many rows
  policy-cost    read-list's list against the same server with rules and masks short-circuited (wanted: 0.85)
  hidden         how often an answer that withholds something takes longer than one that has nothing to withhold
                 (wanted: 0.5, chance)
  policy-compile what a role may do for a purpose, compiled from the rules (wanted: 1 ms) and known already (wanted: 20 µs);
                 the ratio is how much better the worse of the two is than wanted
  policy-diff    who gains what by a changed rule, counted over 1,000,000 patients (or --patients N; wanted: 10 s); the ratio
                 is how much faster than that it is
  key-rotation   subject keys wrapped anew under the next version of the tenant's key, 50,000 (or --patients N; wanted:
                 10,000/s), against one UPDATE of the same rows
  search         1,000,000 patients (or --patients N): exact lookup (wanted: 5 ms p95), search by characters, pinyin, initials
                 and beginnings of words (wanted: 50 ms p95), bytes of all indexes for one (wanted: 250), against LIKE
                 over columns in clear
  seal           opening a sealed data group against bare AES-256-GCM

  --rounds N     rounds of each side, in turn (3)
  --seconds S    length of a round, after a warm-up of 3 s (8)
  --patients N   patients in both databases, 100 to 16000 (10000); for export, policy-diff and search to 1000000 (100000, 1000000, 1000000)
  --entries N    entries of ledger-size, 10000 to 100000000 (10000000)
  --profiles D   keeps the whole CPU profiles of both servers in this directory

Uses a PostgreSQL and a directory of its own, which it removes. The last line is "ratio <name> <figure>": the median over
the rounds of this system's throughput divided by the peer's. Absolute figures depend on the machine and its other work.`;

await runCommand({
  usage,
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    patients: { type: 'string' },
    entries: { type: 'string' },
    profiles: { type: 'string' },
  },
  words: [1, 1],
  async run({ positionals: [name = ''], values }) {
    const profiles = typeof values['profiles'] === 'string' ? values['profiles'] : null;
    const pace = {
      rounds: number('rounds', 3, 1, 100),
      seconds: number('seconds', 8, 1, 600),
      warmSeconds: 3,
      profiles,
    };
    const entries = number('entries', 10_000_000, 10_000, 100_000_000);
    const [usual, most] = SIZES[name] ?? [10_000, 16_000];
    const patients = number('patients', usual, 100, most);
    const size = name === 'ledger-size' ? entries : patients;
    const alone = Object.hasOwn(ALONE, name) ? ALONE[name] : undefined;
    const ratio = alone === undefined ? await installed(name, size, pace) : await alone(pace.rounds);
    console.log(`ratio ${name} ${ratio.toFixed(2)}`);

    function number(option: string, standard: number, least: number, most: number): number {
      const value = values[option] === undefined ? standard : Number(values[option]);
      if (Number.isInteger(value) && value >= least && value <= most) return value;
      throw new Refusal(`--${option} is a whole number from ${least} to ${most}.`, 2);
    }
  },
});

/** Runs a figure that needs servers. They end on every way out, Ctrl-C included, however often it is pressed. */
async function installed(name: string, patients: number, pace: Pace): Promise<number> {
  const figure = Object.hasOwn(FIGURES, name) ? FIGURES[name] : undefined;
  if (figure === undefined) throw new Refusal(usage, 2);
  const creating = Installation.create();
  const interrupted = (signal: NodeJS.Signals) => {
    void creating
      .then((installation) => installation.dispose())
      .finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  process.on('SIGINT', interrupted);
  process.on('SIGTERM', interrupted);
  const installation = await creating;
  try {
    return await figure(installation, patients, pace);
  } finally {
    await installation.dispose();
  }
}
