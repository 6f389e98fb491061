import { randomUUID } from 'node:crypto';
import { type ManglingProxy, startManglingProxy } from '@sallyport/test-servers/mangling-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { issue, issueHash, newToken, recordKey } from '@sallyport/test-servers/redis-tokens';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import {
  type CacheGateway,
  sealingKey,
  shared,
  startCacheGateway,
} from './testing/cache-gateway.ts';
import { refusal } from './testing/chain.ts';
import { untilCached } from './testing/redis-contents.ts';
import {
  closedCircuit,
  isRobot,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { seededRandom } from './testing/seeded-random.ts';
import type { ReviewStatus } from './testing/token-review.ts';

const seed = Number(process.env.SEED ?? 20261125);
/** `FUZZ_REVIEWS=100000` makes a long run. */
const reviews = Number(process.env.FUZZ_REVIEWS ?? 1_500);
const mangledShare = 0.15;

/** Replies that no Redis sends unasked, or at all. The first five once ended the process, or made it hang. */
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

test('whoever is on the wire to Redis lets no user in wrongly, and ends no gateway, with whatever bytes', async () => {
  await using resources = new AsyncDisposableStack();
  const redis = resources.use(await startRedis());
  const random = seededRandom(seed);
  let share = 0;
  const mangled = { target: redis.port, random, share: () => share, insertions };
  const [tokensWire, cacheWire] = [
    await startManglingProxy(mangled),
    await startManglingProxy(mangled),
  ];
  for (const wire of [tokensWire, cacheWire]) resources.use(wire);
  const backend = await startScriptedBackend();
  const gateway = resources.use(await startFuzzed(tokensWire, cacheWire, backend));
  const people = await somePeople(redis, backend);
  // The first answers are right, and fill the cache.
  const untilRight = (person: Person) =>
    waitFor(async () => person.isRight(await gateway.ask(person.token)), 'a right answer');
  for (const person of people) await untilRight(person);
  share = mangledShare;
  const counts = new Map<string, number>();
  const askSome = async () => {
    let left = reviews;
    const askOn = async () => {
      while (left-- > 0) {
        const person = people[Math.floor(random() * people.length)];
        const outcome = person?.outcomeOf(await gateway.ask(person.token)) ?? 'none';
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 20 }, askOn));
  };
  // While a machine is so slow that both give Redis up, nothing that is mangled comes to the gateway.
  await waitFor(async () => {
    await askSome();
    const isSeen = ['robot', 'unavailable', 'person', 'refused'].every(
      (outcome) => (counts.get(outcome) ?? 0) > 0,
    );
    return isSeen && (await gateway.lookups('redis', 'hit')) > 0;
  }, 'all outcomes, and cached answers from Redis');
  share = 0;
  console.info(`seed ${seed}:`, counts, 'tokens', tokensWire.done, 'cache', cacheWire.done);
  expect(counts.get('wrong')).toBeUndefined();
  // Everything works again with new connections, once the wire is good.
  for (const person of people) await untilRight(person);
});

/** The size of a value that others write, in bytes. It is far more than the 64 KiB that are read of one. */
const size = 8 * 1024 * 1024;

/** Counts the bytes that Redis has sent so far, to all its clients. */
async function sentBy(redis: RedisServer): Promise<number> {
  const info = await redis.client().info('stats');
  return Number(/^total_net_output_bytes:(\d+)/m.exec(info)?.[1]);
}

const writers = {
  json: (redis: RedisServer, key: string) => redis.client().setrange(key, size, '}'),
  async hash(redis: RedisServer, key: string) {
    await redis.client().setrange('big', size, '}');
    const script =
      "redis.call('HSET', KEYS[1], 'username', 'ci', 'x-note', redis.call('GET', KEYS[2]))";
    return await redis.client().eval(script, 2, key, 'big');
  },
};

