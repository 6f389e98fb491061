import { describe, expect, test } from 'vitest';
import { portMixUp } from './servers.ts';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const clear = { startTLS: true };

describe('urls', () => {
  test.each([
    {
      url: 'ldaps://ldap.example.com',
      keys: {},
      server: {
        url: 'ldaps://ldap.example.com:636',
        host: 'ldap.example.com',
        port: 636,
        security: 'ldaps',
      },
    },
    {
      url: 'LDAPS://LDAP.Example.com:3269/',
      keys: {},
      server: {
        url: 'ldaps://ldap.example.com:3269',
        host: 'ldap.example.com',
        port: 3269,
        security: 'ldaps',
      },
    },
    {
      url: 'ldap://ldap',
      keys: clear,
      server: { url: 'ldap://ldap:389', host: 'ldap', port: 389, security: 'starttls' },
    },
    {
      url: 'ldap://192.0.2.7:1389',
      keys: { insecure: true },
      server: { url: 'ldap://192.0.2.7:1389', host: '192.0.2.7', port: 1389, security: 'insecure' },
    },
    {
      url: 'ldaps://[2001:DB8:0::1]:1636',
      keys: {},
      server: {
        url: 'ldaps://[2001:db8::1]:1636',
        host: '2001:db8::1',
        port: 1636,
        security: 'ldaps',
      },
    },
    {
      url: 'ldaps://[fe80::1%eth0]',
      keys: {},
      server: {
        url: 'ldaps://[fe80::1%eth0]:636',
        host: 'fe80::1%eth0',
        port: 636,
        security: 'ldaps',
      },
    },
  ])('$url is taken apart', ({ url, keys, server }) => {
    expect(settled(writtenOptions({ urls: [url], ...keys })).servers).toEqual([server]);
  });

  test('keep their order, and startTLS is for those of ldap:// only', () => {
    const { servers } = settled(
      writtenOptions({ urls: ['ldaps://b', 'ldap://a', 'ldaps://a'], startTLS: true }),
    );
    expect(servers.map(({ url, security }) => [url, security])).toEqual([
      ['ldaps://b:636', 'ldaps'],
      ['ldap://a:389', 'starttls'],
      ['ldaps://a:636', 'ldaps'],
    ]);
  });

  test.each([
    ['ldap.example.com', 'must begin with ldaps:// or ldap://'],
    ['https://ldap.example.com', 'must begin with ldaps:// or ldap://'],
    ['ldaps://', 'does not name a host'],
    [
      'ldaps://ldap.example.com/dc=example,dc=com',
      'must end after the host and port (an IPv6 address in brackets)',
    ],
    [
      'ldaps://ldap.example.com?uid',
      'must end after the host and port (an IPv6 address in brackets)',
    ],
    ['ldaps://2001:db8::1', 'must end after the host and port (an IPv6 address in brackets)'],
    ['ldaps://[192.0.2.1]', 'does not name a host'],
    ['ldaps://127.1', 'does not name a host'],
    ['ldaps://-a.example.com', 'does not name a host'],
    ['ldaps://lüdap', 'does not name a host'],
    // Resolvers read these as dots, and a certificate for *.example.com would be for one label (CVE-2026-48618).
    ['ldaps://ldap\uff0ea.example.com', 'does not name a host'],
    ['ldaps://ldap\u3002a.example.com', 'does not name a host'],
    ['ldaps://ldap\uff61a.example.com', 'does not name a host'],
    ['ldaps://ldap:0', 'has no port from 1 to 65535'],
    ['ldaps://ldap:65536', 'has no port from 1 to 65535'],
  ])('%s is refused, quoted, with an example', (url, words) => {
    const fix =
      'write ldaps://ldap-a.example.com, ldaps://ldap.example.com:3269 or ldaps://[2001:db8::1]';
    expect(complaints(writtenOptions({ urls: ['ldaps://good', url] }))).toEqual([
      `urls.1: "${url}" ${words}: ${fix}`,
    ]);
  });

  test('with a user in them are refused without a word of it', () => {
    const [complaint = '', ...others] = complaints(
      writtenOptions({ urls: ['ldap://admin:hunter2@ldap.example.com'] }),
    );
    expect(others).toEqual([]);
    expect(complaint).toBe(
      'urls.0: must not name a user: the DN and the password belong under bind; write ldaps://host',
    );
  });

  test.each([
    [
      [],
      'urls: must have 1 to 16 entries: write [ldaps://ldap-a.example.com, ldaps://ldap-b.example.com]',
    ],
    [
      Array.from({ length: 17 }, (_, index) => `ldaps://a${index}`),
      'urls: must have 1 to 16 entries: write [ldaps://ldap-a.example.com, ldaps://ldap-b.example.com]',
    ],
    [
      'ldaps://a',
      'urls: must be a list: write [ldaps://ldap-a.example.com, ldaps://ldap-b.example.com]',
    ],
    [
      ['ldaps://a', 'ldaps://b', 'LDAPS://A:636/'],
      'urls.2: is the same server as entry 1: remove one of the two',
    ],
    [
      ['ldaps://[::1]', 'ldaps://[0:0::0:1]'],
      'urls.1: is the same server as entry 1: remove one of the two',
    ],
  ])('as %j are refused', (urls, complaint) => {
    expect(complaints(writtenOptions({ urls }))).toEqual([complaint]);
  });
});

