import { expect, test } from 'vitest';
import { judgeReplicas } from './confirmation.ts';

const now = 10_000_000;
const heard = (id: string, silence: number, applied: string | undefined) => ({ id, heardAt: now - silence, applied });

test('each replica confirms, does not, or does not count, by what it has taken in and when it was heard of', () => {
  const replicas = [
    heard('b', 0, 'good'),
    heard('a', 60_000, 'good'),
    heard('behind', 5_000, 'older'),
    heard('fresh', 100, ''),
    heard('strange', 5_000, undefined),
    heard('silent', 5_001, 'older'),
    heard('silent-and-strange', 60_000, undefined),
    heard('gone', 60_001, 'good'),
    heard('gone-too', 3_600_000, 'older'),
    heard('forgotten', 3_600_001, 'good'),
  ];
  expect(judgeReplicas({ now, replicas }, (revision) => revision === 'good')).toEqual({
    now,
    confirmed: ['a', 'b'],
    unconfirmed: [
      { id: 'behind', heardAt: now - 5_000, absence: 'behind' },
      { id: 'fresh', heardAt: now - 100, absence: 'behind' },
      { id: 'silent', heardAt: now - 5_001, absence: 'silent' },
      { id: 'silent-and-strange', heardAt: now - 60_000, absence: 'silent' },
      { id: 'strange', heardAt: now - 5_000, absence: 'other keys' },
    ],
    gone: [
      { id: 'gone', heardAt: now - 60_001 },
      { id: 'gone-too', heardAt: now - 3_600_000 },
    ],
  });
});
