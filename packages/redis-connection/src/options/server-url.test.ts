import { testRefusals } from '@sallyport/test-servers/written-options';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { complaints, settled } from '../testing/written-options.ts';
import { placePattern, urlPattern } from './server-url.ts';

const fix = 'write rediss://redis.example.com:6379/0 or unix:/run/redis/redis.sock';
const encode =
  'percent-encode special characters in the user and the password, or use the keys username and password';

describe('a URL', () => {
  test.each([
    {
      url: 'rediss://redis.example.com',
      server: { secure: true, database: 0, address: { host: 'redis.example.com', port: 6379 } },
    },
    {
      url: 'REDISS://Redis.Example.COM:7000/',
      server: { secure: true, database: 0, address: { host: 'redis.example.com', port: 7000 } },
    },
    {
      url: 'rediss://redis/15',
      server: { secure: true, database: 15, address: { host: 'redis', port: 6379 } },
    },
    {
      url: 'rediss://192.0.2.1:65535/0',
      server: { secure: true, database: 0, address: { host: '192.0.2.1', port: 65_535 } },
    },
    {
      url: 'rediss://[2001:DB8:0::1]:7000',
      server: { secure: true, database: 0, address: { host: '2001:db8::1', port: 7000 } },
    },
    {
      url: 'redis://localhost',
      server: { secure: false, database: 0, address: { host: 'localhost', port: 6379 } },
    },
    {
      url: 'redis://127.9.9.9:1/9999',
      server: { secure: false, database: 9999, address: { host: '127.9.9.9', port: 1 } },
    },
  ])('$url is parsed', ({ url, server }) => {
    expect(settled({ url })).toMatchObject({ servers: { kind: 'server', ...server } });
    expect(url).toMatch(new RegExp(urlPattern));
  });

  test.each([
    { url: 'unix:/run/redis/redis.sock', socket: { path: '/run/redis/redis.sock', database: 0 } },
    { url: 'unix:///run/redis/redis.sock', socket: { path: '/run/redis/redis.sock', database: 0 } },
    { url: 'UNIX:/tmp/a b:c@d', socket: { path: '/tmp/a b:c@d', database: 0 } },
    { url: 'unix:/redis.sock?db=12', socket: { path: '/redis.sock', database: 12 } },
  ])('$url is a socket', ({ url, socket }) => {
    expect(settled({ url }).servers).toEqual({ kind: 'socket', secure: false, ...socket });
    expect(url).toMatch(new RegExp(urlPattern));
  });

  test.each([
    { url: 'rediss://gateway:secret@redis', login: { username: 'gateway', password: 'secret' } },
    { url: 'rediss://:secret@redis', login: { password: 'secret' } },
    {
      url: 'rediss://gate%40way:p%3A%2F%40%25%20%C3%B6@redis',
      login: { username: 'gate@way', password: 'p:/@% ö' },
    },
    { url: 'rediss://gateway:a:b@c@redis', login: { username: 'gateway', password: 'a:b@c' } },
    { url: 'rediss://gateway:a,b@redis', login: { username: 'gateway', password: 'a,b' } },
    { url: 'rediss://redis', login: {} },
  ])('$url has this login', ({ url, login }) => {
    const { username, password } = settled({ url });
    expect({ username, password }).toEqual({ username: undefined, password: undefined, ...login });
  });

  testRefusals(
    (url: unknown) => complaints({ url }).map((complaint) => complaint.replace('url: ', '')),
    [
      ['', 'must not be empty: write rediss://redis.example.com:6379'],
      [null, 'is empty: write rediss://redis.example.com:6379'],
      [7, 'must be a string: write rediss://redis.example.com:6379'],
      [['rediss://redis'], 'must be a string: write rediss://redis.example.com:6379'],
      ['rediss://redis\n', 'must be a single-line string: write rediss://redis.example.com:6379'],
      ['redis.example.com', `must begin with rediss://, redis:// or unix:/: ${fix}`],
      ['redis:redis.example.com', `must begin with rediss://, redis:// or unix:/: ${fix}`],
      ['http://redis.example.com', `must begin with rediss://, redis:// or unix:/: ${fix}`],
      [' rediss://redis.example.com', `must begin with rediss://, redis:// or unix:/: ${fix}`],
      ['unix:redis.sock', 'is not the path of a socket: write unix:/run/redis/redis.sock'],
      ['unix:/redis.sock?db=x', 'is not the path of a socket: write unix:/run/redis/redis.sock'],
      ['unix:/redis.sock?other=1', 'is not the path of a socket: write unix:/run/redis/redis.sock'],
      ['unix:/redis.sock#x', 'is not the path of a socket: write unix:/run/redis/redis.sock'],
      ['rediss://', `has no host: ${fix}; ${encode}`],
      ['rediss:///0', `has no host: ${fix}; ${encode}`],
      ['rediss://127.1', `has no host: ${fix}; ${encode}`],
      ['rediss://-a.example.com', `has no host: ${fix}; ${encode}`],
      ['rediss://a_b', `has no host: ${fix}; ${encode}`],
      ['rediss://redis.', `has no host: ${fix}; ${encode}`],
      ['rediss://[192.0.2.1]', `is not a URL: ${fix}; ${encode}`],
      ['rediss://2001:db8::1', `is not a URL: ${fix}; ${encode}`],
      [
        'rediss://redis-a:6379,redis-b:6379',
        'names several servers, and a URL has one: write a list under sentinels or cluster in place of url',
      ],
      [
        'rediss://gateway:a,b@redis-a:6379,redis-b:6379/0',
        'names several servers, and a URL has one: write a list under sentinels or cluster in place of url',
      ],
      ['rediss://redis:port', `is not a URL: ${fix}; ${encode}`],
      ['rediss://redis:65536', `is not a URL: ${fix}; ${encode}`],
      ['rediss://redis:0', `must have a port from 1 to 65535: ${fix}`],
      ['rediss://redis/db1', `must have a number as its database: ${fix}`],
      ['rediss://redis/-1', `must have a number as its database: ${fix}`],
      ['rediss://redis/1/', `must have a number as its database: ${fix}`],
      ['rediss://redis/10000', `must have a number as its database: ${fix}`],
      ['rediss://redis/0?tls=no', `must end after the database: ${fix}; ${encode}`],
      ['rediss://redis#0', `must end after the database: ${fix}; ${encode}`],
      ['rediss://gateway:100%@redis', `has a user or a password that can't be decoded: ${encode}`],
      ['rediss://gateway:%ff@redis', `has a user or a password that can't be decoded: ${encode}`],
    ],
  );
});

