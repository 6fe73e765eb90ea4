import { Failure } from '../kernel/failure.js';
import type { Vault } from '../vault/vault.js';
import type { Filter } from './criteria.js';
import type { ExportFiles } from './export-file.js';
import type { ExportStore } from './export.store.js';

/**
 * What requests and the work on exports share. `announce` is set by the process that has a queue: it tells a worker of a
 * new export. What is not announced, or whose message is lost, is found by the worker's own look at the table.
 */
export class Exports {
  announce: (tenant: string, id: string) => Promise<void> = () => Promise.resolve();

  constructor(
    readonly store: ExportStore,
    readonly files: ExportFiles,
  ) {}
}

/** A filter names values, so it is stored sealed, and opens only as that of its export. */
export function sealFilter(vault: Vault, tenant: string, id: string, filter: Filter | null): string {
  return vault.sealToken('export-filter', `${tenant} ${id}`, JSON.stringify(filter));
}

/** The filter of an export. INTEGRITY_FAILED where it was changed. */
export function openFilter(vault: Vault, tenant: string, id: string, sealed: string): Filter | null {
  const text = vault.openToken('export-filter', `${tenant} ${id}`, sealed);
  if (text === null) {
    throw new Failure('INTEGRITY_FAILED', 'The filter of an export was changed.', 'Ask for a new export.');
  }
  return JSON.parse(text) as Filter | null;
}
