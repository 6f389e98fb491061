import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { keyPrefix, socketOf } from '../shared-redis/testing/opened-shared-redis.ts';
import { createAttempts } from './attempts.ts';
import { abandonedAfter } from './local-guard.ts';
import { openGuardRedis } from './testing/opened-redis.ts';
import { type Begun, type Replicas, startReplicas, window } from './testing/replicas.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
  // Logins wait for 1 s on the clock of the replicas, however slow this machine is.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

const admissions = (attempts: readonly Begun[]) =>
  attempts.map(({ admission = 'waits' }) => admission);
const count = (attempts: readonly Begun[], admission: string) =>
  admissions(attempts).filter((one) => one === admission).length;
const replicas = [0, 1, 2];
const day = 24 * 60 * 60 * 1000;

/** Sends all attempts that are allowed, one on each replica in turn. All are refused. */
async function useUp({ send, settings }: Replicas, on: readonly number[] = replicas) {
  for (let index = 0; index < settings.maxFailures; index++) {
    expect(
      await send(on[index % on.length] ?? 0, 'jane', `wrong ${crypto.randomUUID()}`, 'refused'),
    ).toBe('sent');
  }
}

describe('refused attempts', () => {
  test('of a Redis whose clock was far ahead count no more once it is right', async () => {
    let ahead = 3_600_000;
    await using all = await startReplicas(redis, { maxFailures: 1, ahead: () => ahead });
    const first = all.begin(0, 'jane', 'a');
    await all.settled();
    const second = all.begin(1, 'jane', 'b');
    await all.settled();
    expect(admissions([first, second])).toEqual(['admitted', 'waits']);
    await first.settle('refused');
    await all.settled();
    expect(admissions([second])).toEqual(['throttled']);
    ahead = 0;
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
    expect(await all.send(2, 'jane', 'c', 'refused')).toBe('throttled');
  });

  test('leave nothing in Redis once their window has passed', async () => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'a', 'refused');
    // The attempts, and the names of the hour.
    expect(await redis.client().keys('*')).toHaveLength(2);
    await all.pass(window + abandonedAfter);
    expect(await redis.client().keys('*')).toEqual([expect.stringContaining('{names}')]);
    await all.pass(3_600_000);
    expect(await redis.client().keys('*')).toEqual([]);
  });
});

describe('a secret that was right on one replica', () => {
  test('is sent one at a time when there is no other slot, so that a changed password costs one attempt', async () => {
    await using all = await startReplicas(redis);
    for (const replica of [0, 1]) await all.send(replica, 'jane', 'right', 'accepted');
    await useUp(all);
    const attempts = Array.from({ length: 9 }, (_, index) => all.begin(index % 3, 'jane', 'right'));
    await all.settled();
    expect([count(attempts, 'admitted'), count(attempts, 'waits')]).toEqual([1, 8]);
    for (const one of attempts) await one.settle('refused');
    await all.settled();
    expect([count(attempts, 'admitted'), count(attempts, 'invalid-credentials')]).toEqual([1, 8]);
    await all.pass(window);
    await useUp(all);
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'right', 'refused')).toBe('throttled');
  });

  test('is sent one at a time from a replica that counted without Redis, though Redis has slots', async () => {
    await using all = await startReplicas(redis);
    all.alone.add(1);
    await useUp(all, [1]);
    all.alone.delete(1);
    await all.send(0, 'jane', 'right', 'accepted');
    const first = all.begin(0, 'jane', 'right');
    const second = all.begin(1, 'jane', 'right');
    await all.settled();
    expect(admissions([first, second])).toEqual(['admitted', 'waits']);
    await first.settle('accepted');
    await all.settled();
    expect(admissions([second])).toEqual(['admitted']);
  });

  test('waits for the one that is in progress elsewhere, not for guesses in progress here', async () => {
    await using all = await startReplicas(redis, { maxFailures: 2 });
    await all.send(0, 'jane', 'right', 'accepted');
    const guesses = ['a', 'b'].map((guess) => all.begin(1, 'jane', guess));
    await all.settled();
    const first = all.begin(0, 'jane', 'right');
    await all.settled();
    const second = all.begin(1, 'jane', 'right');
    await all.settled();
    expect(admissions([...guesses, first, second])).toEqual([
      'admitted',
      'admitted',
      'admitted',
      'waits',
    ]);
    await first.settle('accepted');
    await all.settled();
    expect(admissions([second])).toEqual(['admitted']);
  });

  test('is known for 30 days after it was last right', async () => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'right', 'accepted');
    await all.pass(29 * day);
    await useUp(all, [2]);
    expect(await all.send(1, 'jane', 'right', 'unavailable')).toBe('sent');
    await all.pass(day);
    await useUp(all, [2]);
    expect(await all.send(1, 'jane', 'right', 'unavailable')).toBe('throttled');
  });

  test('is forgotten when eight others of the name were right since', async () => {
    await using all = await startReplicas(redis);
    for (let index = 0; index < 9; index++) {
      await all.send(0, 'jane', `right ${index}`, 'accepted');
      await all.pass(1000);
    }
    await useUp(all, [2]);
    expect(await all.send(1, 'jane', 'right 0', 'accepted')).toBe('throttled');
    for (let index = 1; index < 9; index++) {
      expect(await all.send(1, 'jane', `right ${index}`, 'unavailable')).toBe('sent');
    }
  });
});