describe('a value of 8 MiB', () => {
  test.each(['json', 'hash'] as const)(
    'under the key of a token costs that token alone, as %s',
    async (layout) => {
      await using redis = await startRedis();
      const good = await (layout === 'json' ? issue : issueHash)(() => redis, { username: 'ci' });
      const bad = newToken();
      await writers[layout](redis, recordKey(bad));
      await using gateway = await startRobotGateway([
        robots({ url: redis.url, layout, commandTimeout: '8s' }, { timeout: '9s' }),
      ]);
      const before = await sentBy(redis);
      for (let count = 0; count < 10; count += 1) {
        expect(await gateway.ask(bad)).toEqual(unavailable);
        expect(await gateway.ask(good)).toEqual(isRobot('ci'));
      }
      expect((await sentBy(redis)) - before).toBeLessThan(size);
      const { reason } = await gateway.gateway.waitForLog('authenticator could not check a token');
      expect(reason).toMatch(/ is bad: is too big: at most 65536 characters are read$/);
      expect(await gateway.metric('errors_total')).toBe(0);
    },
  );

  test('under the key of a cached answer is no answer, and the backend is asked', async () => {
    await using redis = await startRedis();
    const backend = await startScriptedBackend();
    const setup = {
      authenticators: [shared(backend, 'corp')],
      redis: { url: redis.url },
      keys: [sealingKey()],
    };
    const token = randomToken();
    backend.answer(token, authenticated('ada'));
    await using first = await startCacheGateway(setup);
    expect((await first.ask(token)).authenticated).toBe(true);
    const [key = ''] = await untilCached(redis, 1);
    await redis.client().setrange(key, size, '}');
    await using replica = await startCacheGateway(setup);
    const before = await sentBy(redis);
    expect((await replica.ask(token)).authenticated).toBe(true);
    expect((await sentBy(redis)) - before).toBeLessThan(size);
    expect(await replica.lookups('redis', 'invalid')).toBe(1);
    expect(await replica.metric('sallyport_redis_errors_total')).toBe(0);
  });
});

interface Person {
  readonly token: string;
  /** The outcome of a review in a word. `wrong` must never come. */
  outcomeOf(status: ReviewStatus): string;
  isRight(status: ReviewStatus): boolean;
}

/** Starts a gateway whose memory holds fewer answers than there are people, so that Redis is asked all the time. */
function startFuzzed(
  tokens: ManglingProxy,
  cache: ManglingProxy,
  backend: ScriptedBackend,
): Promise<CacheGateway> {
  const url = (wire: ManglingProxy) => `redis://127.0.0.1:${wire.port}`;
  const robot = (layout: string) => ({
    url: url(tokens),
    layout,
    commandTimeout: '200ms',
    keyPrefix: `${layout}:`,
  });
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

/** Makes robots with and without a record, and people that the backend knows, or refuses. */
async function somePeople(
  redis: RedisServer,
  backend: ScriptedBackend,
): Promise<readonly Person[]> {
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
    backend.answer(rejected, refusal);
    people.push(
      robotOf(known, username, names),
      robotOf(unknown, undefined, names),
      personOf(rejected, undefined),
    );
  }
  for (let count = 0; count < 150; count += 1) {
    const [token, name] = [randomToken(), randomUUID()];
    backend.answer(token, authenticated(name));
    people.push(personOf(token, name));
  }
  return people;
}

/** Makes a robot. In clear text its name may be changed on the wire, to that of no user. It still needs a record. */
function robotOf(token: string, name: string | undefined, names: ReadonlySet<string>): Person {
  const isRight = ({ authenticated: isIn, user }: ReviewStatus) =>
    name === undefined ? !isIn : isIn && user?.username === `robot:${name}`;
  return {
    token,
    isRight,
    outcomeOf(status) {
      if (status.error !== undefined) return 'unavailable';
      if (isRight(status)) return name === undefined ? 'no robot' : 'robot';
      const shown = status.user?.username?.replace(/^robot:/, '') ?? '';
      if (status.authenticated && (name === undefined || names.has(shown))) return 'wrong';
      return status.authenticated ? 'garbled' : 'robot not found';
    },
  };
}

/** Makes a person. Cached answers are sealed and the backend is healthy, so each answer is right. */
function personOf(token: string, name: string | undefined): Person {
  const isRight = ({ authenticated: isIn, user, error }: ReviewStatus) =>
    error === undefined && (name === undefined ? !isIn : isIn && user?.username === name);
  return {
    token,
    isRight,
    outcomeOf: (status) => (!isRight(status) ? 'wrong' : name === undefined ? 'refused' : 'person'),
  };
}
