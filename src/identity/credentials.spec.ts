import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { clientNetwork, isEmail, isTenantCode, normaliseEmail } from './credentials.js';

describe('a client', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['', ''],
    ['unix socket', 'unix socket'],
  ])('%s is %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network);
  });

  it('is one per IPv6 network of 64 bits, whatever the spelling', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const network = clientNetwork(address);
        if (network.includes('.')) return;
        expect(network).toMatch(/^([0-9a-f]{1,4}:){4}:\/64$/);
        expect(clientNetwork(network.replace('/64', '1'))).toBe(network);
      }),
    );
  });
});

describe('a sign-in name', () => {
  it('is one account in every spelling of it', () => {
    expect(normaliseEmail('  Mei.Ling@Hospital.Example ')).toBe('mei.ling@hospital.example');
    expect(normaliseEmail('ｍei.ling@hospital.example')).toBe('mei.ling@hospital.example');
    expect(normaliseEmail(`${'a'.repeat(255)}@x`)).toBe('');
  });

  it('has two sides', () => {
    expect(['a@b', 'ä@b.example'].every(isEmail)).toBe(true);
    expect(['', 'a', '@', 'a@', '@b', 'a b@c', 'a@b@c', `${'a'.repeat(253)}@b`].some(isEmail)).toBe(false);
  });

  it('belongs to a tenant whose code fits into a token', () => {
    expect(['T-CN', 'AB', '9-X'].every(isTenantCode)).toBe(true);
    expect(['', '-', 'system', 'A', 'A.B', 'A B', 'AB\n', 'É1', 'A'.repeat(33)].some(isTenantCode)).toBe(false);
  });
});