describe('one of several servers', () => {
  const places = (cluster: readonly unknown[]) => {
    const { servers } = settled({ cluster });
    return servers.kind === 'cluster' ? servers : undefined;
  };
  const nodeFix = 'write rediss://redis-a.example.com:6379 or 192.0.2.1:6379';

  test.each([
    { place: 'rediss://redis-a', secure: true, node: { host: 'redis-a', port: 6379 } },
    { place: 'RedisS://Redis-A:7000/', secure: true, node: { host: 'redis-a', port: 7000 } },
    { place: 'localhost', secure: false, node: { host: 'localhost', port: 6379 } },
    { place: '127.0.0.1:7000', secure: false, node: { host: '127.0.0.1', port: 7000 } },
    { place: '[::1]:7000', secure: false, node: { host: '::1', port: 7000 } },
    { place: '[::1]', secure: false, node: { host: '::1', port: 6379 } },
    { place: 'redis://localhost:6379', secure: false, node: { host: 'localhost', port: 6379 } },
  ])('$place is parsed', ({ place, secure, node }) => {
    expect(places([place])).toEqual({ kind: 'cluster', secure, nodes: [node] });
    expect(place).toMatch(new RegExp(placePattern));
  });

  test('that is a sentinel has the port of sentinels', () => {
    const sentinels = ['localhost', '127.0.0.1:6379', 'redis://localhost:26379'];
    expect(settled({ sentinels, name: 'mymaster' }).servers).toMatchObject({
      sentinels: [
        { host: 'localhost', port: 26_379 },
        { host: '127.0.0.1', port: 6379 },
        { host: 'localhost', port: 26_379 },
      ],
    });
  });

  const ofPlace = (place: unknown) => complaints({ cluster: ['rediss://good', place] });
  testRefusals(
    (place: unknown) => ofPlace(place).map((complaint) => complaint.replace('cluster.1: ', '')),
    [
      ['', 'must not be empty: write rediss://redis-a.example.com:6379'],
      [7, 'must be a string: write rediss://redis-a.example.com:6379'],
      [{ host: 'a' }, 'must be a string: write rediss://redis-a.example.com:6379'],
      [
        'rediss://gateway:secret@redis-a',
        'must not contain a user: use the keys username and password, once for all servers',
      ],
      [
        'gateway@redis-a',
        'must not contain a user: use the keys username and password, once for all servers',
      ],
      ['rediss://redis-a/0', `must end after the host and port: ${nodeFix}`],
      ['redis-a:port', `is not a host and a port: ${nodeFix}`],
      ['2001:db8::1', `is not a host and a port: ${nodeFix}`],
      ['http://redis-a', `is not a host and a port: ${nodeFix}`],
      ['redis-a?x', `is not a host and a port: ${nodeFix}`],
      ['unix:/redis.sock', `is not a host and a port: ${nodeFix}`],
      ['a b', `is not a host and a port: ${nodeFix}`],
    ],
  );
});

test('no complaint quotes a part of a URL, whichever key has it', () => {
  const secret = '§§';
  const odd = fc.string({ unit: fc.constantFrom(...'@:/?#%[]. a1') });
  const login = fc.tuple(odd, odd).map(([one, other]) => `${one}${secret}${other}`);
  const urls = fc
    .tuple(fc.constantFrom('redis', 'rediss', 'unix', 'http'), login, odd)
    .map(([scheme, password, rest]) => {
      return `${scheme}://gateway:${password}@${rest}`;
    });
  fc.assert(
    fc.property(urls, (url) => {
      const others = { url: 'unix:/redis.sock' };
      const all = [
        { url },
        { url: [url] },
        { url: { [url]: url } },
        { sentinels: [url], name: 'mymaster' },
        { cluster: [url, url] },
        { ...others, username: 'gateway', password: [url] },
        { ...others, commandTimeout: { url } },
      ];
      for (const written of [...all, url]) expect(complaints(written).join()).not.toContain(secret);
    }),
    { numRuns: 300 },
  );
});
