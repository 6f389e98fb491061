import { setImmediate } from 'node:timers/promises';
import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { issue } from '@sallyport/test-servers/redis-tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRobot, refused } from './testing/redis-gateway.ts';
import {
  cachedRobots,
  type Published,
  type Replicas,
  replicasConfig,
  startReplicas,
} from './testing/replicas.ts';
import { scrape } from './testing/scrape.ts';
import { sum } from './testing/sum.ts';

const tokens = await redisForFile();
// A busy machine is not an outage of the Redis that has the tokens.
const patient = { timeout: '9s', options: { url: tokens.url, commandTimeout: '4s' } };
const authenticators = [cachedRobots(tokens.url, patient)];
const newToken = (username: string, more: object = {}) =>
  issue(() => tokens, { username, ...more });

const both = (one: object): object[] => [one, one];
const list = 'sallyport:{revocations}:list';
const revision = 'sallyport:{revocations}:revision';
const replicasKey = 'sallyport:{revocations}:replicas';

/** Fills the memory with foreign data until it accepts no more. */
async function fillWithForeign(redis: RedisServer): Promise<void> {
  for (let count = 0; ; count++) {
    const isSet = redis.client().set(`foreign:${count}`, 'x'.repeat(50_000));
    if ((await isSet.catch(() => undefined)) === undefined) return;
  }
}

/** Keeps the memory full: what clients send counts as memory, too, and that varies. */
async function stayFull(redis: RedisServer): Promise<void> {
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.client().info('memory'))?.[1]);
  await redis.client().config('SET', 'maxmemory', String(used - 500_000));
  await expect(redis.client().set('probe', 'x')).rejects.toThrow(/^OOM/);
}

/** Runs every command that stops a user, and checks the answers of replicas. */
async function expectStopped({ operator, gateways, ask }: Replicas): Promise<void> {
  const full =
    /^sallyport: the memory of the cache Redis is full, so the entry was written above its maxmemory/;
  const [token, robot] = [await newToken('ci'), isRobot('ci')];
  const expectAnswers = async (one: object) =>
    expect(await ask(token)).toEqual(gateways.map(() => one));
  const run = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await operator.run(words);
    expect([words, code, stderr]).toEqual([words, 0, expect.stringMatching(full)]);
    return stdout;
  };
  const confirmed = `\nconfirmed by ${gateways.length} of ${gateways.length} replica`;
  await expectAnswers(robot);
  const json = JSON.parse(
    await run('block', '--user', 'robot:ci', '--for', '1h', '-o', 'json'),
  ) as Published;
  expect([json, json.confirmed.length]).toMatchObject([
    { redisIsFull: true, unconfirmed: [] },
    gateways.length,
  ]);
  await expectAnswers(refused);
  expect((await operator.run(['blocks'])).stdout).toContain('robot:ci');
  expect(await run('unblock', '--user', 'robot:ci')).toContain(confirmed);
  await expectAnswers(robot);
  expect(await run('revoke', '--all')).toContain(confirmed);
  await expectAnswers(robot);
}

describe('a client of the cache Redis without sealing keys that removes the list and the replicas', () => {
  const block = (user: string) => ['block', '--user', `robot:${user}`, '--for', '1h'];

  test('and cuts off all gateways during a block makes the block fail', async () => {
    await using redis = await startRedis();
    let isCut = false;
    await using proxy = await startFaultProxy({
      target: { host: '127.0.0.1', port: redis.port },
      plan: () => (isCut ? { kind: 'stall', direction: 'to-server', after: 0 } : { kind: 'pass' }),
    });
    const behindProxy = replicasConfig(authenticators, `redis://127.0.0.1:${proxy.port}`);
    await using replicas = await startReplicas(2, behindProxy);
    await using operators = await startReplicas(
      0,
      replicasConfig(authenticators, redis.url),
      {},
      replicas.operator.env,
    );
    const token = await newToken('ce');
    isCut = true;
    await redis.client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
    await redis.client().del(list, revision, replicasKey);
    for (const more of [[], ['--expect', '2']]) {
      const { code, stdout, stderr } = await operators.operator.run([
        ...block('ce'),
        '--wait',
        '1s',
        ...more,
      ]);
      expect([code, stdout, stderr]).toEqual([
        1,
        expect.stringContaining(
          '\nno gateway has confirmed it: it takes effect when one starts.\n',
        ),
        expect.stringMatching(
          /^sallyport: (no gateway is noted in this Redis, |--expect 2: only 0)/,
        ),
      ]);
    }
    await redis.client().del(list, revision, replicasKey);
    isCut = false;
    // The gateways never learn of it.
    await waitFor(
      async () =>
        (await redis
          .client()
          .hlen(replicasKey)
          .catch(() => 0)) === 2,
      'the gateways to report again',
    );
    expect(await replicas.ask(token)).toEqual(both(isRobot('ce')));
  });

  test('all the time lets no block succeed that a gateway does not have', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(2, replicasConfig(authenticators, redis.url));
    const { operator, ask } = replicas;
    let isAttacking = true;
    const attack = async () => {
      while (isAttacking) {
        await redis.client().del(list, revision, replicasKey);
        await setImmediate();
      }
    };
    const attacking = attack();
    for (const user of ['cf', 'cg', 'ch']) {
      const token = await newToken(user);
      const { code } = await operator.run([...block(user), '--expect', '2', '--wait', '2s']);
      if (code === 0) expect(await ask(token)).toEqual(both(refused));
      else expect(code).toBe(1);
    }
    isAttacking = false;
    await attacking;
    const token = await newToken('ci');
    const words = [...block('ci'), '--expect', '2', '--wait', '30s'];
    expect(await operator.run(words)).toMatchObject({ code: 0 });
    expect(await ask(token)).toEqual(both(refused));
  });
});

