import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Refusal } from '../config/refusal.js';
import { Failure } from '../kernel/failure.js';
import { FrameworkLog } from './framework-log.js';
import { Log, type LogEvent } from './log.js';
import type { LogFacts } from './safe.js';

const canaries = [
  '王小明',
  '13812345678',
  '+1-555-010-4477',
  '110101194910011234',
  '078-05-1120',
  '1949-10-01',
  'mary.smith@example.org',
  '12 Elm Street',
  'Smith, Mary',
  'HIV B20.1',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
];
const keys = [
  ...['requestId', 'operation', 'outcome', 'code', 'status', 'milliseconds', 'count', 'rejected', 'attempt', 'port'],
  ...[
    'process',
    'tenant',
    'role',
    'purpose',
    'policyHash',
    'room',
    'error',
    'phone',
    'err',
    'msg',
    'event',
    '__proto__',
  ],
];

function capture(work: (log: Log) => void): string {
  let written = '';
  const log = new Log('trace' as 'debug', { write: (line: string) => void (written += line) });
  work(log);
  return written;
}

/** Everything a canary can hide in. */
function carriers(canary: string): unknown[] {
  const plain = new Error(`wrong value ${canary}`);
  const odd = Object.assign(new Error(`\n    at /src/${canary}/x.ts:1:1`), {
    code: canary,
    detail: canary,
    name: canary,
  });
  const renamed = new Error('fine');
  renamed.message = canary;
  return [
    canary,
    Number(canary),
    [canary],
    { phone: canary },
    new Map([[canary, canary]]),
    Buffer.from(canary),
    plain,
    odd,
    renamed,
    new Failure('BAD_USER_INPUT', canary, canary, { cause: new Error(canary), extensions: { canary } }),
    new Refusal(canary),
    { toJSON: () => canary },
    { toString: () => canary },
  ];
}

describe('Log', () => {
  it.each(canaries)('lets no canary through on any path: %s', (canary) => {
    const written = capture((log) => {
      for (const severity of ['fatal', 'error', 'warn', 'info', 'debug'] as const) {
        log[severity](canary as LogEvent);
        for (const carrier of carriers(canary)) {
          for (const key of keys) log[severity]('request', { [key]: carrier } as LogFacts);
          log[severity]('request', { [canary]: carrier } as LogFacts);
        }
      }
      const framework = new FrameworkLog(log);
      for (const carrier of carriers(canary)) {
        framework.log(carrier, carrier, canary);
        framework.debug(carrier, carrier, canary);
        framework.warn(carrier, canary, carrier);
        framework.error(carrier, canary, carrier, canary);
      }
    });
    expect(written.split('\n').length).toBeGreaterThan(500);
    expect(written).not.toContain(canary);
    expect(written).not.toContain(JSON.stringify(canary).slice(1, -1));
  });

  it('lets no run of digits and nothing outside ASCII through, whatever text it is given', () => {
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.string({ unit: 'binary', minLength: 4 }), (key, text) => {
        const written = capture((log) => log.info('request', { [key]: `${text}1949` } as LogFacts));
        const { time, ...line } = JSON.parse(written) as Record<string, unknown>;
        expect(time).toBeDefined();
        expect(line).toEqual({
          level: 'info',
          event: 'request',
          process: process.pid,
          ...(key === 'error' && { error: { class: 'string' } }),
        });
      }),
    );
  });

  it('writes what is safe: event, names, codes, counts and where an error came from', () => {
    const failure = new Failure('VERSION_CONFLICT', 'changed meanwhile', 'Read it again.');
    const line = JSON.parse(
      capture((log) =>
        log.error('operation failed', {
          operation: 'updatePatient',
          tenant: 'T-CN',
          milliseconds: 1.2345,
          error: failure,
        }),
      ),
    ) as Record<string, unknown>;
    expect(line).toMatchObject({
      level: 'error',
      event: 'operation failed',
      operation: 'updatePatient',
      tenant: 'T-CN',
      milliseconds: 1.23,
    });
    expect(line.error).toMatchObject({ class: 'Failure', code: 'VERSION_CONFLICT' });
    expect((line.error as { at: string[] }).at[0]).toMatch(/^src\/telemetry\/log\.spec\.ts:\d+$/);
  });

  it('writes nothing below its level', () => {
    let written = '';
    const log = new Log('warn', { write: (line: string) => void (written += line) });
    log.info('ready');
    expect(written).toBe('');
  });
});
