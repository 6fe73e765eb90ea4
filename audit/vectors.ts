import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { it } from '@jest/globals';

const VECTORS = fileURLToPath(new URL('../../shared/vectors', import.meta.url));

/** Published test vectors, where they lie beside the project; they are not part of it. */
export const vectors = {
  present: existsSync(VECTORS),

  bytes(path: string): Buffer {
    return readFileSync(join(VECTORS, path));
  },

  text(path: string): string {
    return this.bytes(path).toString('utf8');
  },

  /** The paths of all files under a folder whose names end so. */
  list(folder: string, ending: string): string[] {
    return readdirSync(join(VECTORS, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith(ending))
      .map((name) => join(folder, name));
  },
};

/** `it` where the vectors are, else a skip that says so. */
export function itWithVectors(name: string, test: () => void): void {
  if (!vectors.present) console.warn(`SKIPPED, no ../shared/vectors beside the project: ${name}`);
  (vectors.present ? it : it.skip)(name, test);
}
