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
    { input: '0', value: 0 },
    { input: 0, value: 0 },
    { input: '0s', value: 0 },
    { input: '300ms', value: 300 },
    { input: '1.1s', value: 1100 },
    { input: '3s', value: 3000 },
    { input: '10m', value: 600_000 },
    { input: '1h30m', value: 5_400_000 },
    { input: '1m500ms', value: 60_500 },
    { input: '1.5h', value: 5_400_000 },
    { input: '1d', value: 86_400_000 },
  ])('$input is $value ms', ({ input, value }) => {
    expect(parseDuration(input)).toEqual({ value });
  });

  test.each([{ input: 3 }, { input: '3' }, { input: '3.5' }, { input: 0.5 }])(
    '$input has no unit',
    ({ input }) => {
      expect(parseDuration(input)).toEqual({
        problem: `"${input}" has no unit`,
        fix: 'write 3s, 500ms, 2m or 1h',
      });
    },
  );

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
    { milliseconds: 0, text: '0s' },
    { milliseconds: 300, text: '300ms' },
    { milliseconds: 1000, text: '1s' },
    { milliseconds: 1500, text: '1500ms' },
    { milliseconds: 119_000, text: '119s' },
    { milliseconds: 120_000, text: '2m' },
    { milliseconds: 150_400, text: '2m30s' },
    { milliseconds: 7_199_600, text: '120m' },
    { milliseconds: 10_800_000, text: '3h' },
    { milliseconds: 11_129_000, text: '3h5m' },
    { milliseconds: 216_000_000, text: '2d12h' },
    { milliseconds: 864_000_000, text: '10d' },
  ])('$milliseconds ms are $text', ({ milliseconds, text }) => {
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
    { input: '0B', value: 0 },
    { input: '512B', value: 512 },
    { input: '256KiB', value: 262_144 },
    { input: '256Ki', value: 262_144 },
    { input: '1MiB', value: 1_048_576 },
    { input: '1.5MiB', value: 1_572_864 },
    { input: '2Gi', value: 2_147_483_648 },
  ])('$input is $value bytes', ({ input, value }) => {
    expect(parseSize(input)).toEqual({ value });
    expect(input).toMatch(new RegExp(sizePattern));
  });

  test.each([
    { input: '64KB', fix: 'write 64KiB' },
    { input: '64kB', fix: 'write 64KiB' },
    { input: '64k', fix: 'write 64KiB' },
    { input: '1M', fix: 'write 1MiB' },
  ])('$input may mean two things', ({ input, fix }) => {
    expect(parseSize(input)).toEqual({
      problem: `"${input}" may mean powers of 1000 or of 1024`,
      fix,
    });
  });

  test.each([{ input: 262_144 }, { input: '262144' }, { input: 0 }, { input: '0' }])(
    '$input has no unit',
    ({ input }) => {
      expect(parseSize(input)).toEqual({
        problem: `"${input}" has no unit`,
        fix: 'write 256KiB, 1MiB or 512B',
      });
    },
  );

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