describe('srv', () => {
  test.each([
    { name: '_ldaps._tcp.example.com', keys: {}, security: 'ldaps' },
    { name: '_LDAPS._TCP.example.com.', keys: {}, security: 'ldaps' },
    { name: '_ldap._tcp.example.com', keys: clear, security: 'starttls' },
    { name: '_ldap._tcp.dc._msdcs.example.com', keys: { insecure: true }, security: 'insecure' },
    {
      name: '_ldap._tcp.Default-First-Site-Name._sites.dc._msdcs.example.com',
      keys: clear,
      security: 'starttls',
    },
  ])('$name can replace urls', ({ name, keys, security }) => {
    const options = settled(writtenOptions({ urls: undefined, srv: { name }, ...keys }));
    expect(options).toMatchObject({
      servers: [],
      srv: { name: name.replace(/\.$/, ''), security, nameServers: [] },
    });
  });

  test.each([
    ...[
      'example.com',
      '_kerberos._tcp.example.com',
      '_ldap._udp.example.com',
      '_ldap._tcp.',
      '_ldap._tcp.a b',
    ],
    ...['_ldap._tcp._'],
  ])('%s is refused', (name) => {
    expect(complaints(writtenOptions({ urls: undefined, srv: { name } }))).toEqual([
      `srv.name: "${name}" does not name an LDAP service: write _ldaps._tcp.example.com (TLS from the start), or _ldap._tcp.example.com with startTLS: true`,
    ]);
  });

  test('asks name servers by their addresses', () => {
    const nameServers = [
      '192.0.2.53',
      '192.0.2.53:5353',
      '2001:db8::53',
      '[2001:db8::53]',
      '[2001:db8::53]:5353',
    ];
    const name = '_ldaps._tcp.example.com';
    expect(
      settled(writtenOptions({ urls: undefined, srv: { name, nameServers } })).srv?.nameServers,
    ).toEqual(nameServers);
    const bad = ['dns.example.com', '192.0.2.53:0', '192.0.2.53:65536', '[192.0.2.53]', '192.0.2'];
    expect(
      complaints(writtenOptions({ urls: undefined, srv: { name, nameServers: bad.slice(0, 5) } })),
    ).toEqual(
      bad.map(
        (address, index) =>
          `srv.nameServers.${index}: "${address}" is not the address of a DNS server: write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or "[2001:db8::53]:5353"`,
      ),
    );
    expect(complaints(writtenOptions({ urls: undefined, srv: { name, nameServers: [] } }))).toEqual(
      ['srv.nameServers: must have 1 to 8 entries: write [192.0.2.53]'],
    );
  });

  test('or urls: one of them, and one only', () => {
    expect(complaints(writtenOptions({ urls: undefined }))).toEqual([
      'urls: must list the servers: write [ldaps://ldap-a.example.com], or srv: { name: _ldaps._tcp.example.com }',
    ]);
    expect(complaints(writtenOptions({ srv: { name: '_ldaps._tcp.example.com' } }))).toEqual([
      "srv: can't be used together with urls: remove one of the two",
    ]);
    expect(complaints(writtenOptions({ urls: undefined, srv: {} }))).toEqual([
      'srv.name: must be a string: write _ldaps._tcp.example.com',
    ]);
    expect(complaints(writtenOptions({ urls: undefined, srv: '_ldaps._tcp.example.com' }))).toEqual(
      ['srv: must be keys and values: write { name: _ldaps._tcp.example.com }'],
    );
  });
});

