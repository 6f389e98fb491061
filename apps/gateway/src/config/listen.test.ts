import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collide, type ListenAddress, parseListen } from './listen.ts';

describe('listen addresses', () => {
  test.each([
    { input: '127.0.0.1:8080', host: '127.0.0.1', port: 8080 },
    { input: '0.0.0.0:0', host: '0.0.0.0', port: 0 },
    { input: '[::1]:0', host: '::1', port: 0 },
    { input: '[fe80::1%eth0]:443', host: 'fe80::1%eth0', port: 443 },
    { input: 'localhost:65535', host: 'localhost', port: 65_535 },
    { input: 'auth.example.com:8443', host: 'auth.example.com', port: 8443 },
    { input: ':8443', host: '::', port: 8443 },
  ])('$input is read as host $host and port $port', ({ input, host, port }) => {
    expect(parseListen(input)).toEqual({ value: { host, port } });
  });

  test.each([
    '8080',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:80a',
    '127.0.0.1:65536',
    '127.0.0.256:80',
    '127.1:80',
    '-a:80',
    'a b:80',
    '*:80',
    '::1',
    '::1:8080',
    '[127.0.0.1]:80',
    '[]:80',
    'http://127.0.0.1:80',
    '127.0.0.1:80\n',
  ])('%j is refused and the fix shown', (input) => {
    const fix = 'write 127.0.0.1:8080, "[::1]:8080" or :8443 (all interfaces)';
    const problem = `${JSON.stringify(input)} is not an address and a port up to 65535`;
    expect(parseListen(input)).toEqual({ problem, fix });
  });

  test.each([8080, null, undefined, ['127.0.0.1:80']])('%j is not text', (input) => {
    expect(parseListen(input)).toMatchObject({ problem: 'must be an address and a port' });
  });

  test('every IPv4 and IPv6 address with a port is taken as it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (host, port) => {
        const text = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
        expect(parseListen(text)).toEqual({ value: { host, port } });
      }),
    );
  });

  test('rubbish never throws and never gives a port out of range', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d.:[\]a-f]{0,20}$/)), (text) => {
        const parsed = parseListen(text);
        expect('problem' in parsed || (parsed.value.port >= 0 && parsed.value.port <= 65_535)).toBe(
          true,
        );
      }),
    );
  });
});

/** Parses an address that is valid. */
function address(text: string): ListenAddress {
  const parsed = parseListen(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.value;
}

test.each([
  { one: '127.0.0.1:80', other: '127.0.0.1:80', expected: true },
  { one: '127.0.0.1:80', other: '127.0.0.1:81', expected: false },
  { one: '127.0.0.1:0', other: '127.0.0.1:0', expected: false },
  { one: '127.0.0.1:80', other: '127.0.0.2:80', expected: false },
  { one: ':80', other: '127.0.0.1:80', expected: true },
  { one: '0.0.0.0:80', other: '10.0.0.1:80', expected: true },
  { one: '0.0.0.0:80', other: 'localhost:80', expected: true },
  { one: '0.0.0.0:80', other: '[::1]:80', expected: false },
  { one: '[::1]:80', other: '[0:0:0:0:0:0:0:1]:80', expected: true },
  { one: 'localhost:80', other: '127.0.0.1:80', expected: true },
  { one: 'localhost:80', other: '[::1]:80', expected: true },
  { one: 'a.example.com:80', other: 'A.example.com:80', expected: true },
])('whether $one collides with $other: $expected', ({ one, other, expected }) => {
  expect(collide(address(one), address(other))).toBe(expected);
  expect(collide(address(other), address(one))).toBe(expected);
});
