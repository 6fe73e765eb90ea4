import { withLedger } from '../../src/cli/ledger-access.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { unsequencedEntries } from '../../src/ledger/row-check.js';
import { knownLogs, verdictLine, verifyLog } from '../../src/ledger/verification.js';
import type { Environment } from './process.js';

/**
 * What "npm run audit:verify" says of a data directory, line by line, without a process for it: on the PostgreSQL that runs
 * there, or on one that is started meanwhile.
 */
export async function verdictOf(directory: string, environment: Environment = {}): Promise<string[]> {
  const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: directory, ...environment });
  return withLedger(configuration, async (files, fault) => {
    const unsequenced = await unsequencedEntries(files.database);
    const lines: string[] = [];
    for (const log of await knownLogs(files)) {
      lines.push(verdictLine(await verifyLog(files, log, { fault, unsequenced })));
    }
    return lines;
  });
}
