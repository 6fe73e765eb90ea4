import { statSync } from 'node:fs';
import path from 'node:path';
import { verifyDirectory } from '../../audit/verify.mjs';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { knownLogs, type LogVerdict, verdictLine, verifyLog } from '../ledger/verification.js';
import { runCommand } from './command.js';
import { withLedger } from './ledger-access.js';

const usage = `Usage: npm run audit:verify -- [--directory D] [--tenant T] [--json]

Verifies the audit ledger from the bytes of its records up: every log of the database is dumped as it is, then checked
by audit/verify.mjs against the signed checkpoint that lies outside of the database.

  --directory D   verify a directory made by "npm run ledger -- export" instead; needs no database
  --tenant T      only the log of this tenant (or: system)
  --json          one JSON object a log, with every fault

Prints "OK T <entries>" or "BAD T <index> <class>" for each log; the classes are explained in audit/FORMAT.md.
Exit code 0: all logs are in order; 1: one is not, or could not be verified; 2: wrong use.`;

await runCommand({
  usage,
  options: { directory: { type: 'string' }, tenant: { type: 'string' }, json: { type: 'boolean' } },
  async run({ values }) {
    const tenant = typeof values.tenant === 'string' ? values.tenant : null;
    const verdicts =
      typeof values.directory === 'string' ? [await ofDirectory(values.directory)] : await ofDatabase(tenant);
    if (tenant !== null && !verdicts.some(({ log }) => log === tenant))
      throw new Refusal(`There is no log ${tenant} here.`);
    for (const verdict of verdicts) print(verdict, values.json === true);
    return verdicts.every(({ bad }) => bad === null);
  },
});

async function ofDatabase(tenant: string | null): Promise<LogVerdict[]> {
  return withLedger(readConfiguration(), async (source, fault) => {
    const logs = (await knownLogs(source)).filter((log) => tenant === null || log === tenant);
    const verdicts: LogVerdict[] = [];
    for (const log of logs) verdicts.push(await verifyLog(source, log, fault));
    // A fault of a log that neither the heads nor the store name: an entry for a log that was never started.
    if (fault !== null && tenant === null && !logs.includes(fault.log))
      verdicts.push(await verifyLog(source, fault.log, fault));
    return verdicts;
  });
}

async function ofDirectory(directory: string): Promise<LogVerdict> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new Refusal(`There is no directory ${directory}.`);
  const report = await verifyDirectory(directory);
  // An origin ends with the name of its log.
  const log = report.origin?.split('/').at(-1) ?? path.basename(path.resolve(directory));
  return { log, size: report.size, bad: report.first, report };
}

function print(verdict: LogVerdict, json: boolean): void {
  const { log, size, bad, report } = verdict;
  if (json) {
    const { faults = [], faultCount = 0, warnings = [], root = null } = report ?? {};
    process.stdout.write(
      `${JSON.stringify({ log, ok: bad === null, size, root, bad, faultCount, faults, warnings })}\n`,
    );
    return;
  }
  for (const { index, message } of report?.faults.slice(0, 20) ?? []) {
    process.stderr.write(`${log} ${index ?? '-'}: ${message}\n`);
  }
  for (const { index, message } of report?.warnings.slice(0, 20) ?? []) {
    process.stderr.write(`${log} ${index ?? '-'}: warning: ${message}\n`);
  }
  process.stdout.write(`${verdictLine(verdict)}\n`);
}