describe('clear text', () => {
  const fix =
    'write startTLS: true, or insecure: true if anyone on the network path may read passwords';
  const srv = { name: '_ldap._tcp.example.com' };

  test.each<{ keys: Record<string, unknown>; expected: string[] }>([
    {
      keys: { urls: ['ldaps://a', 'ldap://b'] },
      expected: [`urls.1: ldap:// is clear text: write ldaps://; or ${fix}`],
    },
    {
      keys: { urls: undefined, srv },
      expected: [`srv.name: _ldap._tcp is clear text: write _ldaps._tcp; or ${fix}`],
    },
    {
      keys: { urls: ['ldap://b'], startTLS: true, insecure: true },
      expected: [
        "insecure: can't be used together with startTLS: remove insecure, and everything is encrypted",
      ],
    },
    {
      keys: { startTLS: true },
      expected: ['startTLS: has no effect: all servers are ldaps: remove startTLS'],
    },
    {
      keys: { insecure: true },
      expected: ['insecure: has no effect: all servers are ldaps: remove insecure'],
    },
    {
      keys: { urls: undefined, srv: { name: '_ldaps._tcp.example.com' }, insecure: true },
      expected: ['insecure: has no effect: all servers are ldaps: remove insecure'],
    },
  ])('$keys is refused', ({ keys, expected }) => {
    expect(complaints(writtenOptions(keys))).toEqual(expected);
  });

  test('is used with ldap:// servers only, when it is asked for explicitly', () => {
    const { servers } = settled(
      writtenOptions({ urls: ['ldaps://a', 'ldap://b'], insecure: true }),
    );
    expect(servers.map(({ security }) => security)).toEqual(['ldaps', 'insecure']);
  });
});

describe('a port of the other scheme looks mixed up', () => {
  test.each([
    {
      url: 'ldaps://a:389',
      keys: {},
      hint: /^servers expect ldap:\/\/ with startTLS: true on port 389, and ldaps:\/\/ on port 636$/,
    },
    { url: 'ldaps://a:3268', keys: {}, hint: /on port 3268, and ldaps:\/\/ on port 3269$/ },
    { url: 'ldap://a:636', keys: clear, hint: /^servers expect ldaps:\/\/ on port 636/ },
    {
      url: 'ldap://a:3269',
      keys: { insecure: true },
      hint: /^servers expect ldaps:\/\/ on port 3269/,
    },
  ])('$url', ({ url, keys, hint }) => {
    expect(settled(writtenOptions({ urls: [url], ...keys })).servers.map(portMixUp)).toEqual([
      expect.stringMatching(hint),
    ]);
  });

  test('and no other does', () => {
    const urls = [
      'ldaps://a',
      'ldaps://a:3269',
      'ldaps://a:1636',
      'ldap://a',
      'ldap://a:3268',
      'ldap://a:1389',
    ];
    const { servers } = settled(writtenOptions({ urls, startTLS: true }));
    expect(servers.map(portMixUp)).toEqual(urls.map(() => undefined));
  });
});
