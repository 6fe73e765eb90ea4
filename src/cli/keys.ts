import { Refusal } from '../config/refusal.js';
import { SystemClock } from '../kernel/clock.js';
import { KeyDestruction } from '../operation/key-destruction.js';
import { KeyRotation } from '../operation/key-rotation.js';
import { vaultStatus, type VaultStatus } from '../operation/key-status.js';
import { ROTATION_KINDS, type RotationKind, type RotationRow } from '../vault/rotation.store.js';
import { SYSTEM_TENANT } from '../vault/vault.js';
import { type CommandInput, runCommand } from './command.js';
import { withKeys, type KeyWork } from './keys-access.js';

const usage = `Usage: npm run keys -- status [--tenant T] [--json]
       npm run keys -- rotate <root|tenant|subject|index> [--tenant T] [--throttle N]
       npm run keys -- destroy <root|tenant|subject|index> [--tenant T] [--confirm <key id>]

  Works while the system runs and while it is stopped, with the login of the database owner and the root key at hand. One
  such command at a time works on a database.

  status   every key: tenant, purpose, id, state, suite, age in days, values that it protects, and rotations that are not
           finished. Counting reads every row; what it finds is what custodia_sealed_values in /metrics says from then on
  rotate   makes the next version of a key and, when every server has it, the one that is used; then moves to it what the
           older ones protect. Goes on where an interrupted rotation stopped
           root     the key that wraps the keys of tenants; of the whole installation
           tenant   the key of --tenant that wraps the keys of its patients; nothing that these sealed changes
           subject  the key of each patient of --tenant: every sealed value and file is sealed again
           index    the key of --tenant's blind indexes and search tokens, which are made again
  destroy  destroys a key that only opens, when nothing is left that it opens; without --confirm it says what could be

  --throttle N       moves at most N keys, patients or rows in a second
  --confirm <id>     the id of the key that is to be destroyed for ever

  Exit code 0: done; 1: not done, and why; 2: wrong use.`;

const text = { type: 'string' } as const;
await runCommand({
  usage,
  options: { tenant: text, throttle: text, confirm: text, json: { type: 'boolean' } },
  words: [1, 2],
  async run({ values, positionals: [verb, word] }) {
    const verbs = { status, rotate, destroy } as const;
    const allowed = {
      status: ['tenant', 'json'],
      rotate: ['tenant', 'throttle'],
      destroy: ['tenant', 'confirm'],
    } as const;
    if (verb !== 'status' && verb !== 'rotate' && verb !== 'destroy') throw new Refusal(usage, 2);
    const foreign = Object.keys(values).find((name) => !(allowed[verb] as readonly string[]).includes(name));
    if (foreign !== undefined) throw new Refusal(`--${foreign} does not belong to ${verb}.\n${usage}`, 2);
    if ((verb === 'status') !== (word === undefined)) throw new Refusal(usage, 2);
    await verbs[verb](values, word as RotationKind);
  },
});

async function status(values: CommandInput['values']): Promise<void> {
  const found = await withKeys(quiet(), ({ parts, tenants }) => {
    const asked = typeof values['tenant'] === 'string' ? [known(tenants, values['tenant'])] : tenants;
    return vaultStatus(parts, asked, new SystemClock());
  });
  process.stdout.write(values['json'] === true ? `${JSON.stringify(found)}\n` : statusText(found));
}

async function rotate(values: CommandInput['values'], word: string): Promise<void> {
  const kind = kindOf(word);
  const tenant = tenantIn(values, kind);
  const throttle = whole(values, 'throttle');
  await withKeys({ throttle, progress: progressLines() }, async (work) => {
    checked(work, kind, tenant);
    await work.takeLock();
    const { fromKey, toKey } = await new KeyRotation(work.parts).rotate(kind, tenant);
    const keys = toKey === null ? '' : ` from ${fromKey} to ${toKey}`;
    process.stdout.write(`rotated ${kind} ${tenant}${keys}\n`);
  });
}

async function destroy(values: CommandInput['values'], word: string): Promise<void> {
  const kind = kindOf(word);
  const tenant = tenantIn(values, kind);
  const keyId = values['confirm'] === undefined ? null : whole(values, 'confirm', 0);
  await withKeys(quiet(), async (work) => {
    checked(work, kind, tenant);
    await work.takeLock();
    const destruction = new KeyDestruction(work.parts, new SystemClock());
    if (keyId !== null) {
      await destruction.destroy(kind, tenant, keyId);
      process.stdout.write(`destroyed ${kind} ${tenant} ${keyId}\n`);
      return;
    }
    const candidates = await destruction.candidates(kind, tenant);
    for (const one of candidates) process.stdout.write(`${kind} ${tenant} ${one.keyId}: ${one.values} values left\n`);
    if (candidates.length === 0) process.stdout.write('nothing to destroy\n');
    else throw new Refusal('A destroyed key never comes back: repeat with --confirm <key id>.', 2);
  });
}

/** At most once in two seconds, and when a step begins. */
function progressLines(): (rotation: RotationRow, done: number, total: number) => void {
  let told = 0;
  let step = '';
  return ({ kind, tenantId, step: now }, done, total) => {
    if (now === step && performance.now() - told < 2_000) return;
    [told, step] = [performance.now(), now];
    process.stderr.write(`${kind} ${tenantId} ${now}: ${done} of about ${total}\n`);
  };
}

function statusText({ keys, rotations }: VaultStatus): string {
  const lines = [['tenant', 'purpose', 'key', 'state', 'suite', 'days', 'values', ''].join('\t')];
  for (const { tenant, purpose, keyId, state, suite, ageDays, values, warning } of keys) {
    lines.push([tenant, purpose, keyId, state, suite ?? '-', ageDays, values ?? '-', warning ?? ''].join('\t'));
  }
  for (const { kind, tenantId, step, done, total, startedAt } of rotations) {
    lines.push(`rotating ${kind} ${tenantId} ${step}: ${done} of about ${total}, since ${startedAt.toISOString()}`);
  }
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function kindOf(word: string): RotationKind {
  const kind = ROTATION_KINDS.find((one) => one === word);
  if (kind === undefined) throw new Refusal(`There is no key "${word}": ${ROTATION_KINDS.join(', ')}.`, 2);
  return kind;
}

function tenantIn(values: CommandInput['values'], kind: RotationKind): string {
  const { tenant } = values;
  if (kind === 'root' && tenant !== undefined) throw new Refusal('The root key belongs to no tenant.', 2);
  if (kind === 'root') return SYSTEM_TENANT;
  if (typeof tenant === 'string') return tenant;
  throw new Refusal('--tenant names the tenant whose keys are meant.', 2);
}

function checked({ tenants }: KeyWork, kind: RotationKind, tenant: string): void {
  if (kind !== 'root') known(tenants, tenant);
}

function known(tenants: readonly string[], tenant: string): string {
  if (tenants.includes(tenant)) return tenant;
  throw new Refusal(`There is no tenant ${tenant}.`);
}

function whole(values: CommandInput['values'], name: string, least = 1): number | null {
  const value = values[name];
  if (value === undefined) return null;
  if (typeof value === 'string' && /^\d{1,7}$/.test(value) && Number(value) >= least) return Number(value);
  throw new Refusal(`--${name} is a whole number from ${least}.`, 2);
}

function quiet() {
  return { throttle: null, progress: () => undefined };
}
