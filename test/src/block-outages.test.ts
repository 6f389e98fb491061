import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { freePort } from '@sallyport/test-servers/ports';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { issue, newToken } from '@sallyport/test-servers/redis-tokens';
import { extend } from '@sallyport/test-servers/tcp-server';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { get, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { isRobot, refused, unavailable } from './testing/redis-gateway.ts';
import { cachedRobots, type Published, replicasConfig, startReplicas } from './testing/replicas.ts';

const tokens = await redisForFile();
const authenticators = [
  cachedRobots(tokens.url, { timeout: '9s', options: { url: tokens.url, commandTimeout: '4s' } }),
];
const issued = (username: string) => issue(() => tokens, { username });
const block = (user: string) => [
  'block',
  '--user',
  `robot:${user}`,
  '--for',
  '1h',
  '--wait',
  '30s',
];

/** A config with the default, which tests change for a Redis that is new. */
const strict = (url: string) => replicasConfig(authenticators, { url, startWithoutBlocks: false });

/** A path to Redis that can be cut. */
async function startPath({ port, client }: RedisServer) {
  let isCut = false;
  const proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port },
    plan: () => (isCut ? { kind: 'stall', direction: 'to-server', after: 0 } : { kind: 'pass' }),
  });
  return extend(proxy, {
    url: `redis://127.0.0.1:${proxy.port}`,
    async cut() {
      isCut = true;
      await client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
    },
    restore() {
      isCut = false;
    },
  });
}

const isReady = async ({ adminUrl }: Gateway) => (await get(adminUrl, '/readyz')).status === 200;

describe.concurrent('a gateway that starts while the cache Redis is away', () => {
  test('lets no one in and is not ready until it has read who is blocked; those that ran before go on', async () => {
    await using redis = await startRedis();
    const config = replicasConfig(authenticators, redis.url);
    await using replicas = await startReplicas(1, config);
    const { operator, ask } = replicas;
    const [blocked, other] = [await issued('ca'), await issued('cb')];
    expect(await operator.run(block('ca'))).toMatchObject({ code: 0 });
    await redis.stop();
    await using late = await startGateway({ config: strict(redis.url), env: operator.env });
    using client = http1Client(late.url);
    for (const token of [blocked, other]) expect(await review(client, token)).toEqual(unavailable);
    expect(await review(client, newToken())).toEqual(refused);
    const ready = await get(late.adminUrl, '/readyz');
    expect([ready.status, ready.text]).toEqual([
      500,
      expect.stringContaining('[-]revocation-list failed'),
    ]);
    await late.waitForLog(
      'cut off from the revocation list: it was not read since the start, so it is not known who is blocked, and no one is let in',
    );
    expect([await ask(blocked), await ask(other)]).toEqual([[refused], [isRobot('cb')]]);

    await redis.start();
    await waitFor(() => isReady(late), 'the list to be read');
    expect([await review(client, blocked), await review(client, other)]).toEqual([
      refused,
      isRobot('cb'),
    ]);
  });

  test('lets users in, blocked ones too, if startWithoutBlocks says so, at its start or by a reload', async () => {
    await using redis = await startRedis();
    const config = replicasConfig(authenticators, redis.url);
    const permissive = replicasConfig(authenticators, { url: redis.url, startWithoutBlocks: true });
    await using replicas = await startReplicas(1, config);
    const { operator } = replicas;
    const blocked = await issued('cc');
    expect(await operator.run(block('cc'))).toMatchObject({ code: 0 });
    await redis.stop();
    const env = operator.env;
    await using late = await startGateway({ config: permissive, env });
    await using reloaded = await startGateway({ config: strict(redis.url), env });
    await using added = await startGateway({ config: replicasConfig(authenticators), env });
    await reloaded.configure(permissive);
    await reloaded.reload();
    // No one was blocked at this one before, so its own reload takes no one's access.
    await added.configure(config);
    await added.reload();
    for (const gateway of [late, reloaded, added]) {
      using client = http1Client(gateway.url);
      expect([await isReady(gateway), await review(client, blocked)]).toEqual([
        true,
        isRobot('cc'),
      ]);
    }
    await late.waitForLog(
      'cut off from the revocation list: it was not read since the start, so blocked users are let in',
    );
    await redis.start();
    for (const gateway of [late, reloaded, added]) {
      using client = http1Client(gateway.url);
      await waitFor(
        async () => !(await review(client, blocked)).authenticated,
        'the block to be known',
      );
      expect(await review(client, blocked)).toEqual(refused);
    }
  });
});

