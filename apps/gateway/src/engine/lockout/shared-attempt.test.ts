import { createHash } from 'node:crypto';
import { type ProblemKind, RedisProblem } from '@sallyport/redis-connection';
import { expect, test } from 'vitest';
import { pause } from '../../base/deadlines.ts';
import { createSealingKey } from '../sealing/seal.ts';
import type { SharedRedis } from '../shared-redis/shared-redis.ts';
import { createSharedAttempt, type SharedAttemptDependencies } from './shared-attempt.ts';
import { createRecords } from './shared-records.ts';

const sealingKeys = [createSealingKey(Buffer.alloc(32))];
const key = `lockout:{${createHash('sha256').update('["corp","jane"]').digest('base64url')}}`;

const timeout = 100;

function create(
  redis: SharedRedis,
  dependencies: Pick<SharedAttemptDependencies, 'now' | 'random' | 'pause'>,
) {
  return createSharedAttempt(
    redis,
    { authenticator: 'corp', subject: 'jane', username: 'jane', password: 'a' },
    {
      ...dependencies,
      settings: () => ({ maxFailures: 1, window: 1000 }),
      abandonedAfter: 60_000,
      redisClock: { offset: 0 },
      onForeign: () => undefined,
    },
  );
}

/** An attempt whose answers are the test's: `wait`, or what is thrown. Time passes in its pauses, and nowhere else. */
function asking(random: number, answers: readonly ('wait' | ProblemKind)[] = []) {
  const state = { now: 0, isDown: false };
  const calls: (number | undefined)[] = [];
  const pauses: number[] = [];
  const other = createRecords({ sealingKeys }, key);
  async function answer<T>(limit: number | undefined): Promise<T> {
    const next = answers[calls.length] ?? 'wait';
    calls.push(limit);
    if (next !== 'wait') throw new RedisProblem(next, next);
    const time = Math.round(state.now);
    return [0, time, 0, other.write('try:other', 'pending', time, 'x'.repeat(43))] as T;
  }
  const redis: SharedRedis = {
    keyPrefix: '',
    timeout,
    sealingKeys,
    get isDown() {
      return state.isDown;
    },
    ask: () => answer(undefined),
    askWithin: (_, limit) => answer(limit),
    send() {},
  };
  const attempt = create(redis, {
    now: () => state.now,
    random: () => random,
    pause: async (milliseconds) => {
      pauses.push(milliseconds);
      state.now += milliseconds;
    },
  });
  return { attempt, calls, pauses, state };
}

test.each([
  { random: 0, expected: [25, 37.5, 56.25, 84.375, 125, 125] },
  { random: 0.5, expected: [50, 75, 112.5, 168.75, 250, 250] },
])(
  'those that wait ask at longer and longer intervals, each at its own time ($random)',
  async ({ random, expected }) => {
    const { attempt, pauses } = asking(random);
    for (const _ of expected) await attempt.pauseBetween(undefined);
    expect(pauses).toEqual(expected);
  },
);

test('a wait for others ends after 1 s, and does not use up what Redis may cost a review', async () => {
  const { attempt, calls, state } = asking(0.5);
  const wait = async (): Promise<never> => {
    expect(await attempt.ask(1, undefined)).toBe('wait');
    await attempt.pauseBetween(undefined);
    return wait();
  };
  await expect(wait()).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('elsewhere'),
  });
  expect(calls).toEqual([undefined, 950, 875, 762.5, 593.75, 343.75, timeout, timeout]);
  expect(state.now).toBeGreaterThanOrEqual(1000);
  expect(state.now).toBeLessThan(1250);
});

test.each<ProblemKind>(['timeout', 'node'])(
  'a late Redis is asked once more, for 1 s: %s',
  async (kind) => {
    const { attempt, calls } = asking(0, [kind, 'wait']);
    expect(await attempt.ask(1, undefined)).toBe('wait');
    expect(calls).toEqual([undefined, 1000]);
  },
);

test.each([
  { name: 'late', answers: ['timeout', 'timeout', 'timeout', 'timeout'] },
  { name: 'late after a wait', answers: ['wait', 'timeout', 'timeout'] },
] as const)('a secret that is not known fails when Redis is $name for 1 s', async ({ answers }) => {
  const { attempt, calls, state } = asking(0, answers);
  expect(await attempt.ask(1, undefined)).toBe('wait');
  state.now = 999;
  expect(await attempt.ask(1, undefined)).toBe('wait');
  state.now = 1000;
  await expect(attempt.ask(1, undefined)).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('Redis'),
  });
  expect(calls.length).toBeGreaterThanOrEqual(3);
});

test.each<{
  what: string;
  kinds: ProblemKind[];
  slots?: number;
  rightAt?: number;
  isDown?: boolean;
  count: number;
}>([
  { what: 'does what it likes', kinds: ['server'], count: 1 },
  { what: 'cannot be reached', kinds: ['connection'], count: 1 },
  { what: 'is late for a secret that is known here', kinds: ['timeout'], rightAt: 0, count: 1 },
  { what: 'is down', kinds: ['timeout'], isDown: true, count: 1 },
  {
    what: 'is late for a secret that has no slot here',
    kinds: ['timeout', 'timeout'],
    slots: 0,
    count: 2,
  },
])(
  'this replica decides alone when Redis $what',
  async ({ kinds, slots = 1, rightAt, isDown = false, count }) => {
    const { attempt, calls, state } = asking(0, kinds);
    state.isDown = isDown;
    expect(await attempt.ask(slots, rightAt)).toBeUndefined();
    expect(calls).toHaveLength(count);
  },
);

test('this replica decides alone once a node of a cluster has been silent for 1 s', async () => {
  const { attempt, state } = asking(0, ['node', 'node', 'node']);
  expect(await attempt.ask(1, undefined)).toBe('wait');
  state.now = 1000;
  expect(await attempt.ask(1, undefined)).toBeUndefined();
});

test.each([
  { reply: [] },
  { reply: 'OK' },
  { reply: null },
  { reply: [1, 'x', 0, []] },
  { reply: [1, 1, 0, [1]] },
  { reply: [1, 1, 0, 'x'] },
])('what is no reply of the script is none: $reply', async ({ reply }) => {
  const shared = {
    keyPrefix: '',
    timeout,
    sealingKeys,
    isDown: false,
    ask: async () => reply,
    send() {},
  } as unknown as SharedRedis;
  const attempt = create(shared, { now: () => 0, random: () => 0, pause });
  expect(await attempt.ask(1, undefined)).toBeUndefined();
});

test('a pause ends by itself, or with the reason of its signal', async () => {
  await pause(1, undefined);
  const caller = new AbortController();
  await pause(1, caller.signal);
  const long = pause(1_000_000, caller.signal);
  const reason = new Error('the caller has gone');
  caller.abort(reason);
  await expect(long).rejects.toBe(reason);
  await expect(pause(1, caller.signal)).rejects.toBe(reason);
});
