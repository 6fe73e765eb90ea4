import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parsePolicy } from '../../audit/policy.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { unsequencedEntries } from '../ledger/row-check.js';
import { knownLogs, type LogVerdict, verdictLine, verifyLog } from '../ledger/verification.js';
import { type CommandInput, runCommand } from './command.js';
import { withLedger } from './ledger-access.js';
import { progressOnTerminal } from './progress.js';

const usage = `Usage: npm run audit:verify -- [--directory D] [--tenant T] [--policy FILE] [--json]

Verifies the audit ledger from the bytes of its records up: every log of the database and its archive is read as it is and
checked by audit/verify.mjs against the signed checkpoints that lie outside of the database, with the MACs of all writers.

  --directory D   verify a directory made by "npm run ledger -- export" instead; needs no database
  --tenant T      only the log of this tenant (or: system)
  --policy FILE   demand the cosignatures of witnesses that this file names (c2sp.org/tlog-policy)
  --json          one JSON object a log, with every fault

Prints "OK T <entries>" or "BAD T <index> <class>" for each log; the classes are explained in audit/FORMAT.md. Four are of a
database only: "row" (what stands beside a record contradicts it), "unsequenced" (entries were passed over), "state" (position,
incarnation or tree nodes of the sequencer were changed) and "index" (a search for a person would not find an entry).
Exit code 0: all logs are in order; 1: one is not, or could not be verified; 2: wrong use.`;

await runCommand({
  usage,
  options: {
    directory: { type: 'string' },
    tenant: { type: 'string' },
    policy: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run({ values }) {
    const tenant = typeof values['tenant'] === 'string' ? values['tenant'] : null;
    const policy = policyIn(values);
    const { directory } = values;
    const verdicts =
      typeof directory === 'string' ? [await ofDirectory(directory, policy)] : await ofDatabase(tenant, policy);
    if (tenant !== null && !verdicts.some(({ log }) => log === tenant)) {
      throw new Refusal(`There is no log ${tenant} here.`);
    }
    for (const verdict of verdicts) print(verdict, values['json'] === true);
    return verdicts.every(({ bad }) => bad === null);
  },
});

async function ofDatabase(tenant: string | null, policy?: string): Promise<LogVerdict[]> {
  return withLedger(readConfiguration(), async (files, fault) => {
    const logs = (await knownLogs(files)).filter((log) => tenant === null || log === tenant);
    const unsequenced = await unsequencedEntries(files.database);
    // Faults of logs that neither the heads nor the store name: entries for a log that was never started.
    const unknown = [...unsequenced.keys(), ...(fault === null ? [] : [fault.log])];
    const others = tenant === null ? unknown.filter((log) => !logs.includes(log)) : [];
    const verdicts: LogVerdict[] = [];
    for (const log of [...logs, ...new Set(others)]) {
      const progress = progressOnTerminal(`${log}: entries verified`);
      verdicts.push(await verifyLog(files, log, { fault, unsequenced, policy, progress }));
    }
    return verdicts;
  });
}

async function ofDirectory(directory: string, policy?: string): Promise<LogVerdict> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Refusal(`There is no directory ${directory}.`);
  }
  const progress = progressOnTerminal('entries verified');
  const report = await verifyDirectory(directory, { policy, progress });
  const log = logIn(report.origin) ?? path.basename(path.resolve(directory));
  return { log, size: report.size, bad: report.first, unsequenced: 0, report };
}

/** An origin ends with the name of its log, or after a declared restore with that and the number of the incarnation. */
function logIn(origin: string | null): string | undefined {
  const parts = origin?.split('/') ?? [];
  return /^\d+$/.test(parts.at(-1) ?? '') && parts.length > 2 ? parts.at(-2) : parts.at(-1);
}

function policyIn({ policy: file }: CommandInput['values']): string | undefined {
  if (typeof file !== 'string') return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    parsePolicy(text);
    return text;
  } catch (error) {
    throw new Refusal(`${file} is no policy: ${(error as Error).message}`, 2);
  }
}

function print(verdict: LogVerdict, json: boolean): void {
  const { log, size, bad, unsequenced, report } = verdict;
  if (json) {
    const { faults = [], faultCount = 0, warnings = [], root = null } = report ?? {};
    const line = { log, ok: bad === null, size, root, bad, faultCount, faults, warnings, unsequenced };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  for (const { index, message } of report?.faults.slice(0, 20) ?? []) {
    process.stderr.write(`${log} ${index ?? '-'}: ${message}\n`);
  }
  for (const { index, message } of report?.warnings.slice(0, 20) ?? []) {
    process.stderr.write(`${log} ${index ?? '-'}: warning: ${message}\n`);
  }
  if (bad?.class === 'row') {
    process.stderr.write(`${log} ${bad.index}: What stands beside the record in its row contradicts it.\n`);
  }
  if (bad?.class === 'state') {
    process.stderr.write(
      `${log} ${bad.index ?? '-'}: Position, incarnation or nodes are not as the sequencer left them.\n`,
    );
  }
  if (bad?.class === 'index') {
    process.stderr.write(`${log} ${bad.index}: The index of references hides this entry from searches for a person.\n`);
  }
  if (unsequenced > 0) {
    process.stderr.write(`${log} -: The sequencer's position has passed entries without an index: ${unsequenced}.\n`);
  }
  process.stdout.write(`${verdictLine(verdict)}\n`);
}