describe.concurrent('a gateway that starts with an empty cache Redis', () => {
  const noList = 'the cache Redis has no revocation list, since it is new or lost its data: ';

  test('lets no one in and is not ready until a gateway that knows who is blocked reaches Redis', async () => {
    await using redis = await startRedis();
    await using path = await startPath(redis);
    await using replicas = await startReplicas(1, replicasConfig(authenticators, path.url));
    const { operator, ask } = replicas;
    const [blocked, other] = [await issued('ch'), await issued('ci')];
    expect(await operator.run(block('ch'))).toMatchObject({ code: 0 });
    await path.cut();
    await redis.client().flushall();
    await using late = await startGateway({ config: strict(redis.url), env: operator.env });
    using client = http1Client(late.url);
    const isSaid = () => late.output.lines.some(({ msg }) => msg.startsWith(noList));
    await waitFor(isSaid, 'the empty Redis to be reported');
    // A command can't know who else was blocked, and that another gateway is cut off.
    const more = await operatorIn(late.folder, operator.env).run(block('cj'));
    expect(more).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^sallyport: the cache Redis had no revocation list, .*\n {2}fix: .* sallyport revoke --all\n$/,
      ),
    });
    for (const token of [blocked, other]) expect(await review(client, token)).toEqual(unavailable);
    expect([await isReady(late), await ask(blocked)]).toEqual([false, [refused]]);

    path.restore();
    await waitFor(() => isReady(late), 'the list to be written back');
    const answers = [blocked, await issued('cj'), other].map((token) => review(client, token));
    expect(await Promise.all(answers)).toEqual([refused, refused, isRobot('ci')]);
  });

  test('is ready once an operator has said that the Redis is new, and so is each that starts later', async () => {
    await using redis = await startRedis();
    await using replicas = await startReplicas(1, strict(redis.url));
    const { operator, gateways } = replicas;
    const [first] = gateways as [Gateway];
    expect(await isReady(first)).toBe(false);
    expect((await operator.run(['check'])).stdout).toContain(
      'it has no revocation list, since it is new or lost its data',
    );
    const isMissing = expect.stringContaining(
      'sallyport: the cache Redis has no revocation list, ',
    );
    const token = await issued('cm');
    expect(await operator.run(['blocks'])).toMatchObject({ code: 0, stderr: isMissing });
    expect(await operator.run(['explain'], token)).toMatchObject({ code: 0, stderr: isMissing });
    const { code, stdout } = await operator.run(['revoke', '--all', '--wait', '30s']);
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining('\nconfirmed by 1 of 1 replica.\n'),
    ]);
    await waitFor(() => isReady(first), 'the new list to be read');
    expect((await operator.run(['blocks'])).stderr).toBe('sallyport: no one is blocked\n');
    await first.stop();
    await using next = await startGateway({ config: strict(redis.url), env: operator.env });
    expect(await isReady(next)).toBe(true);
  });
});

test.concurrent('a gateway that was cut off or stopped for over a minute is still named, unless the operator says how many run', async () => {
  await using redis = await startRedis();
  const config = replicasConfig(authenticators, redis.url);
  await using replicas = await startReplicas(1, config);
  const { operator } = replicas;
  const notes = 'sallyport:{revocations}:replicas';
  const untilNoted = async (count: number) => {
    await waitFor(async () => (await redis.client().hlen(notes)) === count, 'the note of each');
    return redis.client().hkeys(notes);
  };
  const running = await untilNoted(1);
  await using hanging = await startGateway({ config, env: operator.env });
  const [stopped = ''] = (await untilNoted(2)).filter((id) => !running.includes(id));
  hanging.signal('SIGSTOP');
  try {
    // Its last report, as it is two minutes later.
    const [at, sealed] = ((await redis.client().hget(notes, stopped)) ?? '').split(' ');
    await redis.client().hset(notes, stopped, `${Number(at) - 120_000} ${sealed}`);
    expect(await operator.run([...block('cl'), '--expect', '1'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('\nconfirmed by 1 of 1 replica.\n'),
      stderr: expect.stringContaining(`sallyport: ${stopped} is not counted: last heard of 2m`),
    });
    // How long it waits is not tested: on a slow machine, it may end before the other one confirms.
    expect(await operator.run([...block('cl').slice(0, -1), '1s'])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/\nconfirmed by \d of 2 replicas\.\n/),
      stderr: expect.stringContaining(`sallyport: not confirmed by ${stopped}, last heard of 2m`),
    });
  } finally {
    hanging.signal('SIGCONT');
  }
  expect(await operator.run([...block('cl'), '--expect', '2'])).toMatchObject({
    code: 0,
    stderr: '',
  });
});

