import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createReplyScanner } from './reply-scanner.ts';

const limits = { bytes: 1_000, elements: 20 };

/** The problem of these bytes, cut into any pieces. It is undefined if there is none. */
function problemOf(bytes: string | Buffer, cuts: readonly number[] = []): unknown {
  const whole = Buffer.from(bytes as string, 'latin1');
  const check = createReplyScanner(limits);
  const ends = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort(
    (one, other) => one - other,
  );
  try {
    for (const [index, end] of [...ends, whole.length].entries())
      check(whole.subarray(ends[index - 1] ?? 0, end));
    return undefined;
  } catch (error) {
    return (error as { problem?: unknown }).problem ?? error;
  }
}

const notRedis = 'bytes that are not the Redis protocol';
const tooBig = 'an answer that is too big';

/** One value of the protocol, well below the limits. */
const value: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc
      .constantFrom(
        '$-1',
        '*-1',
        '_',
        '#t',
        '#f',
        '+OK',
        '-ERR no',
        ',inf',
        ',-1.5e3',
        '(-12345678901234567890',
      )
      .map((line) => `${line}\r\n`),
    fc.integer().map((number) => `:${number}\r\n`),
    fc
      .string({ unit: 'binary-ascii', maxLength: 30 })
      .map((text) => `$${text.length}\r\n${text}\r\n`),
    fc.string({ maxLength: 30 }).map((text) => `=${text.length + 4}\r\ntxt:${text}\r\n`),
    fc
      .array(tie('value'), { maxLength: 2 })
      .map((values) => `*${values.length}\r\n${values.join('')}`),
    fc
      .array(tie('value'), { maxLength: 2 })
      .map((values) => `~${values.length}\r\n${values.join('')}`),
    fc.tuple(tie('value'), tie('value')).map((values) => `%1\r\n${values.join('')}`),
  ),
})).value;

const cuts = fc.array(fc.nat({ max: 100_000 }), { maxLength: 20 });

test('the answers of Redis are accepted, however they are cut', () => {
  const answers = fc.array(
    fc.oneof(
      value,
      value.map((one) => `>2\r\n+invalidate\r\n${one}`),
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(answers, cuts, (parts, places) => {
      // Three levels of two values each are well below the limits.
      expect(problemOf(parts.join(''), places)).toBeUndefined();
    }),
    { numRuns: 2_000 },
  );
});

test('the problem does not depend on the cuts', () => {
  const change = fc.record({
    place: fc.nat(),
    byte: fc.nat({ max: 255 }),
    kind: fc.constantFrom('set', 'add', 'cut'),
  });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 3 }),
      change,
      cuts,
      (parts, { place, byte, kind }, places) => {
        const good = Buffer.from(parts.join(''), 'latin1');
        const at = place % good.length;
        const between = kind === 'cut' ? [] : [Buffer.of(byte)];
        const bytes = Buffer.concat([
          good.subarray(0, at),
          ...between,
          good.subarray(kind === 'add' ? at : at + 1),
        ]);
        expect(problemOf(bytes, places)).toEqual(problemOf(bytes));
      },
    ),
    { numRuns: 2_000 },
  );
});

describe('bytes that Redis never sends', () => {
  test.each([
    ...[
      'hello\r\n',
      'HTTP/1.1 400 Bad Request\r\n\r\n',
      '\r\n',
      '$\r\n',
      '$!\r\n',
      '$-2\r\n',
      '$-15\r\n',
    ],
    ...[
      '$+1\r\na\r\n',
      '$1e2\r\n',
      '$0x1\r\na\r\n',
      '$1\r\nab\r\n',
      '$1\r\na\rb',
      '$?\r\n',
      '=3\r\ntxt\r\n',
    ],
    ...[
      '=-1\r\n',
      '!-1\r\n',
      '*-2\r\n',
      '*!\r\n',
      '*?\r\n',
      '~-1\r\n',
      '%-1\r\n',
      '>-1\r\n',
      '*1\r\n>1\r\n+a\r\n',
    ],
    ...[
      '|1\r\n+a\r\n+b\r\n',
      ':\r\n',
      ':1.5\r\n',
      ':123456789012345678901\r\n',
      ',1,5\r\n',
      ',NaN\r\n',
      '(1n\r\n',
    ],
    ...['#x\r\n', '_x\r\n', '+a\nb\r\n', '+a\r+b\r\n', '\u0015\u0003\u0001\u0000\u0002\u0001\r\n'],
  ])('are noticed: %j', (bytes) => {
    expect(problemOf(bytes)).toBe(notRedis);
    expect(problemOf(`+OK\r\n*2\r\n+a\r\n${bytes}`)).toBe(notRedis);
  });
});

describe('an answer that is too big', () => {
  test.each([
    '$1000\r\n',
    '$536870912\r\n',
    '$9999999999\r\n',
    '!2147483648\r\n',
    '=1000000\r\n',
    `+${'a'.repeat(1_000)}`,
    `-${'a'.repeat(70_000)}`,
    `:${'1'.repeat(2_000)}`,
    '*21\r\n',
    '*33554431\r\n',
    '*4294967295\r\n',
    '*9999999999\r\n',
    '%11\r\n',
    '~21\r\n',
    '>21\r\n',
    '*10\r\n*10\r\n*10\r\n',
    '*1\r\n'.repeat(17),
    `*2\r\n$600\r\n${'a'.repeat(600)}\r\n$600\r\n`,
  ])('is noticed by its length, before it arrives: %#', (bytes) => {
    expect(problemOf(bytes)).toBe(tooBig);
    // The line feed behind the number is not waited for: the decoder does not wait for it either.
    if (bytes.endsWith('\r\n')) expect(problemOf(bytes.slice(0, -1))).toBe(tooBig);
  });

  test('is measured alone, not with others', () => {
    expect(problemOf(`$900\r\n${'a'.repeat(900)}\r\n`.repeat(20))).toBeUndefined();
    expect(problemOf(`*20\r\n${':1\r\n'.repeat(20)}`.repeat(20))).toBeUndefined();
  });
});
