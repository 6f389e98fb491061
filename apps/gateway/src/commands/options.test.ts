import { userInfo } from 'node:os';
import { Command, type Option } from 'commander';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  addressOption,
  audienceOption,
  digestOption,
  jtiOption,
  jtiText,
  operatorName,
  option,
  repeatableOption,
  textOption,
  ttlOption,
} from './options.ts';

/** The error of a wrong command line. Its message is on one line. */
const wrongUsage = (message: string) => expect.objectContaining({ name: 'UsageError', message });

/** What the option gives for the words of a command line. */
function parse(tried: Option, ...words: string[]): unknown {
  return new Command().exitOverride().addOption(tried).parse(words, { from: 'user' }).opts()[
    tried.attributeName()
  ];
}

const parser = (tried: Option) => (text: string) => parse(tried, `${tried.long}=${text}`);

describe('--for of an invitation', () => {
  const read = parser(option.invitationFor);

  test('is a day unless it is given, and from a minute to a week', () => {
    expect([parse(option.invitationFor), read('1m'), read('7d')]).toEqual([
      86_400_000,
      60_000,
      7 * 86_400_000,
    ]);
  });

  test.each([
    { text: '59s', message: '--for must be at least 60s: write --for 60s' },
    { text: '169h', message: '--for must be at most 7d: write --for 7d' },
    { text: '0s', message: '--for must be longer than 0: write --for 24h' },
  ])('"$text" is refused', ({ text, message }) => {
    expect(() => read(text)).toThrow(wrongUsage(message));
  });
});

describe('--for', () => {
  const read = parser(option.for);

  test('is up to 366 days, a leap year', () => {
    expect([read('30s'), read('1h30m'), read('366d')]).toEqual([
      30_000,
      5_400_000,
      366 * 86_400_000,
    ]);
  });

  test.each([
    { text: '367d', message: '--for must be at most 366d: write --for 366d' },
    { text: '0s', message: '--for must be longer than 0: write --for 8h or 30d' },
    { text: 'never', message: '--for: "never" is not a duration: write --for 8h or 30d' },
    { text: '8', message: '--for: "8" has no unit: write --for 8h or 30d' },
  ])('"$text" is wrong usage', ({ text, message }) => {
    expect(() => read(text)).toThrow(wrongUsage(message));
  });
});

test('--wait is 5 s, or another time, or none', () => {
  const read = parser(option.wait);
  expect([parse(option.wait), read('0'), read('10m')]).toEqual([5_000, 0, 600_000]);
  expect(() => read('11m')).toThrow(wrongUsage('--wait must be at most 10m: write --wait 10m'));
});

test('--expect is a number of replicas, or 0', () => {
  const read = parser(option.expect);
  expect([parse(option.expect), read('0'), read('12')]).toEqual([undefined, 0, 12]);
  for (const text of ['', '-1', '1.5', 'all', '10000'])
    expect(() => read(text)).toThrow(
      wrongUsage(
        `--expect: "${text}" is not a number from 0 to 9999: write the number of gateways that run, such as --expect 3`,
      ),
    );
});

test("--jti is an id, as it is or as kube-apiserver's audit log has it", () => {
  const read = parser(jtiOption());
  expect([read('7'), read('JTI=7'), read('JTI=JTI=7'), read('jti=7'), read(' 7 ')]).toEqual([
    ...['7', '7', 'JTI=7', 'jti=7', ' 7 '],
  ]);
  for (const empty of ['', ' ', 'JTI=', 'JTI= ']) {
    expect(() => read(empty)).toThrow(
      wrongUsage('--jti is empty: give it a value, or leave it out'),
    );
  }
  for (const jti of ['7', 'JTI=7', 'JTI=', 'JTI=JTI=']) expect(read(jtiText(jti))).toBe(jti);
});

