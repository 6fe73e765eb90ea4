import path from 'node:path';
import '../src/domain/nouns.js';
import { Refusal } from '../src/config/refusal.js';
import { KeyRotation, type KeyRotationParts } from '../src/operation/key-rotation.js';
import { keySession } from '../src/operation/key-session.js';
import { SealedContents } from '../src/operation/sealed-content.js';
import { FileBlobStore } from '../src/persistence/blob-store.js';
import { Database } from '../src/persistence/database.js';
import { SystemClock } from '../src/kernel/clock.js';
import { FileRootKeyProvider } from '../src/vault/root-key.js';
import { RotationStore } from '../src/vault/rotation.store.js';
import { SubjectRotationStore } from '../src/vault/subject-rotation.store.js';
import { Vault } from '../src/vault/vault.js';
import { seedSealed } from './export-seed.js';
import type { Installation } from './installation.js';
import { median, print, rounded, type Pace } from './rounds.js';

const TENANT = 'T-CN';
const WANTED = 10_000;

/** A column of the same table, changed in every row by one statement of the database alone. */
const BARE =
  "UPDATE subject_key SET wrapped = set_byte(wrapped, 59, (get_byte(wrapped, 59) # 1)) WHERE state = 'primary'";

/**
 * The rotation of the key that wraps subject keys: every subject key is unwrapped and wrapped anew, in batches that are
 * compared and committed one by one. Against one UPDATE of the same rows, twice, so that they are what they were.
 */
export async function rotation(installation: Installation, patients: number, { rounds }: Pace): Promise<number> {
  await (await installation.startGoverned()).stop();
  await seedSealed(installation, TENANT, patients);
  await installation.settle();
  const urls = await installation.migrated();
  const [app, owner, counting] = await Promise.all([
    Database.connect(urls.app, { maximum: 2 }),
    Database.connect(urls.owner, { maximum: 3 }),
    keySession(urls.owner),
  ]);
  try {
    const parts = await partsOf(installation, app, owner, counting);
    print(['round', 'side', 'subjects', 'seconds', 'subjects/s']);
    const ratios: number[] = [];
    let slowest = Infinity;
    for (let round = 1; round <= rounds; round += 1) {
      const subjects = await parts.subjectKeys.subjects(TENANT);
      const bare = await seconds(() => installation.alter(BARE));
      await installation.alter(BARE);
      const ours = await seconds(() => new KeyRotation(parts).rotate('tenant', TENANT));
      for (const [side, taken] of [['rotation', ours] as const, ['bare', bare] as const]) {
        print([String(round), side, String(subjects), rounded(taken), rounded(subjects / taken)]);
      }
      slowest = Math.min(slowest, subjects / ours);
      ratios.push(bare / ours);
      if (subjects < patients) throw new Refusal('Subjects are missing.');
    }
    console.log(`slowest round: ${rounded(slowest)} subjects/s (wanted: ${WANTED})`);
    return median(ratios);
  } finally {
    await Promise.all([app.close(), owner.close(), counting.close()]);
  }
}

/** Nobody else runs: nothing waits until others have heard. */
async function partsOf(
  installation: Installation,
  app: Database,
  owner: Database,
  counting: KeyRotationParts['counting'],
): Promise<KeyRotationParts> {
  const keys = path.join(installation.directory, 'keys');
  const vault = await Vault.withFileRoot(app, keys);
  const blobs = await FileBlobStore.open(path.join(installation.directory, 'blobs'), new SystemClock());
  return {
    owner,
    store: new RotationStore(owner),
    subjectKeys: new SubjectRotationStore(owner),
    vault,
    root: await FileRootKeyProvider.open(keys, true),
    contents: new SealedContents(vault, blobs, 0),
    files: [],
    indexes: () => true,
    record: () => Promise.resolve(),
    counting,
    pause: () => Promise.resolve(),
    throttle: null,
    progress: () => undefined,
    assertAlone: () => undefined,
  };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
