import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ageText,
  durationPattern,
  durationText,
  isLoopback,
  parseDuration,
  parseSize,
  sizePattern,
} from './text.ts';

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

describe('durations', () => {
  test.each([
    ['0', 0],
    [0, 0],
    ['0s', 0],
    ['300ms', 300],
    ['1.1s', 1100],
    ['3s', 3000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1m500ms', 60_500],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
  ])('%s is %i ms', (input, value) => {
    expect(parseDuration(input)).toEqual({ value });
  });

  test.each([[3], ['3'], ['3.5'], [0.5]])('%s has no unit', (input) => {
    expect(parseDuration(input)).toEqual({
      problem: `"${input}" has no unit`,
      fix: 'write 3s, 500ms, 2m or 1h',
    });
  });

  test.each([
    '',
    ' ',
    '3 s',
    '-3s',
    '3S',
    '3sec',
    '30m1h',
    '1s1s',
    's',
    '1us',
    '1e3s',
    '.5s',
    '1.s',
    '1s\n',
    '٣s',
  ])('%j is not a duration', (input) => {
    expect(parseDuration(input)).toMatchObject({
      problem: expect.stringContaining('is not a duration'),
    });
  });

  test('parts of a millisecond are refused, not rounded', () => {
    expect(parseDuration('0.5ms')).toMatchObject({
      problem: '"0.5ms" is not a whole number of milliseconds',
    });
  });

  test.each([null, true, ['3s'], { s: 3 }, Number.NaN])('%j is refused', (input) => {
    expect(parseDuration(input)).toHaveProperty('problem');
  });

  test('any whole amounts of units from big to small add up, and fit the pattern shown to editors', () => {
    const amount = fc.option(fc.nat(1000), { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({ d: amount, h: amount, m: amount, s: amount, ms: amount }),
        (amounts) => {
          const parts = Object.entries(amounts).filter(([, count]) => count !== undefined);
          fc.pre(parts.length > 0);
          const text = parts.map(([unit, count]) => `${count}${unit}`).join('');
          const value = parts.reduce(
            (sum, [unit, count]) => sum + (count ?? 0) * units[unit as keyof typeof units],
            0,
          );
          expect(parseDuration(text)).toEqual({ value });
          expect(text).toMatch(new RegExp(durationPattern));
        },
      ),
    );
  });

  test('any text is a whole, non-negative number of milliseconds or a problem with its fix', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d.dhms]{0,12}$/)), (text) => {
        const parsed = parseDuration(text);
        if ('problem' in parsed) expect(parsed.fix).not.toBe('');
        else expect(parsed.value >= 0 && Number.isSafeInteger(parsed.value)).toBe(true);
      }),
    );
  });
});

describe('texts of durations', () => {
  test.each([
    [0, '0s'],
    [300, '300ms'],
    [1000, '1s'],
    [1500, '1500ms'],
    [119_000, '119s'],
    [120_000, '2m'],
    [150_400, '2m30s'],
    [7_199_600, '120m'],
    [10_800_000, '3h'],
    [11_129_000, '3h5m'],
    [216_000_000, '2d12h'],
    [864_000_000, '10d'],
  ])('%i ms are %s', (milliseconds, text) => {
    expect(durationText(milliseconds)).toBe(text);
  });

  test('whole seconds below 2 hours are read back as they were', () => {
    fc.assert(
      fc.property(fc.nat(7_199), (seconds) => {
        expect(parseDuration(durationText(seconds * 1000))).toEqual({ value: seconds * 1000 });
      }),
    );
  });

  test('ages are rounded to seconds', () => {
    expect([0, 999, 1400, 12_345, 7_200_000].map(ageText)).toEqual([
      'just now',
      'just now',
      '1s ago',
      '12s ago',
      '2h ago',
    ]);
  });
});

describe('sizes', () => {
  test.each([
    ['0B', 0],
    ['512B', 512],
    ['256KiB', 262_144],
    ['256Ki', 262_144],
    ['1MiB', 1_048_576],
    ['1.5MiB', 1_572_864],
    ['2Gi', 2_147_483_648],
  ])('%s is %i bytes', (input, value) => {
    expect(parseSize(input)).toEqual({ value });
    expect(input).toMatch(new RegExp(sizePattern));
  });

  test.each([
    ['64KB', 'write 64KiB'],
    ['64kB', 'write 64KiB'],
    ['64k', 'write 64KiB'],
    ['1M', 'write 1MiB'],
  ])('%s may mean two things', (input, fix) => {
    expect(parseSize(input)).toEqual({
      problem: `"${input}" may mean powers of 1000 or of 1024`,
      fix,
    });
  });

  test.each([[262_144], ['262144'], [0], ['0']])('%s has no unit', (input) => {
    expect(parseSize(input)).toEqual({
      problem: `"${input}" has no unit`,
      fix: 'write 256KiB, 1MiB or 512B',
    });
  });

  test.each(['', '256kib', '-1KiB', 'KiB', '1 KiB', '0.5B', '1KiB1B', null, {}])(
    '%j is refused',
    (input) => {
      expect(parseSize(input)).toHaveProperty('problem');
    },
  );
});

test.each([
  '127.0.0.1',
  '127.255.0.9',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  'localhost',
  'LOCALHOST',
])('%s is loopback', (host) => expect(isLoopback(host)).toBe(true));

test.each([
  '0.0.0.0',
  '::',
  '128.0.0.1',
  '10.0.0.1',
  '::2',
  'localhost.example.com',
  'example.com',
  '::ffff:10.0.0.1',
])('%s is not loopback', (host) => expect(isLoopback(host)).toBe(false));