describe('with a cache Redis', () => {
  let redis: RedisServer;
  let replicas: Replicas;
  beforeAll(async () => {
    redis = await startRedis({ settings: { 'maxmemory-policy': 'noeviction' } });
    replicas = await startReplicas(2, replicasConfig(authenticators, redis.url));
  });
  afterAll(async () => {
    await replicas[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  test('full of foreign data, users are still stopped', async () => {
    const client = redis.client();
    try {
      await client.config('SET', 'maxmemory', '4mb');
      await fillWithForeign(redis);
      await stayFull(redis);
      await expectStopped(replicas);
    } finally {
      await client.config('SET', 'maxmemory', '0');
      for (const key of await client.keys('*'))
        if (!key.includes('{revocations}')) await client.del(key);
    }
  });

  test('with a key of another type in the place of the list, blocks stay in force, and the list is written back', async () => {
    const { operator, gateways, ask } = replicas;
    const [blocked, other] = [await newToken('ca'), await newToken('cd')];
    const seen = gateways.map(({ output }) => output.lines.length);
    expect(await operator.run(['block', '--user', 'robot:ca', '--for', '1h'])).toMatchObject({
      code: 0,
    });
    const client = redis.client();
    const writes = {
      [list]: () => client.set(list, 'x'),
      [revision]: () => client.multi().del(revision).hset(revision, 'field', 'x').exec(),
      [replicasKey]: () => client.set(replicasKey, 'x'),
    };
    const metric = (name: string) =>
      Promise.all(
        gateways.map(async (gateway) => (await scrape(gateway)).value(name) ?? Number.NaN),
      );
    const removed = async () => sum(await metric('sallyport_revocation_list_foreign_keys_total'));
    const before = await removed();
    for (const [key, write] of Object.entries(writes)) {
      await write();
      const wrong = key === revision ? 'hash' : 'string';
      await waitFor(async () => {
        expect(await ask(blocked)).toEqual(both(refused));
        expect(await ask(other)).toEqual(both(isRobot('cd')));
        const [fields, heard] = await Promise.all(
          [list, replicasKey].map((one) => client.hlen(one).catch(() => 0)),
        );
        return (await client.type(key)) !== wrong && fields !== 0 && heard === 2;
      }, `${key} to be as it was`);
      // The tests of the revocation list prove that commands remove each of the keys.
      if (key !== list) continue;
      const { code, stdout } = await operator.run(['block', '--user', 'robot:cd', '--for', '1h']);
      expect([code, stdout]).toEqual([
        0,
        expect.stringContaining('\nconfirmed by 2 of 2 replicas.\n'),
      ]);
      expect(await ask(other)).toEqual(both(refused));
      // A command that comes before any replica removes the key, too.
      await write();
      expect(await operator.run(['block', '--user', 'robot:cd', '--for', '2h'])).toMatchObject({
        code: 0,
      });
      expect(await operator.run(['unblock', '--user', 'robot:cd'])).toMatchObject({ code: 0 });
      await waitFor(
        async () => (await ask(other)).every(({ authenticated }) => authenticated),
        'the end of the block',
      );
      expect([await ask(blocked), await ask(other)]).toEqual([both(refused), both(isRobot('cd'))]);
    }
    const lines = gateways.flatMap(({ output }, index) =>
      output.lines.slice(seen[index]).map(({ msg }) => msg),
    );
    expect(
      lines.filter((line) => line.startsWith('removed keys of another type')).length,
    ).toBeGreaterThan(0);
    // One replica each, and for the second one of the list the command may have been faster.
    expect([3, 4]).toContain((await removed()) - before);
  });
});
