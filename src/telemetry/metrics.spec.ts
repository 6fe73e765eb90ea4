import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.js';

describe('Metrics', () => {
  it('tells requests, operations, pools and the ledger as they are when it is asked', async () => {
    const metrics = new Metrics({ processFigures: false });
    let queued = 1;
    const witnesses = new Map([
      ['w1', 1767225600],
      ['w2', null],
    ]);
    metrics.watchPool('custodia_app', () => ({ open: 3, idle: 2, waiting: 0 }));
    metrics.watchLedger(() => ({
      queued,
      lagSeconds: 0.5,
      refusing: true,
      sizes: new Map([['T-CN', 1234]]),
      witnesses,
    }));
    metrics.request('success');
    metrics.operation('patients', 'success', 0.004);
    queued = 7;
    const text = await metrics.text();
    expect(text).toContain('custodia_http_requests_total{outcome="success"} 1');
    expect(text).toContain('custodia_operation_seconds_count{operation="patients",outcome="success"} 1');
    expect(text).toContain('custodia_database_connections_idle{role="custodia_app"} 2');
    expect(text).toContain('custodia_ledger_queue 7');
    expect(text).toContain('custodia_ledger_refusing 1');
    expect(text.match(/custodia_ledger_witness_seconds\{.*/g)).toEqual([
      'custodia_ledger_witness_seconds{witness="w1"} 1767225600',
    ]);
    expect(text).toContain('custodia_ledger_size{log="T-CN"} 1234');
  });

  it('counts accesses in emergencies that wait, and the accounts that they lock; a failure leaves the last figures', async () => {
    const metrics = new Metrics({ processFigures: false });
    let fails = false;
    metrics.watchEmergencyAccesses(async () => {
      if (fails) throw new Error('lost');
      return { open: 1, due: 2, overdue: 3, locked: 2 };
    });
    for (const failing of [false, true]) {
      fails = failing;
      const text = await metrics.text();
      expect(text).toContain('custodia_emergency_accesses{state="overdue"} 3');
      expect(text).not.toContain('state="locked"');
      expect(text).toContain('custodia_locked_accounts 2');
    }
  });

  it('makes no label of a text that is no name', async () => {
    const metrics = new Metrics({ processFigures: false });
    metrics.operation('patient 13812345678', 'failed', 0.1);
    expect(await metrics.text()).not.toContain('13812345678');
    expect(await metrics.text()).toContain('operation="other"');
  });
});