describe('one secret on all replicas at the same moment', () => {
  /** Twice on each: the second waits for the first on its own replica. */
  async function beginAll({ begin, settled }: Replicas, secret: string) {
    const attempts = [...replicas, ...replicas].map((replica) => begin(replica, 'jane', secret));
    await settled();
    return attempts;
  }

  test.each([
    { name: 'new', rightOn: [] },
    { name: 'right on one replica', rightOn: [1] },
    { name: 'right on each', rightOn: replicas },
  ])(
    'is sent once and counts once when it is refused, though it was $name',
    async ({ rightOn }) => {
      await using all = await startReplicas(redis, { maxFailures: 2 });
      for (const replica of rightOn) await all.send(replica, 'jane', 'old', 'accepted');
      const attempts = await beginAll(all, 'old');
      expect([count(attempts, 'admitted'), count(attempts, 'waits')]).toEqual([1, 5]);
      for (const one of attempts) await one.settle('refused');
      await all.settled();
      expect([count(attempts, 'admitted'), count(attempts, 'invalid-credentials')]).toEqual([1, 5]);
      expect(await all.send(2, 'jane', 'guess', 'refused')).toBe('sent');
      expect(await all.send(0, 'jane', 'one more', 'refused')).toBe('throttled');
    },
  );

  test('that is right takes all slots but one, for those that waited', async () => {
    await using all = await startReplicas(redis, { maxFailures: 3 });
    const attempts = await beginAll(all, 'right');
    await attempts.find(({ admission }) => admission === 'admitted')?.settle('accepted');
    await all.settled();
    expect([count(attempts, 'admitted'), count(attempts, 'waits')]).toEqual([3, 3]);
  });

  test('leaves a slot for a new password when the directory takes longer than they may wait', async () => {
    await using all = await startReplicas(redis, { maxFailures: 3 });
    const attempts = await beginAll(all, 'wrong');
    for (const _ of ['here', 'elsewhere']) {
      await all.pass(1000);
      await all.settled();
    }
    expect([count(attempts, 'admitted'), count(attempts, 'waits')]).toEqual([2, 0]);
    for (const one of attempts) await one.settle('refused');
    await all.settled();
    expect(await all.send(0, 'jane', 'new', 'accepted')).toBe('sent');
  });

  test.each([
    { name: 'each', rightOn: replicas, isLost: false },
    { name: 'all but the first', rightOn: [1, 2], isLost: false },
    { name: 'each, and Redis has lost its data', rightOn: replicas, isLost: true },
  ])(
    'counts once though each sends it in a slow directory, when it was right on $name',
    async ({ rightOn, isLost }) => {
      await using all = await startReplicas(redis, { maxFailures: 2 });
      for (const replica of rightOn) await all.send(replica, 'jane', 'old', 'accepted');
      if (isLost) await redis.client().flushall();
      const attempts: Begun[] = [];
      for (const replica of replicas) {
        attempts.push(all.begin(replica, 'jane', 'old'));
        await all.settled();
      }
      await all.pass(1000);
      await all.settled();
      expect(admissions(attempts)).toEqual(['admitted', 'admitted', 'admitted']);
      for (const one of attempts) await one.settle('refused');
      await all.settled();
      expect(await all.send(1, 'jane', 'guess', 'refused')).toBe('sent');
      expect(await all.send(0, 'jane', 'one more', 'refused')).toBe('throttled');
    },
  );
});

