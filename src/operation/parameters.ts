import { createHash } from 'node:crypto';
import type { Statement } from '../persistence/statement.js';

const names = new Map<string, string>();
const LARGEST_PREPARED = 2_000;

/** Collects the parameters of one statement. Each statement text is prepared once per connection, by its digest. */
export class Parameters {
  private readonly values: unknown[] = [];

  readonly bind = (value: unknown): string => `$${this.values.push(value)}`;

  statement(text: string): Statement {
    return { text, values: this.values, name: nameOf(text) };
  }

  /** For texts that are unlikely to come again, such as the insertion of a whole bundle. */
  unprepared(text: string): Statement {
    return { text, values: this.values };
  }
}

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= LARGEST_PREPARED) return undefined;
  const name = createHash('sha256').update(text).digest('base64url').slice(0, 24);
  names.set(text, name);
  return name;
}
