import { describe, expect, test } from 'vitest';
import { createNetworks } from '../config/login.ts';
import type { ServerRequest } from '../server/http-server.ts';
import { clientAddress } from './client-address.ts';

const addressOf = (peer: string, header?: string, proxies: readonly string[] = ['10.0.0.0/8', '2001:db8:ff::/48']) => {
  const request = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': header } };
  return clientAddress(request as unknown as ServerRequest, createNetworks(proxies));
};

describe('the address of a client', () => {
  test.each([
    ['is that of its connection', '192.0.2.1', undefined, '192.0.2.1'],
    ['is not what a client writes', '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    ['is what a proxy writes', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['is the last one before the proxies', '10.0.0.1', '203.0.113.9, 198.51.100.1 , 10.1.1.1', '198.51.100.1'],
    ['may be behind a proxy over IPv6', '2001:db8:ff::1', '2001:DB8::7', '2001:db8::7'],
    ['is an IPv4 address, however it is written', '::ffff:10.0.0.1', '::FFFF:198.51.100.1', '198.51.100.1'],
    ['is that of a proxy that writes nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['is that of a proxy that writes nonsense', '10.0.0.1', '198.51.100.1, unknown', '10.0.0.1'],
    ['may have a port', '10.0.0.1', '203.0.113.9, 198.51.100.1:5678', '198.51.100.1'],
    ['may have brackets', '10.0.0.1', '[2001:DB8::7]', '2001:db8::7'],
    ['may have brackets and a port', '10.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
    ['is that of a proxy if there are proxies alone', '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['is found in a header of any length', '10.0.0.1', `${'x,'.repeat(10_000)}198.51.100.1`, '198.51.100.1'],
  ])('%s', (_what, peer, header, expected) => {
    expect(addressOf(peer, header)).toBe(expected);
  });

  test('is that of the connection without trusted proxies', () => {
    expect(addressOf('10.0.0.1', '198.51.100.1', [])).toBe('10.0.0.1');
  });
});
