import { createInterface } from 'node:readline';
import { compose, type Composition } from '../composition.js';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { ROLES, type Role } from '../kernel/actor.js';
import { SystemClock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { bareDraft } from '../ledger/record.js';
import { demandFactor, ensureTenants } from '../persistence/tenant.store.js';
import { runCommand, withDatabase, type CommandInput, type OpenDatabase } from './command.js';

/** Nobody signs in as a machine. */
const PERSONS: readonly string[] = ROLES.filter((role) => role !== 'reminder_service');

const usage = `Usage: npm run organisation -- tenant <CODE> --name <text> --country <ISO 3166-1> --time-zone <IANA name>
       npm run organisation -- account <CODE> --role <role> --email <address>     (password: one line on standard input)
       npm run organisation -- factor <CODE> --roles <role,role,…|none>

  tenant    makes a tenant with its keys and its log; one that exists stays as it is. Restart running servers afterwards.
  account   makes an account and prints its id; an e-mail that has an account keeps it as it is
  factor    says which roles must use a second factor, in place of those that had to: running servers obey within a second.
            Who has none yet can enrol one and do nothing else

  Roles: ${PERSONS.join(', ')}`;

async function makeTenant(code: string, { values }: CommandInput, database: OpenDatabase): Promise<void> {
  const tenant = {
    id: code,
    name: required(values, 'name'),
    country: required(values, 'country'),
    timeZone: timeZoneOf(required(values, 'time-zone')),
  };
  if (!/^[A-Z0-9][A-Z0-9-]{1,31}$/.test(code))
    throw new Refusal('A tenant code is 2 to 32 capitals, digits and hyphens.', 2);
  if (!/^[A-Z]{2}$/.test(tenant.country)) throw new Refusal('The country is two capitals, such as CN.', 2);
  await ensureTenants(database.ownerUrl, [tenant], new SystemClock().now());
  await composed(database, async () => undefined);
  process.stdout.write(`tenant ${code}\n`);
}

async function makeAccount(tenant: string, { values }: CommandInput, database: OpenDatabase): Promise<void> {
  const role = required(values, 'role');
  if (!PERSONS.includes(role)) throw new Refusal(`There is no role ${role}.\n${usage}`, 2);
  const email = required(values, 'email');
  const password = await lineOfInput();
  await composed(database, async ({ identity, ledger, tenants }) => {
    if (!tenants.includes(tenant)) throw new Refusal(`There is no tenant ${tenant}; there are ${tenants.join(', ')}.`);
    const account = await identity.createAccount({ tenant, email, role: role as Role, password });
    await ledger.writer.append({
      ...bareDraft(tenant, 'account.create', 'CREATE', newId()),
      actor: account.reference,
      role,
    });
    process.stdout.write(`account ${account.id}\n`);
  });
}

/** Recorded before it takes effect: a demand that is in the ledger and was not made can be made again. */
async function setFactor(tenant: string, { values }: CommandInput, database: OpenDatabase): Promise<void> {
  const named = required(values, 'roles');
  const roles = named === 'none' ? [] : named.split(',').map((role) => role.trim());
  for (const role of roles) {
    if (!PERSONS.includes(role)) throw new Refusal(`There is no role ${role}.\n${usage}`, 2);
  }
  await composed(database, async ({ ledger, tenants }) => {
    if (!tenants.includes(tenant)) throw new Refusal(`There is no tenant ${tenant}; there are ${tenants.join(', ')}.`);
    await ledger.writer.append(bareDraft(tenant, 'factor.demand', 'POLICY', newId()));
    await demandFactor(database.ownerUrl, tenant, [...new Set(roles)]);
  });
  process.stdout.write(`factor ${tenant} ${roles.join(',') || 'none'}\n`);
}

async function composed(database: OpenDatabase, work: (composition: Composition) => Promise<void>): Promise<void> {
  const composition = await compose(readConfiguration(), database);
  try {
    await work(composition);
  } finally {
    await composition.close();
  }
}

function required(values: CommandInput['values'], name: string): string {
  const value = values[name];
  if (typeof value === 'string' && value.trim() !== '') return value.trim();
  throw new Refusal(`--${name} is missing.\n${usage}`, 2);
}

function timeZoneOf(name: string): string {
  if (Intl.supportedValuesOf('timeZone').includes(name) || name === 'UTC') return name;
  throw new Refusal('The time zone is an IANA name, such as Asia/Shanghai.', 2);
}

async function lineOfInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Password: ');
  for await (const line of createInterface({ input: process.stdin })) return line;
  throw new Refusal('The password is one line on standard input.', 2);
}

const text = { type: 'string' } as const;
const ACTIONS = { tenant: makeTenant, account: makeAccount, factor: setFactor } as const;
await runCommand({
  usage,
  options: { name: text, country: text, 'time-zone': text, role: text, roles: text, email: text },
  words: [2, 2],
  async run(input) {
    const [what = '', code = ''] = input.positionals;
    if (!Object.hasOwn(ACTIONS, what)) throw new Refusal(usage, 2);
    const action = ACTIONS[what as keyof typeof ACTIONS];
    await withDatabase(readConfiguration(), (database) => action(code, input, database));
  },
});
