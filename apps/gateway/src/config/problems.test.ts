import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ConfigError,
  describeCause,
  describeError,
  FixableError,
  nearest,
  onTwoLines,
  reworded,
} from './problems.ts';

class HttpError extends Error {
  override readonly name = 'HttpError';
}

const refused = (address: string) => new Error(`connect ECONNREFUSED ${address}`);

describe('what was thrown, as text', () => {
  test.each([
    { name: 'an error', error: new Error('no such host'), text: 'no such host' },
    {
      name: 'an error with a cause, which is left out',
      error: new Error('no', { cause: new Error('inner') }),
      text: 'no',
    },
    {
      name: 'several errors without a message of their own',
      error: new AggregateError([refused('::1'), refused('127.0.0.1'), refused('::1')]),
      text: 'connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1',
    },
    {
      name: 'several errors under one message',
      error: new AggregateError([refused('::1')], 'unreachable'),
      text: 'unreachable',
    },
    {
      name: 'no message but a code',
      error: Object.assign(new Error(' '), { code: 'EPIPE' }),
      text: 'EPIPE',
    },
    { name: 'no message but a name', error: new HttpError(), text: 'HttpError' },
    {
      name: 'several errors that say nothing',
      error: new AggregateError([1]),
      text: 'AggregateError',
    },
  ])('$name', ({ error, text }) => {
    expect(describeCause(error)).toBe(text);
  });

  const unreadable = Object.defineProperty(new Error('x'), 'message', {
    get: () => {
      throw new Error('y');
    },
  });
  test.each([
    { name: 'a text', error: 'a text' },
    { name: 'nothing', error: undefined },
    { name: 'null', error: null },
    { name: 'a map with a message', error: { message: 'x' } },
    { name: 'an error that cannot be read', error: unreadable },
  ])('$name is not quoted', ({ error }) => {
    expect(describeCause(error)).toBe('something that is not an Error was thrown');
  });
});

describe('a problem', () => {
  const problem = {
    file: 'gateway.yaml',
    line: 12,
    column: 5,
    path: 'authenticators[1].timeout',
    message: '"3" has no unit',
    fix: 'write 3s',
  };

  test('has its fix on a line of its own', () => {
    const error = new ConfigError(
      [problem, { file: 'gateway.yaml', path: '', message: 'is empty' }],
      [],
      'Gateways continue.',
    );
    expect(error.message).toBe(`gateway.yaml:12:5: authenticators[1].timeout: "3" has no unit
  fix: write 3s
gateway.yaml: is empty
Gateways continue.`);
  });

  test('has further lines of its fix below the first one', () => {
    expect(onTwoLines({ message: 'two users', fix: 'write one of:\n  a\n  b' })).toBe(
      'two users\n  fix: write one of:\n    a\n    b',
    );
  });

  test('quotes no text that a terminal obeys, or that looks like the fix', () => {
    const tricks = [
      '\n',
      '\r',
      '\u001b[31m',
      '\u009b',
      '\u2028',
      '  fix: evil',
      '  ',
      ' ',
      'a',
      '\t',
    ];
    const text = fc.array(fc.constantFrom(...tricks)).map((parts) => parts.join(''));
    const problems = fc.array(
      fc.record({
        file: text,
        path: text,
        message: text,
        fix: fc.option(text, { nil: undefined }),
      }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(problems, (several) => {
        const { message } = new ConfigError(several, []);
        expect(message.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        const fixes = several.filter(({ fix }) => fix !== undefined);
        expect(message.match(/^ {2}fix:/gm) ?? []).toHaveLength(fixes.length);
      }),
    );
  });

  test('keeps its fix when it is reworded, and is one line where it is logged', () => {
    const error = reworded(new FixableError('no such file', 'create it'), (text) => `tls: ${text}`);
    expect(describeError(error)).toEqual({ message: 'tls: no such file', fix: 'create it' });
    expect([describeCause(error), error.message]).toEqual(
      Array(2).fill('tls: no such file: create it'),
    );
    expect(describeError(reworded(new Error('hung'), (text) => text))).toEqual({ message: 'hung' });
  });
});

const known = ['listen', 'maxInFlight', 'maxTokenSize', 'tls'];

test.each([
  { word: 'lisen', expected: 'listen' },
  { word: 'Listen', expected: 'listen' },
  { word: 'max_in_flight', expected: 'maxInFlight' },
  { word: 'maxInflights', expected: 'maxInFlight' },
  { word: 'maxTokensize', expected: 'maxTokenSize' },
  { word: 'tsl', expected: 'tls' },
  { word: 'slt', expected: undefined },
  { word: 'tlx', expected: undefined },
  { word: 'TLS', expected: 'tls' },
  { word: 'maxInFilght', expected: 'maxInFlight' },
  { word: 'ilsten', expected: 'listen' },
  { word: '[tls]', expected: 'tls' },
  { word: '<<', expected: undefined },
  { word: 'tlss', expected: 'tls' },
  { word: 'cache', expected: undefined },
  { word: '', expected: undefined },
])('$word means $expected', ({ word, expected }) => {
  expect(nearest(word, known)).toBe(expected);
});

test('without candidates there is none', () => {
  expect(nearest('x', [])).toBeUndefined();
});
