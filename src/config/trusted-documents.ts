import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Refusal } from './refusal.js';

/** A document that may run in production. The id is the SHA-256 of the body's UTF-8 bytes, in hexadecimal. */
export interface TrustedDocument {
  readonly id: string;
  /** Of its one operation. */
  readonly name: string;
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly body: string;
}

/** Apollo's manifest of persisted queries, version 1: build tools of several clients write and read it. */
const FORMAT = { format: 'apollo-persisted-query-manifest', version: 1 } as const;

export function documentId(body: string): string {
  return hash('sha256', body, 'hex');
}

/** The text of a list: the same documents make the same bytes. */
export function manifestOf(documents: readonly TrustedDocument[]): string {
  const operations = documents.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return `${JSON.stringify({ ...FORMAT, operations }, null, 2)}\n`;
}

/** Reads a list. An unreadable file, another format or an id that is not the hash of its body is refused. */
export function readManifest(file: string): readonly TrustedDocument[] {
  const refuse = (why: string) =>
    new Refusal(`CUSTODIA_TRUSTED_DOCUMENTS ${why}: make the list with "npm run documents -- build <directory>".`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw refuse('names no file that can be read as JSON');
  }
  const { format, version, operations } = content as Partial<typeof FORMAT & { operations: TrustedDocument[] }>;
  if (format !== FORMAT.format || version !== FORMAT.version || !Array.isArray(operations)) {
    throw refuse('is no list of documents');
  }
  for (const one of operations) {
    if (typeof one?.body !== 'string' || typeof one.name !== 'string' || one.id !== documentId(one.body)) {
      throw refuse('has an entry whose id is not the SHA-256 of its document');
    }
  }
  return operations;
}
