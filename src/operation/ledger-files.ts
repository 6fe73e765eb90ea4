import { Failure, notFound } from '../kernel/failure.js';
import { isFull, type LogPlace, parseLogPath } from '../ledger/log-path.js';
import { defineOperation } from './operation.js';
import type { Scope } from './scope.js';

export interface LedgerFileArguments {
  /** The tenant whose log it is. */
  readonly tenant: string;
  /** Under the log's directory, such as `tile/entries/x001/234`. */
  readonly path: string;
}

/** A file of a log, and how long what is in it stays true. */
export interface LedgerFile {
  readonly bytes: Buffer;
  readonly text: boolean;
  /**
   * `grows`: another one every second. `immutable`: full, for ever the same. `partial`: true for ever, but soon there is a
   * longer one. `erasable`: may be gone tomorrow, and must then be gone everywhere.
   */
  readonly lasts: 'grows' | 'immutable' | 'partial' | 'erasable';
}

/** Files beside the bundles and tiles; some logs lack the last two. */
const ROOT_FILES = new Set(['checkpoint', 'log.vkey', 'writer.keys', 'minimum']);

/**
 * A file of the ledger of the caller's own tenant, for tools that verify it from afar. The log of another tenant, and that of
 * the system, are not told from one that does not exist. Each fetch is an entry, which names the file.
 */
export const ledgerFiles = defineOperation<LedgerFileArguments, LedgerFile>({
  name: 'ledgerFiles',
  kind: 'LEDGER_READ',
  action: 'readLedger',
  type: 'Organization',
  mode: 'read',
  handler: async (scope, { tenant, path }) => {
    if (tenant !== scope.actor.tenant) throw notFound();
    const { files } = scope.services;
    if (ROOT_FILES.has(path)) {
      const text = await files.text(tenant, path);
      if (text === null) throw notFound();
      return noted(scope, path, 1, { bytes: Buffer.from(text), text: true, lasts: 'grows' });
    }
    const place = parseLogPath(path);
    if (place === null) {
      throw new Failure('BAD_USER_INPUT', 'This is not the path of a file of a log.', 'See c2sp.org/tlog-tiles.');
    }
    const bytes = await files.covered(tenant, place);
    if (bytes === null) throw notFound();
    return noted(scope, path, place.width, { bytes, text: false, lasts: lastingOf(place) });
  },
});

function lastingOf(place: LogPlace): LedgerFile['lasts'] {
  if (place.kind === 'detail') return 'erasable';
  return isFull(place) ? 'immutable' : 'partial';
}

/** What the record says of a fetch: the file's name, with dots for slashes, as if it were a field that was shown. */
function noted(scope: Scope, path: string, rows: number, file: LedgerFile): LedgerFile {
  scope.document.note({ type: 'LedgerFile', rows, fields: { [path.replaceAll('/', '.')]: 'CLEAR' }, subjects: [] });
  return file;
}
