import { beforeEach, describe, expect, it } from '@jest/globals';
import { KeyRefresh, type KeyRefreshWork } from './key-refresh.js';
import type { VaultNotice } from './vault.store.js';

let told: VaultNotice[];
let done: string[];
let fails: boolean;
let held: Promise<void> | null;

function work(): KeyRefreshWork {
  return {
    notices: async () => {
      if (held !== null) await held;
      if (fails) throw new Error('no database');
      return told;
    },
    reload: async (tenant) => void done.push(`reload ${tenant}`),
    forget: (tenant, subjectId) => void done.push(`forget ${tenant} ${subjectId}`),
    forgetAll: () => void done.push('forget all'),
  };
}

beforeEach(() => {
  [told, done, fails, held] = [[], [], false, null];
});

describe('the keys in a process', () => {
  it('follow each notice once, those of one tenant together', async () => {
    const refresh = new KeyRefresh(work());
    told = [
      { id: '1', tenantId: 'T-CN', subjectId: 'one' },
      { id: '2', tenantId: 'T-CN', subjectId: null },
      { id: '3', tenantId: 'T-CN', subjectId: null },
    ];
    await refresh.turn();
    await refresh.turn();
    expect(done).toEqual(['forget T-CN one', 'reload T-CN']);
    told = [...told, { id: '4', tenantId: 'T-EU', subjectId: 'two' }];
    await refresh.turn();
    expect(done.slice(2)).toEqual(['forget T-EU two']);
  });

  it('are dropped when two looks in a row failed, and not for one', async () => {
    const refresh = new KeyRefresh(work());
    fails = true;
    await refresh.turn();
    fails = false;
    await refresh.turn();
    fails = true;
    await refresh.turn();
    expect(done).toEqual([]);
    await refresh.turn();
    await refresh.turn();
    expect(done).toEqual(['forget all', 'forget all']);
  });

  it('are dropped when a look does not come back', async () => {
    const refresh = new KeyRefresh(work());
    let release = () => undefined as void;
    held = new Promise((resolve) => (release = resolve));
    const first = refresh.turn();
    await refresh.turn();
    await refresh.turn();
    expect(done).toEqual(['forget all']);
    release();
    await first;
  });

  it('hear again of what could not be done', async () => {
    let refused = true;
    const refresh = new KeyRefresh({
      ...work(),
      reload: async (tenant) => {
        if (refused) throw new Error('no root key');
        done.push(`reload ${tenant}`);
      },
    });
    told = [{ id: '1', tenantId: 'T-CN', subjectId: null }];
    await refresh.turn();
    refused = false;
    await refresh.turn();
    expect(done).toEqual(['reload T-CN']);
  });
});
