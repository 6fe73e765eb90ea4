import { setTimeout as pause } from 'node:timers/promises';
import { openPolicies } from '../composition.js';
import { readConfiguration } from '../config/configuration.js';
import { contentPlaceOf } from '../domain/attachment/open-attachment.js';
import '../domain/nouns.js';
import { SystemClock } from '../kernel/clock.js';
import { keySession } from '../operation/key-session.js';
import type { KeyRotationParts } from '../operation/key-rotation.js';
import { indexChoice } from '../operation/row-indexes.js';
import type { FileField } from '../operation/row-rotation.js';
import { SealedContents } from '../operation/sealed-content.js';
import { FileBlobStore } from '../persistence/blob-store.js';
import { Database } from '../persistence/database.js';
import { tenantCodes } from '../persistence/tenant.store.js';
import { AgentClient } from '../vault/agent-client.js';
import { FileRootKeyProvider } from '../vault/root-key.js';
import { RotationStore } from '../vault/rotation.store.js';
import { SubjectRotationStore } from '../vault/subject-rotation.store.js';
import { Vault } from '../vault/vault.js';
import { withLedger } from './ledger-access.js';

/** The files that rows name. */
export const SEALED_FILES: readonly FileField[] = [{ type: 'Attachment', field: 'content', place: contentPlaceOf }];

export interface KeyWork {
  readonly parts: KeyRotationParts;
  readonly tenants: readonly string[];
  /** See `KeySession`. */
  takeLock(): Promise<void>;
}

/** Opens everything that a change of keys needs, with the owner's login; a fault of the ledger ends it before it begins. */
export async function withKeys<T>(
  options: Pick<KeyRotationParts, 'throttle' | 'progress'>,
  work: (open: KeyWork) => Promise<T>,
): Promise<T> {
  const configuration = readConfiguration();
  return withLedger(configuration, async (_files, fault, open) => {
    if (fault !== null) throw fault;
    if (open === null) throw new Error('The ledger is neither open nor at fault.');
    const { ledger, database, sequencer } = open;
    const [app, owner, counting] = await Promise.all([
      Database.connect(database.appUrl, { maximum: 2, name: 'custodia keys' }),
      Database.connect(database.ownerUrl, { maximum: 3, name: 'custodia keys' }),
      keySession(database.ownerUrl),
    ]);
    try {
      const { keyAgent, keyDirectory } = configuration;
      const vault =
        keyAgent === null
          ? await Vault.withFileRoot(app, keyDirectory)
          : await Vault.withAgent(app, AgentClient.of(keyAgent));
      const root = keyAgent === null ? await FileRootKeyProvider.open(keyDirectory, true) : null;
      const blobs = await FileBlobStore.open(configuration.blobDirectory, new SystemClock());
      const parts: KeyRotationParts = {
        owner,
        store: new RotationStore(owner),
        subjectKeys: new SubjectRotationStore(owner),
        vault,
        root,
        contents: new SealedContents(vault, blobs, configuration.largestAttachment),
        files: SEALED_FILES,
        indexes: indexChoice((await openPolicies(configuration, app, {})).indexes),
        record: async (draft) => {
          await ledger.writer.register(draft.log);
          await ledger.writer.append(draft);
        },
        counting,
        pause: (milliseconds) => pause(milliseconds),
        assertAlone: () => counting.assertAlone(),
        ...options,
      };
      const tenants = await tenantCodes(sequencer);
      return await work({ parts, tenants, takeLock: () => counting.takeLock() });
    } finally {
      await Promise.all([app.close(), owner.close(), counting.close()]);
    }
  });
}
