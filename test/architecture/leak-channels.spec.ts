import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

interface Channel {
  readonly channel: string;
  readonly tests?: readonly Readonly<Record<string, string>>[];
  readonly waits?: string;
}

const { channels } = parse(readFileSync('test/e2e/leak-channels.yaml', 'utf8')) as { channels: Channel[] };

/** The files of tests that a channel names, with the text that must stand in each. */
function named({ tests = [] }: Channel): [string, string][] {
  return tests.flatMap((one) =>
    Object.entries(one).map(([name, title]): [string, string] => {
      const file = name.includes('/') ? `test/${name}.spec.ts` : `test/e2e/${name}.spec.ts`;
      return [file, title];
    }),
  );
}

describe('the list of leak channels', () => {
  it.each(channels)('$channel: attacked by a test that exists, or waiting', (channel) => {
    const tests = named(channel);
    expect([channel.channel, tests.length > 0]).toEqual([channel.channel, channel.waits === undefined]);
    for (const [file, title] of tests) {
      const found = existsSync(file) && readFileSync(file, 'utf8').includes(title);
      expect([file, title, found]).toEqual([file, title, true]);
    }
  });

  it('names each channel once', () => {
    const names = channels.map(({ channel }) => channel);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(40);
  });
});
