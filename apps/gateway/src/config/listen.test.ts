import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collide, type ListenAddress, parseListen } from './listen.ts';

describe('listen addresses', () => {
  test.each([
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['[::1]:0', '::1', 0],
    ['[fe80::1%eth0]:443', 'fe80::1%eth0', 443],
    ['localhost:65535', 'localhost', 65_535],
    ['auth.example.com:8443', 'auth.example.com', 8443],
    [':8443', '::', 8443],
  ])('%s', (input, host, port) => {
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
  ['127.0.0.1:80', '127.0.0.1:80', true],
  ['127.0.0.1:80', '127.0.0.1:81', false],
  ['127.0.0.1:0', '127.0.0.1:0', false],
  ['127.0.0.1:80', '127.0.0.2:80', false],
  [':80', '127.0.0.1:80', true],
  ['0.0.0.0:80', '10.0.0.1:80', true],
  ['0.0.0.0:80', 'localhost:80', true],
  ['0.0.0.0:80', '[::1]:80', false],
  ['[::1]:80', '[0:0:0:0:0:0:0:1]:80', true],
  ['localhost:80', '127.0.0.1:80', true],
  ['localhost:80', '[::1]:80', true],
  ['a.example.com:80', 'A.example.com:80', true],
])('whether %s collides with %s: %s', (one, other, expected) => {
  expect(collide(address(one), address(other))).toBe(expected);
  expect(collide(address(other), address(one))).toBe(expected);
});
