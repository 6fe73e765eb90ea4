import { describe, expect, it } from '@jest/globals';
import type { Database } from '../persistence/database.js';
import { assertDurability, assertSessionDurability } from './durability.js';

const SAFE = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', synchronous_standby_names: '' };

function answering(settings: Readonly<Record<string, string>>) {
  const rows = Object.entries(settings).map(([name, setting]) => ({ name, setting }));
  return { query: async <Row>() => rows as Row[] };
}
const outcome = (asserted: Promise<void>) =>
  asserted.then(
    () => 'taken',
    (error: Error) => error.message,
  );
const server = (change: Partial<typeof SAFE>) =>
  outcome(assertDurability(answering({ ...SAFE, ...change }) as unknown as Database));
const session = (change: Partial<typeof SAFE>) => outcome(assertSessionDurability(answering({ ...SAFE, ...change })));

describe('a server', () => {
  it.each(['fsync', 'full_page_writes', 'synchronous_commit'])('is refused without %s', async (name) => {
    expect(await server({})).toBe('taken');
    expect(await server({ [name]: 'off' })).toContain(`switch on ${name}`);
  });

  it('that does not answer is refused', async () => {
    await expect(assertDurability(answering({}) as unknown as Database)).rejects.toThrow('may lose committed');
  });
});

describe('a session', () => {
  it('is refused when its commits are not flushed, whatever the server is', async () => {
    expect(await session({ fsync: 'off', full_page_writes: 'off' })).toBe('taken');
    expect(await session({ synchronous_commit: 'off' })).toContain('switch on synchronous_commit');
  });
});

describe('with a synchronous standby', () => {
  const names = 'ANY 1 (one, two)';
  it.each([
    ['on', 'taken'],
    ['remote_apply', 'taken'],
    ['remote_write', 'set it to on or remote_apply'],
    ['local', 'set it to on or remote_apply'],
    ['off', 'switch on synchronous_commit'],
  ])('synchronous_commit %s: %s', async (synchronous_commit, said) => {
    const change = { synchronous_commit, synchronous_standby_names: names };
    expect(await server(change)).toContain(said);
    expect(await session(change)).toContain(said);
    if (synchronous_commit !== 'off') expect(await server({ synchronous_commit })).toBe('taken');
  });
});