describe('--ttl', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  const read = parser(ttlOption('', () => now));

  test('is up to the end of the year 9999, or never', () => {
    expect([read('8h'), read('never')]).toEqual([8 * 3_600_000, Number.POSITIVE_INFINITY]);
    const max = Math.floor((Date.parse('9999-12-31T23:59:59Z') - now) / 1000);
    expect(read(`${max}s`)).toBe(max * 1000);
  });

  test.each([
    { text: '0', message: '--ttl must be longer than 0: write --ttl 8h, 30d or never' },
    { text: '0s', message: '--ttl must be longer than 0: write --ttl 8h, 30d or never' },
    { text: '8', message: '--ttl: "8" has no unit: write --ttl 8h, 30d or never' },
    { text: '-1h', message: '--ttl: "-1h" is not a duration: write --ttl 8h, 30d or never' },
    { text: '', message: '--ttl: "" is not a duration: write --ttl 8h, 30d or never' },
    {
      text: '3000000d',
      message: '--ttl: "3000000d" is too long: write --ttl never for a token that does not expire',
    },
  ])('"$text" is wrong usage', ({ text, message }) => {
    expect(() => read(text)).toThrow(wrongUsage(message));
  });
});

describe('--digest', () => {
  const read = parser(digestOption('', 8));

  test('is 8 to 64 hexadecimal digits, in either case', () => {
    expect([read('ABCDEF01'), read('a'.repeat(64))]).toEqual(['abcdef01', 'a'.repeat(64)]);
  });

  const fix = 'copy at least the first 8 of its 64 digits from token list or blocks';
  test.each([
    { text: 'abcdef0', message: '--digest has 7 digits' },
    { text: 'a'.repeat(65), message: '--digest has 65 digits, and SHA-256 has 64' },
    { text: 'xyz', message: '--digest contains a character that is not a hexadecimal digit' },
  ])('"$text" is wrong usage', ({ text, message }) => {
    expect(() => read(text)).toThrow(wrongUsage(`${message}: ${fix}`));
  });
});

test('an address says which option it is from', () => {
  const address = { host: '127.0.0.1', port: 8080, option: '--listen' };
  expect(parser(addressOption('--listen <address>', ''))('127.0.0.1:8080')).toEqual(address);
});

describe('a text', () => {
  test('is taken as it is, and a list in its order', () => {
    expect(parse(textOption('--user <name>', ''), '--user', ' jane')).toBe(' jane');
    const groups = repeatableOption('--group <group>', '');
    expect(parse(groups, '--group', 'dev', '--group', 'qa')).toEqual(['dev', 'qa']);
  });

  test('with a comma is not an audience', () => {
    expect(() => parse(audienceOption(''), '--audience', 'a, b c')).toThrow(
      wrongUsage(
        `--audience: "a, b c" has a comma, and an audience of kube-apiserver has none: write --audience a --audience 'b c'`,
      ),
    );
    expect(parse(audienceOption(''), '--audience', 'a', '--audience', 'b')).toEqual(['a', 'b']);
  });

  test.each(['', ' '])('%j is wrong usage, in a list too', (text) => {
    const message = (name: string) =>
      wrongUsage(`${name} is empty: give it a value, or leave it out`);
    expect(() => parse(textOption('--user <name>', ''), '--user', text)).toThrow(message('--user'));
    const groups = repeatableOption('--group <group>', '');
    expect(() => parse(groups, '--group', 'dev', '--group', text)).toThrow(message('--group'));
  });
});

vi.mock('node:os', { spy: true });

afterEach(() => {
  vi.mocked(userInfo).mockReset();
});

test('--by is the person behind sudo rather than the account', () => {
  expect(operatorName({ SUDO_USER: 'jane' })).toBe('jane');
});

test.each([{}, { SUDO_USER: '' }])('--by is the account with %j', (environment) => {
  expect(operatorName(environment)).toBe(userInfo().username);
});

test('--by is the number of an account without a name, as in a container', () => {
  vi.mocked(userInfo).mockImplementation(() => {
    throw new Error('ENOENT: uv_os_get_passwd');
  });
  expect(operatorName({})).toBe(`uid ${process.getuid?.()}`);
});
