import { describe, expect, test } from 'vitest';
import { createNetworks } from '../config/login.ts';
import type { ServerRequest } from '../http/http-server.ts';
import { clientAddress } from './door.ts';

const addressOf = (
  peer: string,
  header?: string,
  proxies: readonly string[] = ['10.0.0.0/8', '2001:db8:ff::/48'],
) => {
  const request = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': header } };
  return clientAddress(request as unknown as ServerRequest, createNetworks(proxies));
};

describe('the address of a client', () => {
  test.each([
    {
      what: 'is that of its connection',
      peer: '192.0.2.1',
      header: undefined,
      expected: '192.0.2.1',
    },
    {
      what: 'is not what a client writes',
      peer: '192.0.2.1',
      header: '198.51.100.1',
      expected: '192.0.2.1',
    },
    {
      what: 'is what a proxy writes',
      peer: '10.0.0.1',
      header: '198.51.100.1',
      expected: '198.51.100.1',
    },
    {
      what: 'is the last one before the proxies',
      peer: '10.0.0.1',
      header: '203.0.113.9, 198.51.100.1 , 10.1.1.1',
      expected: '198.51.100.1',
    },
    {
      what: 'may be behind a proxy over IPv6',
      peer: '2001:db8:ff::1',
      header: '2001:DB8::7',
      expected: '2001:db8::7',
    },
    {
      what: 'is an IPv4 address, however it is written',
      peer: '::ffff:10.0.0.1',
      header: '::FFFF:198.51.100.1',
      expected: '198.51.100.1',
    },
    {
      what: 'is that of a proxy that writes nothing',
      peer: '10.0.0.1',
      header: undefined,
      expected: '10.0.0.1',
    },
    {
      what: 'is that of a proxy that writes nonsense',
      peer: '10.0.0.1',
      header: '198.51.100.1, unknown',
      expected: '10.0.0.1',
    },
    {
      what: 'may have a port',
      peer: '10.0.0.1',
      header: '203.0.113.9, 198.51.100.1:5678',
      expected: '198.51.100.1',
    },
    {
      what: 'may have brackets',
      peer: '10.0.0.1',
      header: '[2001:DB8::7]',
      expected: '2001:db8::7',
    },
    {
      what: 'may have brackets and a port',
      peer: '10.0.0.1',
      header: '[2001:db8::7]:443',
      expected: '2001:db8::7',
    },
    {
      what: 'is that of a proxy if there are proxies alone',
      peer: '10.0.0.1',
      header: '10.0.0.2',
      expected: '10.0.0.2',
    },
    {
      what: 'is found in a header of any length',
      peer: '10.0.0.1',
      header: `${'x,'.repeat(10_000)}198.51.100.1`,
      expected: '198.51.100.1',
    },
  ])('is found: $what', ({ peer, header, expected }) => {
    expect(addressOf(peer, header)).toBe(expected);
  });

  test('is that of the connection without trusted proxies', () => {
    expect(addressOf('10.0.0.1', '198.51.100.1', [])).toBe('10.0.0.1');
  });
});
