import {
  type ProblemKind,
  type RedisClient,
  type RedisConnection,
  RedisProblem,
} from '@sallyport/redis-connection';
import { describe, expect, test } from 'vitest';
import { createSharedRedis } from './shared-redis.ts';
import { secretsOf } from './testing/opened-shared-redis.ts';

const timeout = 50;

/** A connection that answers when the test says so, and a clock that the test moves. */
function createControlledRedis() {
  let time = 1_000_000;
  const pending: {
    limit: number | undefined;
    answer: (value?: unknown) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const lines: string[] = [];
  const fields: object[] = [];
  const errors: string[] = [];
  const connection = {
    name: 'redis',
    run: (_: unknown, __: AbortSignal, limit?: number) =>
      new Promise((answer, fail) => pending.push({ limit, answer, fail })),
  } as unknown as RedisConnection;
  const log = (values: object, message: string) => {
    lines.push(message);
    fields.push(values);
  };
  const redis = createSharedRedis(
    { keyPrefix: 'p:', sealingKeys: secretsOf('AB'), timeout },
    {
      connection,
      now: () => time,
      logger: { warn: log, info: log },
      onError: (use) => errors.push(use),
    },
  );
  return {
    redis,
    pending,
    lines,
    fields,
    errors,
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}
const work = async (_: RedisClient) => 'done';
const problem = (kind: ProblemKind) => new RedisProblem(kind, `redis: ${kind}`);
const settled = () => new Promise(setImmediate);

describe('the line on an open circuit says how slow the last call was, and which key limits it', () => {
  const limit = '50ms, the share of one call in cache.redis.timeout';

  test('of a review', async () => {
    const { redis, pending, fields, pass } = createControlledRedis();
    for (let count = 0; count < 5; count += 1) {
      const asking = redis.ask('cache', work);
      pass(50.4 + count);
      pending.at(-1)?.fail(problem('timeout'));
      await expect(asking).rejects.toThrow();
    }
    expect(fields).toEqual([{ servers: 'redis', took: '54ms', reason: 'timeout', limit }]);
  });

  test('of a probe that was answered late', async () => {
    const { redis, pending, fields, pass } = createControlledRedis();
    for (const time of [300, 400]) {
      const asking = redis.probe('revocations', work);
      pass(time);
      pending.at(-1)?.answer();
      await asking;
    }
    expect(fields).toEqual([{ servers: 'redis', took: '400ms', reason: 'timeout', limit }]);
  });

  test('of a probe that was refused', async () => {
    const { redis, pending, fields, pass } = createControlledRedis();
    for (let count = 0; count < 2; count += 1) {
      const asking = redis.probe('revocations', work);
      pass(1);
      pending.at(-1)?.fail(problem('connection'));
      await expect(asking).rejects.toThrow();
    }
    expect(fields).toEqual([{ servers: 'redis', took: '1ms', reason: 'connection', limit }]);
  });
});

describe('what a review asks', () => {
  test('has the timeout for each call, and is counted by its use when it fails', async () => {
    const { redis, pending, errors } = createControlledRedis();
    const asking = redis.ask('cache', work);
    pending.at(-1)?.answer('yes');
    expect(await asking).toBe('yes');
    const failing = redis.ask('revocations', work);
    pending.at(-1)?.fail(problem('server'));
    await expect(failing).rejects.toMatchObject({ kind: 'server' });
    expect([pending.map(({ limit }) => limit), errors]).toEqual([
      [timeout, timeout],
      ['revocations'],
    ]);
  });

  test.each<{ kind: ProblemKind; isOutage: boolean }>([
    { kind: 'timeout', isOutage: true },
    { kind: 'connection', isOutage: true },
    { kind: 'tls', isOutage: true },
    { kind: 'authentication', isOutage: true },
    { kind: 'cluster', isOutage: true },
    { kind: 'node', isOutage: true },
    { kind: 'permission', isOutage: false },
    { kind: 'type', isOutage: false },
    { kind: 'server', isOutage: false },
    // This machine ran short of something: Redis may be healthy.
    { kind: 'local', isOutage: false },
  ])(
    'opens the circuit after five failures of kind $kind: $isOutage',
    async ({ kind, isOutage }) => {
      const { redis, pending, lines } = createControlledRedis();
      const fail = async () => {
        const asking = redis.ask('cache', work);
        pending.at(-1)?.fail(problem(kind));
        await expect(asking).rejects.toMatchObject({ kind });
      };
      for (let count = 0; count < 5; count += 1) await fail();
      expect(lines).toEqual(
        isOutage ? ['circuit of the cache Redis opened: it is down or slow'] : [],
      );
      const before = pending.length;
      void redis.ask('cache', work).catch(() => {});
      redis.send('cache', work);
      expect(pending.length - before).toBe(isOutage ? 0 : 2);
      // The outcome of a login: without it the attempt would count as refused.
      redis.send('lockout', work);
      expect(pending.length - before).toBe(isOutage ? 1 : 3);
    },
  );
});

describe('while the circuit is open, Redis', () => {
  const opened = async () => {
    const own = createControlledRedis();
    const asking = Array.from({ length: 5 }, () => own.redis.ask('cache', work));
    for (const { fail } of own.pending) fail(problem('timeout'));
    await Promise.allSettled(asking);
    own.pending.length = 0;
    return own;
  };
  const probe = async (
    { redis, pending, pass }: ReturnType<typeof createControlledRedis>,
    took: number,
    error?: unknown,
  ) => {
    const probing = redis.probe('revocations', work).catch(() => {});
    pass(took);
    if (error === undefined) pending.at(-1)?.answer();
    else pending.at(-1)?.fail(error);
    await probing;
  };
  const isAsked = ({ redis, pending }: ReturnType<typeof createControlledRedis>) => {
    const before = pending.length;
    void redis.ask('cache', work).catch(() => {});
    return pending.length > before;
  };

  test('is not called by reviews, and still probed, with the deadline of a command', async () => {
    const own = await opened();
    for (let count = 0; count < 100; count += 1) {
      await expect(own.redis.ask('cache', work)).rejects.toMatchObject({ kind: 'timeout' });
    }
    expect([own.pending.length, own.errors.length]).toEqual([0, 5]);
    void own.redis.probe('revocations', work);
    expect(own.pending.map(({ limit }) => limit)).toEqual([undefined]);
  });

  test('is called again after three probes within the timeout, and not after slow ones', async () => {
    const own = await opened();
    for (const took of [10, 10, timeout + 1, 10, timeout]) await probe(own, took);
    expect(isAsked(own)).toBe(false);
    await probe(own, timeout);
    expect(isAsked(own)).toBe(true);
    expect(own.lines.at(-1)).toBe('circuit of the cache Redis closed: it has recovered');
  });

  test('slow or failed, is detected by two probes before any review calls it', async () => {
    for (const [took, error] of [
      [timeout + 1, undefined],
      [1, problem('connection')],
    ] as const) {
      const own = createControlledRedis();
      await probe(own, took, error);
      expect(isAsked(own)).toBe(true);
      await probe(own, took, error);
      expect(isAsked(own)).toBe(false);
    }
    const own = createControlledRedis();
    for (let count = 0; count < 3; count += 1) await probe(own, 1, problem('server'));
    expect(isAsked(own)).toBe(true);
  });
});

describe('a Redis', () => {
  test('is down when two probes in a row had no answer, however its calls went, and until one has', async () => {
    const { redis, pending } = createControlledRedis();
    const probe = async (error?: unknown) => {
      const probing = redis.probe('revocations', work).catch(() => {});
      if (error === undefined) pending.at(-1)?.answer();
      else pending.at(-1)?.fail(error);
      await probing;
      return redis.isDown;
    };
    const asking = Array.from({ length: 5 }, () => redis.ask('cache', work));
    for (const { fail } of pending) fail(problem('timeout'));
    await Promise.allSettled(asking);
    expect([redis.isCircuitOpen, redis.isDown]).toEqual([true, false]);
    const [late, refused] = [problem('timeout'), problem('server')];
    const states = [];
    for (const error of [late, undefined, late, refused, late, late, late, undefined, late]) {
      states.push(await probe(error));
    }
    expect(states).toEqual([false, false, false, false, false, true, true, false, false]);
  });

  test('is called with a deadline of its own while the circuit is open too', async () => {
    const { redis, pending, errors, pass } = createControlledRedis();
    const asking = Array.from({ length: 5 }, () => redis.ask('cache', work));
    for (const { fail } of pending) fail(problem('timeout'));
    await Promise.allSettled(asking);
    for (const isAnswered of [true, false]) {
      const asked = redis.askWithin('lockout', 700, work);
      expect(pending.at(-1)?.limit).toBe(700);
      pass(700);
      if (isAnswered) pending.at(-1)?.answer('yes');
      else pending.at(-1)?.fail(problem('timeout'));
      if (isAnswered) expect(await asked).toBe('yes');
      else await expect(asked).rejects.toMatchObject({ kind: 'timeout' });
    }
    expect(errors.slice(5)).toEqual(['lockout']);
  });
});

describe('a call behind a review', () => {
  test('is in progress a thousand times at most, and dropped beyond', async () => {
    const { redis, pending } = createControlledRedis();
    for (let count = 0; count < 5_000; count += 1) redis.send('cache', work);
    expect(pending).toHaveLength(1_000);
    pending[0]?.answer();
    pending[1]?.fail(problem('server'));
    await settled();
    for (let count = 0; count < 5_000; count += 1) redis.send('cache', work);
    expect(pending).toHaveLength(1_002);
  });

  test('throws nothing, is counted, and opens no circuit', async () => {
    const { redis, pending, errors, lines, pass } = createControlledRedis();
    for (let count = 0; count < 20; count += 1) redis.send('lockout', work);
    pass(1_000);
    for (const { fail } of pending) fail(problem('timeout'));
    await settled();
    expect([errors.length, new Set(errors), lines]).toEqual([20, new Set(['lockout']), []]);
  });
});

test('what can be printed of it has no key', async () => {
  const { redis } = createControlledRedis();
  expect(redis.sealingKeys.map(({ tag }) => tag.length)).toEqual([16, 16]);
  expect(JSON.stringify(redis)).not.toContain('AAAA');
});
