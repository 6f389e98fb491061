import { randomUUID } from 'node:crypto';
import { type ManglingProxy, startManglingProxy } from '@sallyport/test-servers/mangling-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { refused as refusedByBackend } from './testing/chain.ts';
import { peakMemory } from './testing/process-memory.ts';
import { untilCached } from './testing/redis-contents.ts';
import { breakGlass, closedCircuit, isRobot, robots, startRobotGateway, unavailable } from './testing/redis-gateway.ts';
import { issue, issueHash, newToken, recordKey } from './testing/redis-tokens.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { seededRandom } from './testing/seeded-random.ts';
import type { ReviewStatus } from './testing/token-review.ts';
import { randomToken, secret, sha256 } from './testing/tokens.ts';

const seed = Number(process.env.SEED ?? 20261125);
/** `FUZZ_REVIEWS=100000` makes a long run. */
const reviews = Number(process.env.FUZZ_REVIEWS ?? 1_500);
const mangledShare = 0.15;

/** What no Redis sends unasked, or at all. The first five ended the process once, or made it hang. */
const insertions = [
  '$-1\r\n',
  '_\r\n',
  '>3\r\n_\r\n_\r\n_\r\n',
  '$!\r\n',
  '*33554431\r\n*33554431\r\n*33554431\r\n',
  '>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n',
  '>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n',
  '*-1\r\n',
  ':0\r\n',
  ':-1\r\n',
  '+OK\r\n',
  '*0\r\n',
  '-ERR no\r\n',
  '-MOVED 1 nowhere\r\n',
  '-ASK 1 __proto__\r\n',
  '-NOAUTH Authentication required.\r\n',
  '$536870912\r\n',
  '$0\r\n\r\n',
  '$17\r\n{"username":"me"}\r\n',
  '%1\r\n+a\r\n+b\r\n',
];

describe('whoever is on the wire to Redis', () => {
  test('ends no gateway with five bytes that no command asked for', async () => {
    await using redis = await startRedis();
    let isOn = false;
    const proxyOptions = { target: redis.port, random: () => 0.99, share: () => Number(isOn), insertions: ['$-1\r\n'] };
    await using proxy = await startManglingProxy(proxyOptions);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const glass = breakGlass('ada');
    const backend = await startScriptedBackend();
    await using gateway = await startCacheGateway({
      authenticators: [robots({ url, commandTimeout: '200ms' }, closedCircuit), glass.entry, shared(backend, 'corp')],
      redis: { url },
      keys: [sealingKey()],
      files: glass.files,
    });
    const token = await issue(() => redis, { username: 'ci' });
    expect(await gateway.ask(token)).toEqual(isRobot('ci'));
    isOn = true;
    for (let count = 0; count < 20; count += 1) {
      expect([isRobot('ci'), unavailable]).toContainEqual(await gateway.ask(token));
      expect((await gateway.ask(glass.token)).authenticated).toBe(true);
    }
    await gateway.gateway.waitForLog('no connection to Redis; trying again');
    expect(proxy.done.get('behind')).toBeGreaterThan(2);
    isOn = false;
    await waitFor(async () => (await gateway.ask(token)).authenticated, 'the robot to get in again');
  });

  test('lets no user in wrongly, and ends no gateway, with whatever bytes', async () => {
    await using resources = new AsyncDisposableStack();
    const redis = resources.use(await startRedis());
    const random = seededRandom(seed);
    let share = 0;
    const mangled = { target: redis.port, random, share: () => share, insertions };
    const [tokensWire, cacheWire] = [await startManglingProxy(mangled), await startManglingProxy(mangled)];
    for (const wire of [tokensWire, cacheWire]) resources.use(wire);
    const backend = await startScriptedBackend();
    const gateway = resources.use(await startFuzzed(tokensWire, cacheWire, backend));
    const people = await somePeople(redis, backend);
    // What comes first is answered right, and fills the cache.
    const untilRight = (person: Person) =>
      waitFor(async () => person.isRight(await gateway.ask(person.token)), 'a right answer');
    for (const person of people) await untilRight(person);
    share = mangledShare;
    const counts = new Map<string, number>();
    let left = reviews;
    const askOn = async () => {
      while (left-- > 0) {
        const person = people[Math.floor(random() * people.length)];
        const outcome = person?.judge(await gateway.ask(person.token)) ?? 'none';
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 20 }, askOn));
    share = 0;
    const hits = await gateway.lookups('redis', 'hit');
    console.info(`seed ${seed}:`, counts, 'tokens', tokensWire.done, 'cache', cacheWire.done, 'hits', hits);
    expect(hits).toBeGreaterThan(0);
    expect(counts.get('wrong')).toBeUndefined();
    for (const outcome of ['robot', 'unavailable', 'person', 'refused']) expect(counts.get(outcome)).toBeGreaterThan(0);
    // Everything works again with new connections, once the wire is good.
    for (const person of people) await untilRight(person);
  });
});

/** @param ask does a review that meets a value of 512 MB, the biggest that Redis has */
async function expectSmallCost(pid: number, ask: () => Promise<unknown>): Promise<void> {
  const before = await peakMemory(pid);
  for (let count = 0; count < 10; count += 1) await ask();
  const growth = (await peakMemory(pid)) - before;
  console.info(`a value of 512 MB cost ${growth.toFixed(0)} MiB`);
  // A record of 256 KiB and what is made of it, ten times.
  expect(growth).toBeLessThan(5 * 20);
}

const lastByte = 512 * 1024 * 1024 - 1;