describe.concurrent('after the cache Redis has lost its data, block names a replica that does not know the entry', () => {
  test('such as one that is cut off, and accepts the user', async () => {
    await using redis = await startRedis();
    await using path = await startPath(redis);
    await using replicas = await startReplicas(1, replicasConfig(authenticators, redis.url));
    const { operator, ask } = replicas;
    const behindPath = replicasConfig(authenticators, path.url);
    await using behind = await startGateway({ config: behindPath, env: operator.env });
    using client = http1Client(behind.url);
    const token = await issued('cd');
    const before = (await operator.json(...block('other'))) as Published;
    expect(before.confirmed).toHaveLength(2);
    await path.cut();
    const isSaid = () =>
      behind.output.lines.some(({ msg }) => msg.startsWith('cut off from the revocation list'));
    await waitFor(isSaid, 'it to be cut off');
    await redis.client().flushall();
    const words = ['block', '--user', 'robot:cd', '--for', '1h'];
    const { code, stdout, stderr } = await operator.run(words);
    expect([code, stdout, stderr]).toEqual([
      1,
      expect.stringMatching(/\nconfirmed by \d of 2 replicas\.\n/),
      expect.stringContaining('sallyport: not confirmed by '),
    ]);
    await waitFor(
      async () => (await ask(token)).every(({ authenticated }) => !authenticated),
      'the other to refuse',
    );
    expect([await review(client, token), await ask(token)]).toEqual([isRobot('cd'), [refused]]);
    expect(await operator.json('blocks')).toMatchObject({
      blocks: [{ name: 'robot:cd' }, { name: 'robot:other' }],
    });
  });

  test.each(['Sentinel', 'a cluster'])('behind %s', async (kind) => {
    await using resources = new AsyncDisposableStack();
    const start = async () => {
      if (kind === 'Sentinel') {
        const sentinels = resources.use(await startSentinels());
        const { addresses, name } = sentinels;
        return {
          place: { sentinels: addresses, name },
          masters: async () => [await sentinels.master()],
        };
      }
      const cluster = resources.use(await startCluster());
      const masters = () => cluster.masters();
      return {
        place: { cluster: (await masters()).map(({ port }) => `127.0.0.1:${port}`) },
        masters,
      };
    };
    const { place, masters } = await start();
    await using replicas = await startReplicas(2, replicasConfig(authenticators, place));
    const { operator, gateways } = replicas;
    const before = (await operator.json(...block('ce'))) as Published;
    expect(before.confirmed).toHaveLength(2);
    gateways[1]?.signal('SIGSTOP');
    try {
      for (const master of await masters()) await master.client().flushall();
      const { code, stdout } = await operator.run([
        'block',
        '--user',
        'robot:cf',
        '--for',
        '1h',
        '-o',
        'json',
      ]);
      const { confirmed, unconfirmed } = JSON.parse(stdout) as Published;
      const named = [...confirmed, ...unconfirmed.map(({ replica }) => replica)].sort();
      expect([code, named]).toEqual([1, before.confirmed.toSorted()]);
    } finally {
      gateways[1]?.signal('SIGCONT');
    }
    expect(((await operator.json(...block('cf'))) as Published).confirmed.toSorted()).toEqual(
      before.confirmed.toSorted(),
    );
  });
});

test.concurrent('a gateway that was killed is waited for, until another process has its place', async () => {
  await using redis = await startRedis();
  const config = replicasConfig(authenticators, redis.url);
  await using replicas = await startReplicas(1, config);
  const { operator } = replicas;
  const placed = {
    config: { ...config, admin: { listen: `127.0.0.1:${await freePort()}` } },
    env: operator.env,
  };
  const killed = await startGateway(placed);
  const before = (await operator.json(...block('cg'))) as Published;
  expect(before.confirmed).toHaveLength(2);
  await killed.kill();
  const { code, stdout } = await operator.run(['unblock', '--user', 'robot:cg', '--wait', '1s']);
  expect([code, stdout]).toEqual([1, expect.stringMatching(/\nconfirmed by \d of 2 replicas\.\n/)]);
  await using _ = await startGateway(placed);
  const after = (await operator.json(...block('cg'))) as Published;
  expect(after.confirmed).toHaveLength(2);
  expect(after.confirmed).not.toEqual(before.confirmed);
});