describe('an attempt whose replica has died', () => {
  test('keeps its secret waiting for 1 s, and no longer', async () => {
    await using all = await startReplicas(redis, { maxFailures: 3 });
    all.begin(0, 'jane', 'right');
    await all.settled();
    const waiting = all.begin(1, 'jane', 'right');
    await all.settled();
    expect(admissions([waiting])).toEqual(['waits']);
    await all.pass(1000);
    await all.settled();
    expect(admissions([waiting])).toEqual(['admitted']);
  });

  test('counts as refused from 60 s on, until the window has passed', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    const lost = all.begin(0, 'jane', 'a');
    await all.settled();
    await all.pass(abandonedAfter - 2000);
    const waiting = all.begin(1, 'jane', 'b');
    await all.settled();
    expect(admissions([lost, waiting])).toEqual(['admitted', 'waits']);
    await all.pass(2000);
    await all.settled();
    expect(admissions([waiting])).toEqual(['throttled']);
    expect(await all.send(2, 'jane', 'a', 'refused')).toBe('throttled');
    await all.pass(window - 30_000);
    expect(await all.send(2, 'jane', 'c', 'refused')).toBe('throttled');
    await all.pass(30_000);
    expect(await all.send(2, 'jane', 'c', 'refused')).toBe('sent');
  });

  test('holds its slot until then, however short the window is', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    all.settings.window = 1000;
    all.begin(0, 'jane', 'a');
    await all.settled();
    await all.pass(abandonedAfter - 2000);
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('waits');
  });

  test('is put right when it had not died after all', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    const slow = all.begin(0, 'jane', 'a');
    await all.settled();
    await all.pass(abandonedAfter);
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('throttled');
    await slow.settle('unavailable');
    await all.settled();
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
  });

  test('keeps no secret out that was right on any replica, until three have died with it', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    for (const replica of [0, 1]) await all.send(replica, 'jane', 'right', 'accepted');
    for (const replica of [0, 2, 0]) {
      const begun = all.begin(replica, 'jane', 'right');
      await all.settled();
      expect(admissions([begun])).toEqual(['admitted']);
      await all.pass(abandonedAfter);
    }
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'right', 'accepted')).toBe('throttled');
  });
});

describe('an attempt that was sent and not answered', () => {
  test('keeps no secret out for longer than a minute that was right on any replica', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    await all.send(0, 'jane', 'right', 'accepted');
    for (const replica of [0, 1, 2]) await all.send(replica, 'jane', 'right', 'unanswered');
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'right', 'accepted')).toBe('throttled');
    await all.pass(abandonedAfter);
    expect(await all.send(1, 'jane', 'right', 'unanswered')).toBe('sent');
    expect(await all.send(2, 'jane', 'right', 'accepted')).toBe('throttled');
    await all.pass(abandonedAfter);
    expect(await all.send(2, 'jane', 'right', 'accepted')).toBe('sent');
  });

  test('counts on all replicas, and its secret is sent again while a slot is free', async () => {
    await using all = await startReplicas(redis);
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'a', 'unanswered')).toBe('sent');
    for (const replica of replicas)
      for (const secret of ['a', 'b'])
        expect(await all.send(replica, 'jane', secret, 'refused')).toBe('throttled');
    await all.pass(window);
    expect(await all.send(0, 'jane', 'a', 'refused')).toBe('sent');
  });

  test('gives its slot back when another replica finds its secret to be right', async () => {
    await using all = await startReplicas(redis);
    for (const replica of [0, 1]) await all.send(replica, 'jane', 'right', 'unanswered');
    expect(await all.send(2, 'jane', 'right', 'accepted')).toBe('sent');
    await useUp(all, [2]);
    expect(await all.send(2, 'jane', 'one more', 'refused')).toBe('throttled');
  });

  test('three times, end it for a secret that was right on each replica', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    for (const replica of replicas) await all.send(replica, 'jane', 'right', 'accepted');
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'right', 'unanswered')).toBe('sent');
    for (const replica of replicas)
      expect(await all.send(replica, 'jane', 'right', 'refused')).toBe('throttled');
  });
});

