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
  test.each<{ reply: unknown }>([
    { reply: 'OK' },
    { reply: null },
    { reply: [] },
    { reply: ['r1', 2, '5', '7', 0, 0, 3] },
    { reply: ['r1', '2', '5', 0, 0, 0, 3] },
    { reply: ['r1', 2, 'soon', 0, 0, 0, 3] },
    { reply: ['r1', 2, null, 0, 0, 0, 3] },
    { reply: [1, 2, '5', 0, 0, 0, 3] },
    { reply: ['r1', 2, '5', 0, 0, 0] },
  ])('of a poll: $reply', ({ reply }) => {
    expect(() => readReply(pollReply, reply)).toThrow(problem);
  });

  test.each<{ reply: unknown }>([
    { reply: ['r1', '5', []] },
    { reply: ['r1', '5', [], '0'] },
    { reply: ['r1', '-5', [], 0] },
    { reply: ['r1', '5', 'ab', 0] },
    { reply: ['r1', '5', ['a', 1], 0] },
  ])('of a list: $reply', ({ reply }) => {
    expect(() => readReply(hashReply, reply)).toThrow(problem);
  });

  test.each([{ reply: 'OK' }, { reply: '1' }, { reply: 1.5 }, { reply: null }])(
    'of a change: $reply',
    ({ reply }) => {
      expect(() => readReply(countReply, reply)).toThrow(problem);
    },
  );
});
