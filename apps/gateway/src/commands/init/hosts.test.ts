import { isIPv6 } from 'node:net';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressBytes, listHosts, parseHost } from './hosts.ts';
import { webhookUrl } from './layout.ts';

test.each([
  { text: 'gateway.example.com', host: 'gateway.example.com' },
  { text: 'GW-1.Example.com', host: 'gw-1.example.com' },
  { text: 'localhost', host: 'localhost' },
  { text: '192.0.2.1', host: '192.0.2.1' },
  { text: '2001:DB8:0:0:0:0:0:1', host: '2001:db8::1' },
  { text: '[::1]', host: '::1' },
  { text: '::ffff:192.0.2.1', host: '::ffff:c000:201' },
])('$text is a host', ({ text, host }) => {
  expect(parseHost(text)).toBe(host);
});

test.each([
  { text: 'https://gw.example.com:8443/authenticate', problem: /is a URL: write only its host/ },
  { text: 'gw.example.com:8443', problem: /has a port: write only the host/ },
  { text: '192.0.2.1:8443', problem: /has a port/ },
  {
    text: 'gw,192.0.2.1',
    problem: /has a comma: write --host once per host: --host gw --host 192\.0\.2\.1/,
  },
  { text: '[::1]:8443', problem: /has a port/ },
  { text: '*.example.com', problem: /is not a DNS name .* without \* or %/ },
  { text: 'fe80::1%eth0', problem: /is not a DNS name .* without \* or %/ },
  { text: 'bücher.example', problem: /is not a DNS name .*ASCII/ },
  { text: '0.0.0.0', problem: /is not an address that a client can call/ },
  { text: '0:0::0', problem: /is not an address that a client can call/ },
  { text: '192.0.2.256', problem: /is not a DNS name or an IP address/ },
  { text: 'gw_1.example.com', problem: /is not a DNS name/ },
  { text: 'a b', problem: /is not a DNS name/ },
  { text: '\u{1f680}\n', problem: /is not a DNS name/ },
  { text: '', problem: /is not a DNS name/ },
])('"$text" is refused', ({ text, problem }) => {
  expect(() => parseHost(text)).toThrow(problem);
});

test('no text makes the parser fail in another way than its own error', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (text) => {
      try {
        parseHost(text);
      } catch (error) {
        expect(error).toMatchObject({ name: 'UsageError' });
      }
    }),
  );
});

test('the bytes of an address are those that it is written with', () => {
  expect([...addressBytes('192.0.2.1')]).toEqual([192, 0, 2, 1]);
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      fc.pre(isIPv6(text) && !/^[0:]+$/.test(text) && !text.endsWith('0.0.0.0'));
      const host = parseHost(text);
      const bytes = [...addressBytes(host)];
      expect(bytes).toHaveLength(16);
      const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
      expect(parseHost(hex.replace(/(....)(?!$)/g, '$1:'))).toBe(host);
    }),
  );
});

test('the hosts of a certificate are read as they were given', () => {
  const subjectAltName =
    'DNS:gw.example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://x';
  expect(listHosts({ subjectAltName })).toEqual(['gw.example.com', '192.0.2.1', '2001:db8::1']);
});

test('an IPv6 address is in brackets in a URL', () => {
  const urls = ['[::1]', '192.0.2.1', 'gw'].map((host) => `https://${host}:8443/authenticate`);
  expect(['::1', '192.0.2.1', 'gw'].map(webhookUrl)).toEqual(urls);
});