describe('a Redis that has lost its data', () => {
  test('has no wrong secret sent again by a replica that sent it, or was told that it is wrong', async () => {
    await using all = await startReplicas(redis);
    expect(await all.send(0, 'jane', 'a', 'refused')).toBe('sent');
    expect(await all.send(1, 'jane', 'a', 'refused')).toBe('invalid-credentials');
    for (const _ of ['once', 'again']) {
      await redis.client().flushall();
      for (const replica of [0, 1])
        expect(await all.send(replica, 'jane', 'a', 'refused')).toBe('invalid-credentials');
    }
    expect(await all.send(2, 'jane', 'a', 'refused')).toBe('sent');
    await all.pass(window);
    expect(await all.send(1, 'jane', 'a', 'refused')).toBe('sent');
  });

  test('takes one slot for a secret that several logins were told to be wrong', async () => {
    await using all = await startReplicas(redis, { maxFailures: 2 });
    expect(await all.send(0, 'jane', 'a', 'refused')).toBe('sent');
    const attempts = [1, 2, 3].map(() => all.begin(1, 'jane', 'a'));
    await all.settled();
    expect(count(attempts, 'invalid-credentials')).toBe(3);
    await redis.client().flushall();
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
    expect(await all.send(1, 'jane', 'c', 'refused')).toBe('throttled');
  });
});

describe('an attempt that waits for another replica', () => {
  test('finds out by itself that a slot is free', async () => {
    await using opened = await openGuardRedis(socketOf(redis));
    const [first, second] = [0, 1].map(() =>
      createAttempts(() => ({ maxFailures: 1, window }), {
        now: () => performance.now(),
        shared: () => opened.shared,
      }),
    );
    vi.useRealTimers();
    const one = await first?.('corp').admit('jane', 'a');
    const other = second?.('corp').admit('jane', 'b');
    await opened.quiet();
    if (one?.admitted) await one.settle('unavailable');
    expect(await other).toMatchObject({ admitted: true });
  });

  test('is given up after 1 s, and what waits behind it here waits on', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    const first = all.begin(0, 'jane', 'a');
    await all.settled();
    const waiting = all.begin(1, 'jane', 'b');
    await all.settled();
    await all.pass(800);
    const behind = all.begin(1, 'jane', 'c');
    await all.settled();
    expect(admissions([first, waiting, behind])).toEqual(['admitted', 'waits', 'waits']);
    await all.pass(200);
    await all.settled();
    expect(admissions([waiting, behind])).toEqual([
      expect.stringMatching(/^AuthenticatorError.*take too long/),
      'waits',
    ]);
    await first.settle('unavailable');
    await all.settled();
    expect(admissions([behind])).toEqual(['admitted']);
  });

  test('goes out after 1 s when its secret was right here', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    for (const replica of [0, 1]) await all.send(replica, 'jane', 'right', 'accepted');
    const first = all.begin(0, 'jane', 'right');
    await all.settled();
    const second = all.begin(1, 'jane', 'right');
    await all.settled();
    expect(admissions([first, second])).toEqual(['admitted', 'waits']);
    await all.pass(1000);
    await all.settled();
    expect(admissions([second])).toEqual(['admitted']);
  });

  test('waits as long as its caller, and takes no slot with it', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    const first = all.begin(0, 'jane', 'a');
    await all.settled();
    const caller = new AbortController();
    const waiting = all.begin(1, 'jane', 'b', caller.signal);
    await all.settled();
    caller.abort(new Error('the caller has gone'));
    await all.settled();
    expect(admissions([waiting])).toEqual(['Error: the caller has gone']);
    await first.settle('unavailable');
    await all.settled();
    expect(await all.send(1, 'jane', 'c', 'refused')).toBe('sent');
  });
});

test('a caller that goes while Redis is asked takes no slot with it', async () => {
  await using all = await startReplicas(redis, { maxFailures: 1 });
  const caller = new AbortController();
  const asking = all.begin(0, 'jane', 'a', caller.signal);
  caller.abort(new Error('the caller has gone'));
  await all.settled();
  expect(admissions([asking])).toEqual(['Error: the caller has gone']);
  for (const replica of [0, 1])
    expect(await all.send(replica, 'jane', 'b', 'unavailable')).toBe('sent');
});

test('a reload that brings Redis holds for the next attempt', async () => {
  await using all = await startReplicas(redis, { maxFailures: 1 });
  all.alone.add(0);
  expect(await all.send(0, 'jane', 'a', 'refused')).toBe('sent');
  expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
  all.alone.delete(0);
  expect(await all.send(0, 'john', 'a', 'refused')).toBe('sent');
  expect(await all.send(1, 'john', 'b', 'refused')).toBe('throttled');
  // What was counted without it goes on counting here.
  await redis.client().del(...(await redis.client().keys(`${keyPrefix}*`)));
  expect(await all.send(0, 'jane', 'c', 'refused')).toBe('throttled');
  expect(await all.send(1, 'jane', 'c', 'refused')).toBe('throttled');
  expect(await all.send(2, 'jane', 'c', 'refused')).toBe('sent');
});
