import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { newId, newReference } from '../src/kernel/identifier.js';
import { Vault } from '../src/vault/vault.js';
import { memoryRoot, MemoryVaultStore } from '../test/support/memory-vault.js';
import { median, print } from './rounds.js';

const TENANT = 'T-CN';
const VALUES = { name: '王小明', birthDate: '1949-12-31' };
const OPENINGS = 100_000;

/**
 * Opening the identity group of a row (find the key, bind the place, decrypt, parse) against nothing but AES-256-GCM over
 * the same bytes with a key at hand, and JSON.parse. One thread, no database.
 */
export async function seal(rounds: number): Promise<number> {
  const vault = await memoryVault();
  const subjectId = newId();
  await vault.createSubjectKey(TENANT, subjectId, newReference());
  const address = { tenant: TENANT, type: 'Patient', rowId: subjectId, version: 1, subjectId };
  const sealed = vault.seal(address, 'identity', VALUES);
  const governed = () => vault.open(address, 'identity', sealed);
  const bare = bareOpening();
  print(['round', 'opening', 'openings/s', 'µs']);
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const [ours, theirs] = [governed, bare].map((open) => perSecond(open)) as [number, number];
    if (round === 0) continue;
    ratios.push(ours / theirs);
    print([String(round), 'vault', ours.toFixed(0), (1e6 / ours).toFixed(2)]);
    print([String(round), 'bare', theirs.toFixed(0), (1e6 / theirs).toFixed(2)]);
  }
  return median(ratios);
}

function perSecond(open: () => unknown): number {
  const start = performance.now();
  for (let count = 0; count < OPENINGS; count += 1) open();
  return (OPENINGS * 1000) / (performance.now() - start);
}

function bareOpening(): () => unknown {
  const key = createSecretKey(randomBytes(32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(VALUES)), cipher.final()]);
  const tag = cipher.getAuthTag();
  return () => {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    decipher.setAuthTag(tag);
    const plain = decipher.update(ciphertext);
    decipher.final();
    return JSON.parse(plain.toString()) as unknown;
  };
}

/** A vault whose keys live in memory: the root key only counts as one. */
async function memoryVault(): Promise<Vault> {
  const vault = new Vault(memoryRoot(), new MemoryVaultStore());
  await vault.load();
  await vault.createTenantKey(TENANT);
  return vault;
}
