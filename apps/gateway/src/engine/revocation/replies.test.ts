import { describe, expect, test } from 'vitest';
import { readReply } from '../shared-redis/read-reply.ts';
import { countReply, hashReply, pollReply } from './replies.ts';

const problem = expect.objectContaining({ name: 'RedisProblem', kind: 'server' });

test('replies of the scripts are read, with their time as a number', () => {
  expect(readReply(pollReply, ['r1', 2, '1764000000000', 0, 1, 0, 3])).toEqual([
    'r1',
    2,
    1_764_000_000_000,
    0,
    1,
    0,
    3,
  ]);
  expect(readReply(hashReply, ['', '5', ['a', 'b'], 1])).toEqual(['', 5, ['a', 'b'], 1]);
  expect(readReply(countReply, -1)).toBe(-1);
});

describe('what is no reply of the script is a problem of Redis', () => {
  test.each<[unknown]>([
    ['OK'],
    [null],
    [[]],
    [['r1', 2, '5', '7', 0, 0, 3]],
    [['r1', '2', '5', 0, 0, 0, 3]],
    [['r1', 2, 'soon', 0, 0, 0, 3]],
    [['r1', 2, null, 0, 0, 0, 3]],
    [[1, 2, '5', 0, 0, 0, 3]],
    [['r1', 2, '5', 0, 0, 0]],
  ])('of a poll: %j', (reply) => {
    expect(() => readReply(pollReply, reply)).toThrow(problem);
  });

  test.each<[unknown]>([
    [['r1', '5', []]],
    [['r1', '5', [], '0']],
    [['r1', '-5', [], 0]],
    [['r1', '5', 'ab', 0]],
    [['r1', '5', ['a', 1], 0]],
  ])('of a list: %j', (reply) => {
    expect(() => readReply(hashReply, reply)).toThrow(problem);
  });

  test.each([['OK'], ['1'], [1.5], [null]])('of a change: %j', (reply) => {
    expect(() => readReply(countReply, reply)).toThrow(problem);
  });
});
