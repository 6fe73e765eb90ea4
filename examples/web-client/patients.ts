import type { CustodiaClient } from './client.js';
import { ListPatientsDocument, type PatientLineFragment } from './generated.js';
import { shown } from './governed.js';

/** All patients that the caller may list, one page after another; each page is one document and one record in the ledger. */
export async function* patientsOf(client: CustodiaClient, pageSize: number): AsyncGenerator<PatientLineFragment> {
  let after: string | null = null;
  do {
    const { patients }: { patients: Page } = await client.ask(ListPatientsDocument, { first: pageSize, after });
    for (const { node } of patients.edges) yield node;
    after = patients.pageInfo.hasNextPage ? patients.pageInfo.endCursor : null;
  } while (after !== null);
}

interface Page {
  readonly edges: readonly { readonly node: PatientLineFragment }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** A line of a table: what may be seen, and how it may be seen. */
export function line(patient: PatientLineFragment): string {
  return [shown(patient, 'name'), shown(patient, 'birthDate'), shown(patient, 'phone')].join(' · ');
}
