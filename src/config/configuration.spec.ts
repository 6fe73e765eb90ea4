import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readConfiguration } from './configuration.js';
import { Refusal } from './refusal.js';

const production = {
  CUSTODIA_PROFILE: 'production',
  DATABASE_URL: 'postgresql://owner:canary-password@database:5432/custodia',
  CUSTODIA_DATA_DIRECTORY: '/srv/custodia/data',
  CUSTODIA_KEY_DIRECTORY: '/srv/keys',
  CUSTODIA_CHECKPOINT_DIRECTORY: '/srv/checkpoints',
  CUSTODIA_TRUSTED_DOCUMENTS: '/srv/trusted-documents.json',
};

describe('readConfiguration', () => {
  it('takes a key agent with its token, and neither without the other', () => {
    const both = { CUSTODIA_KEY_AGENT: '/run/agent/s', CUSTODIA_KEY_AGENT_TOKEN_FILE: '/run/agent/s.token' };
    expect(readConfiguration(both).keyAgent).toEqual({ socket: '/run/agent/s', tokenFile: '/run/agent/s.token' });
    for (const [variable, value] of Object.entries(both)) {
      expect(() => readConfiguration({ [variable]: value })).toThrow(/belong together/);
    }
  });

  it('has a default for everything in the trial profile', () => {
    const configuration = readConfiguration({});
    expect(configuration).toEqual({
      profile: 'trial',
      host: '127.0.0.1',
      port: 4000,
      databaseUrl: null,
      databasePort: 0,
      dataDirectory: path.resolve('.data'),
      keyAgent: null,
      keyDirectory: path.resolve('.data/keys'),
      checkpointDirectory: path.resolve('.data/checkpoints'),
      tombstoneDirectory: path.resolve('.data/tombstones'),
      archiveDirectory: path.resolve('.data/archive'),
      blobDirectory: path.resolve('.data/blobs'),
      largestAttachment: 20 * 1024 * 1024,
      ledgerLagLimit: 15_000,
      origin: 'custodia.local',
      ledgerWitnesses: null,
      ledgerQuorum: 'reported',
      policyTenants: null,
      corsOrigins: ['localhost'],
      trustedDocuments: null,
      logLevel: 'info',
    });
    expect(Object.isFrozen(configuration) && Object.isFrozen(configuration.corsOrigins)).toBe(true);
  });

  it.each([
    ['CUSTODIA_PROFILE', 'demo'],
    ['CUSTODIA_PORT', '70000'],
    ['CUSTODIA_PORT', '-1'],
    ['CUSTODIA_PORT', '4000x'],
    ['CUSTODIA_DATABASE_PORT', 'any'],
    ['CUSTODIA_HOST', 'a b'],
    ['CUSTODIA_ORIGIN', 'https://crm.example'],
    ['CUSTODIA_LEDGER_QUORUM', 'some'],
    ['CUSTODIA_CORS_ORIGINS', '*'],
    ['CUSTODIA_CORS_ORIGINS', 'https://a.example/path'],
    ['CUSTODIA_LOG_LEVEL', 'loud'],
    ['DATABASE_URL', 'mysql://owner:canary-password@database/custodia'],
    ['DATABASE_URL', 'postgresql://database'],
  ])('refuses %s=%s in one sentence that names the variable, not the value', (variable, value) => {
    const read = () => readConfiguration({ [variable]: value });
    expect(read).toThrow(Refusal);
    expect(read).toThrow(new RegExp(`^${variable} is not valid: it must be [^\\n]+\\.$`));
    expect(read).not.toThrow(/canary-password/);
  });

  it('refuses a variable it does not know', () => {
    expect(() => readConfiguration({ CUSTODIA_KEYDIRECTORY: '/srv/keys' })).toThrow(
      /^CUSTODIA_KEYDIRECTORY is not a variable/,
    );
  });

  it('takes an empty variable for an absent one', () => {
    expect(readConfiguration({ CUSTODIA_PORT: '', DATABASE_URL: ' ' })).toEqual(readConfiguration({}));
  });

  it('reads the database URL from a file as from the environment, but not from both', () => {
    const directory = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'secret-'));
    const file = path.join(directory, 'database-url');
    writeFileSync(file, `${production.DATABASE_URL}\n`);
    const fromFile = { ...production, DATABASE_URL: '', DATABASE_URL_FILE: file };
    expect(readConfiguration(fromFile)).toEqual(readConfiguration(production));
    expect(() => readConfiguration({ ...production, DATABASE_URL_FILE: file })).toThrow(/are both set/);
    const missing = () => readConfiguration({ ...fromFile, DATABASE_URL_FILE: path.join(directory, 'none') });
    expect(missing).toThrow(/^The file of DATABASE_URL_FILE cannot be read \(ENOENT\)\.$/);
    for (const content of ['', 'canary-password', 'mysql://owner:canary-password@database/custodia']) {
      writeFileSync(file, content);
      expect(() => readConfiguration(fromFile)).toThrow(/^DATABASE_URL_FILE is not valid/);
      expect(() => readConfiguration(fromFile)).not.toThrow(/canary-password/);
    }
  });

  it('lets production start only with a database, keys and checkpoints apart from each other', () => {
    expect(readConfiguration(production)).toMatchObject({ profile: 'production', corsOrigins: [] });
    expect(() => readConfiguration({ ...production, DATABASE_URL: '' })).toThrow(
      /^DATABASE_URL or DATABASE_URL_FILE is required/,
    );
    expect(() => readConfiguration({ ...production, CUSTODIA_TRUSTED_DOCUMENTS: '' })).toThrow(
      /^CUSTODIA_TRUSTED_DOCUMENTS is required/,
    );
    for (const inside of ['/srv/custodia/data', '/srv/custodia/data/keys', '/srv/custodia/other/../data/x']) {
      expect(() => readConfiguration({ ...production, CUSTODIA_KEY_DIRECTORY: inside })).toThrow(
        /^CUSTODIA_KEY_DIRECTORY must be outside/,
      );
      expect(() => readConfiguration({ ...production, CUSTODIA_CHECKPOINT_DIRECTORY: inside })).toThrow(
        /^CUSTODIA_CHECKPOINT_DIRECTORY must be outside/,
      );
    }
    expect(() => readConfiguration({ ...production, CUSTODIA_CHECKPOINT_DIRECTORY: '/srv/keys' })).toThrow(
      /KEY_DIRECTORY/,
    );
    expect(readConfiguration({ ...production, CUSTODIA_KEY_DIRECTORY: '/srv/custodia/data-keys' }).profile).toBe(
      'production',
    );
    expect(() => readConfiguration({ ...production, CUSTODIA_CORS_ORIGINS: 'localhost' })).toThrow(/CORS_ORIGINS/);
  });
});

it('the tenants whose officers decide are codes of tenants', () => {
  const of = (value: string) => readConfiguration({ CUSTODIA_POLICY_TENANTS: value }).policyTenants;
  expect([of(''), of('T-CN'), of(' T-CN , T-US ')]).toEqual([null, ['T-CN'], ['T-CN', 'T-US']]);
  for (const value of ['t-cn', 'T-CN,', 'T-CN;T-US', 'T']) expect(() => of(value)).toThrow(/CUSTODIA_POLICY_TENANTS/);
});