/** Of a hash it is less, since Redis has to copy it. */
const writers = {
  json: (redis: RedisServer, key: string) => redis.client().setrange(key, lastByte, '}'),
  async hash(redis: RedisServer, key: string) {
    await redis.client().setrange('big', Math.floor(lastByte / 16), '}');
    const script = "redis.call('HSET', KEYS[1], 'username', 'ci', 'x-note', redis.call('GET', KEYS[2]))";
    return await redis.client().eval(script, 2, key, 'big');
  },
};

// Redis does nothing else while it writes such a value: gateways are started when that is done.
describe('a value of 512 MB', () => {
  test.each(['json', 'hash'] as const)('under the key of a token costs that token alone, as %s', async (layout) => {
    await using redis = await startRedis();
    const good = await (layout === 'json' ? issue : issueHash)(() => redis, { username: 'ci' });
    const bad = newToken();
    await writers[layout](redis, recordKey(bad));
    await using gateway = await startRobotGateway([robots({ url: redis.url, layout })]);
    expect(await gateway.ask(good)).toEqual(isRobot('ci'));
    await expectSmallCost(gateway.gateway.pid, async () => {
      expect(await gateway.ask(bad)).toEqual(unavailable);
      expect(await gateway.ask(good)).toEqual(isRobot('ci'));
    });
    const { reason } = await gateway.gateway.waitForLog('authenticator could not check a token');
    expect(reason).toMatch(/ is bad: is too big: at most 65536 characters are read$/);
    expect(await gateway.metric('faults_total')).toBe(0);
  });

  test('under the key of a cached answer is no answer, and the backend is asked', async () => {
    await using redis = await startRedis();
    const backend = await startScriptedBackend();
    const setup = { authenticators: [shared(backend, 'corp')], redis: { url: redis.url }, keys: [sealingKey()] };
    const token = randomToken();
    backend.answer(token, authenticated('ada'));
    await using first = await startCacheGateway(setup);
    expect((await first.ask(token)).authenticated).toBe(true);
    const [key = ''] = await untilCached(redis, 1);
    await redis.client().setrange(key, lastByte, '}');
    await using replica = await startCacheGateway(setup);
    await expectSmallCost(replica.gateway.pid, async () => {
      expect((await replica.ask(token)).authenticated).toBe(true);
    });
    expect(await replica.lookups('redis', 'invalid')).toBe(1);
    expect(await replica.metric('sallyport_redis_errors_total')).toBe(0);
  });
});

interface Person {
  readonly token: string;
  /** What came of a review in a word; `wrong`: what must never come. */
  judge(status: ReviewStatus): string;
  isRight(status: ReviewStatus): boolean;
}

/** Less fits into memory than there are people, so that Redis is asked all the time. */
function startFuzzed(tokens: ManglingProxy, cache: ManglingProxy, backend: ScriptedBackend): Promise<CacheGateway> {
  const url = (wire: ManglingProxy) => `redis://127.0.0.1:${wire.port}`;
  const robot = (layout: string) => ({ url: url(tokens), layout, commandTimeout: '200ms', keyPrefix: `${layout}:` });
  return startCacheGateway({
    authenticators: [
      robots({ ...robot('json'), tokenPrefix: 'json_' }, closedCircuit),
      robots({ ...robot('hash'), tokenPrefix: 'hash_' }, { name: 'hashed', ...closedCircuit }),
      shared(backend, 'corp', { authenticatedTtl: '1h', staleTtl: '1h' }),
    ],
    cache: { memory: { maxEntries: 100 } },
    redis: { url: url(cache), timeout: '200ms' },
    keys: [sealingKey()],
  });
}

/** Robots with and without a record, and people that the backend knows, or refuses. */
async function somePeople(redis: RedisServer, backend: ScriptedBackend): Promise<readonly Person[]> {
  const names = new Set<string>();
  const people: Person[] = [];
  for (let count = 0; count < 40; count += 1) {
    const layout = count % 2 === 0 ? 'json' : 'hash';
    const [known, unknown, rejected] = [
      secret(`${layout}_${randomToken()}`),
      secret(`${layout}_${randomToken()}`),
      randomToken(),
    ];
    const username = randomUUID();
    names.add(username);
    const key = `${layout}:${sha256(known)}`;
    if (layout === 'json') await redis.client().set(key, JSON.stringify({ username }));
    else await redis.client().hset(key, { username });
    backend.answer(rejected, refusedByBackend);
    people.push(robotOf(known, username, names), robotOf(unknown, undefined, names), personOf(rejected, undefined));
  }
  for (let count = 0; count < 150; count += 1) {
    const [token, name] = [randomToken(), randomUUID()];
    backend.answer(token, authenticated(name));
    people.push(personOf(token, name));
  }
  return people;
}

/** In clear text a name may be changed on the wire, and then it is the name of no user; but it needs a record. */
function robotOf(token: string, name: string | undefined, names: ReadonlySet<string>): Person {
  const isRight = ({ authenticated: isIn, user }: ReviewStatus) =>
    name === undefined ? !isIn : isIn && user?.username === `robot:${name}`;
  return {
    token,
    isRight,
    judge(status) {
      if (status.error !== undefined) return 'unavailable';
      if (isRight(status)) return name === undefined ? 'no robot' : 'robot';
      const shown = status.user?.username?.replace(/^robot:/, '') ?? '';
      if (status.authenticated && (name === undefined || names.has(shown))) return 'wrong';
      return status.authenticated ? 'garbled' : 'robot not found';
    },
  };
}

/** Cached answers are sealed, and the backend is healthy: each answer is right, whatever Redis says. */
function personOf(token: string, name: string | undefined): Person {
  const isRight = ({ authenticated: isIn, user, error }: ReviewStatus) =>
    error === undefined && (name === undefined ? !isIn : isIn && user?.username === name);
  return {
    token,
    isRight,
    judge: (status) => (!isRight(status) ? 'wrong' : name === undefined ? 'refused' : 'person'),
  };
}
