import { describe, expect, test } from 'vitest';
import { causeOf, nearest } from './problems.ts';

class HttpError extends Error {
  override readonly name = 'HttpError';
}

const refused = (address: string) => new Error(`connect ECONNREFUSED ${address}`);

describe('what was thrown, as text', () => {
  test.each([
    ['an error', new Error('no such host'), 'no such host'],
    [
      'an error with a cause, which is left out',
      new Error('no', { cause: new Error('inner') }),
      'no',
    ],
    [
      'several errors without a message of their own',
      new AggregateError([refused('::1'), refused('127.0.0.1'), refused('::1')]),
      'connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1',
    ],
    [
      'several errors under one message',
      new AggregateError([refused('::1')], 'unreachable'),
      'unreachable',
    ],
    ['no message but a code', Object.assign(new Error(' '), { code: 'EPIPE' }), 'EPIPE'],
    ['no message but a name', new HttpError(), 'HttpError'],
    ['several errors that say nothing', new AggregateError([1]), 'AggregateError'],
  ])('%s', (_, error, text) => {
    expect(causeOf(error)).toBe(text);
  });

  const unreadable = Object.defineProperty(new Error('x'), 'message', {
    get: () => {
      throw new Error('y');
    },
  });
  test.each([
    ['a text', 'a text'],
    ['nothing', undefined],
    ['null', null],
    ['a map with a message', { message: 'x' }],
    ['an error that cannot be read', unreadable],
  ])('%s is not quoted', (_, error) => {
    expect(causeOf(error)).toBe('something that is not an Error was thrown');
  });
});

const known = ['listen', 'maxInFlight', 'maxTokenSize', 'tls'];

test.each([
  ['lisen', 'listen'],
  ['Listen', 'listen'],
  ['max_in_flight', 'maxInFlight'],
  ['maxInflights', 'maxInFlight'],
  ['maxTokensize', 'maxTokenSize'],
  ['tsl', 'tls'],
  ['slt', undefined],
  ['maxInFilght', 'maxInFlight'],
  ['ilsten', 'listen'],
  ['tlss', 'tls'],
  ['cache', undefined],
  ['', undefined],
])('%s means %s', (word, expected) => {
  expect(nearest(word, known)).toBe(expected);
});

test('without candidates there is none', () => {
  expect(nearest('x', [])).toBeUndefined();
});
