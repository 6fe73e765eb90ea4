import { rename, writeFile } from 'node:fs/promises';
import type { DemoOrganisation } from './organisation.js';

/** Written whole or not at all. */
export async function keep(file: string, demo: DemoOrganisation): Promise<DemoOrganisation> {
  await writeFile(`${file}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return demo;
}
