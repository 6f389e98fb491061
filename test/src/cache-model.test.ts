import {
  createCacheModel,
  type ListedEntry,
  newReplicaFacts,
} from '@sallyport/test-servers/cache-model';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type CacheSetup,
  sealingKey,
  shared,
  startCacheGateway,
  startCacheReplicas,
} from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import { type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';

/** Lifetimes in milliseconds. They are short, so that answers end during the test. */
const lifetimes = { authenticatedTtl: 2_000, rejectedTtl: 300, unknownTtl: 300, staleTtl: 2_000 };

const users = ['jane', 'john'];
const tokens = [randomToken(), randomToken(), randomToken()];

const gateway = fc.nat(1);
const token = fc.constantFrom(...tokens);
const subject = fc.oneof(
  fc.record({ kind: fc.constant('user' as const), name: fc.constantFrom(...users) }),
  fc.record({ kind: fc.constant('token' as const), name: token }),
);
const good = fc.record({
  kind: fc.constant('authenticated' as const),
  username: fc.constantFrom(...users),
  groups: fc.constant([]),
  lifetime: fc.constantFrom(1_000, 60_000, 60_000, 60_000),
});
const state = fc.oneof(
  { weight: 4, arbitrary: good },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rejected' as const) }) },
);

const kinds = {
  review: [60, { gateway, token }],
  set: [10, { token, state }],
  outlast: [3, {}],
  down: [6, { isDown: fc.boolean() }],
  revoke: [2, { subject: fc.oneof(subject, fc.constant({ kind: 'all' as const, name: '' })) }],
  block: [2, { subject }],
  unblock: [2, { subject }],
  redis: [2, { isUp: fc.boolean() }],
  flush: [1, {}],
  restart: [1, { gateway, isKilled: fc.boolean() }],
  reload: [2, { gateway }],
} as const;
type Kinds = typeof kinds;
type Step = {
  [Kind in keyof Kinds]: { do: Kind } & {
    [Key in keyof Kinds[Kind][1]]: Kinds[Kind][1][Key] extends fc.Arbitrary<infer Value>
      ? Value
      : never;
  };
}[keyof Kinds];
const step = fc.oneof(
  ...Object.entries(kinds).map(([kind, [weight, values]]) => ({
    weight,
    arbitrary: fc.record<object>(values).map((made) => ({ do: kind, ...made }) as Step),
  })),
);

/** Starts two gateways and one Redis. The model checks what is done to them. */
async function startDriver(backend: ScriptedBackend, redis: RedisServer) {
  const model = createCacheModel(lifetimes);
  const cache = Object.fromEntries(
    Object.entries(lifetimes).map(([name, time]) => [name, `${time}ms`]),
  );
  const authenticators = [shared(backend, 'corp', cache, { circuit: { minimumCalls: 1_000_000 } })];
  const setup: CacheSetup = { authenticators, redis: { url: redis.url }, keys: [sealingKey()] };
  const gateways = [...(await startCacheReplicas(2, setup)).replicas];
  // The test does not see when a replica last read the list.
  const facts = gateways.map(() => newReplicaFacts(0, Number.POSITIVE_INFINITY));
  const at = <One>(all: readonly One[], index: number): One => all[index] as One;

  /** Makes the answer of the backend when it is asked, since a positive answer may carry its end. */
  function prepare(asked: string) {
    const given = model.ask(asked, Date.now());
    if (model.isDown) backend.answer(asked, { kind: 'throw', code: 'unavailable' });
    else if (given === undefined) backend.answer(asked, { kind: 'rejected', reason: 'revoked' });
    else {
      const { username, expiresAt = 0 } = given;
      backend.answer(asked, {
        kind: 'authenticated',
        user: { username },
        expiresAt: new Date(expiresAt),
      });
    }
    return given;
  }

  const driver = {
    model,
    async review(index: number, asked: string): Promise<void> {
      const [given, calls, began] = [prepare(asked), backend.callsOf(asked).length, Date.now()];
      const { authenticated, user, error } = await at(gateways, index).ask(asked);
      const isAsked = backend.callsOf(asked).length > calls && !model.isDown;
      const ended = Date.now();
      if (given && isAsked) model.arrive(given, ended);
      const refusal = error === undefined ? ({ kind: 'rejected' } as const) : undefined;
      const decision = authenticated && user ? ({ kind: 'authenticated', user } as const) : refusal;
      const answer = { decision, source: isAsked ? 'backend' : 'cached' } as const;
      const own = at(facts, index);
      model.check(
        { token: asked, audiences: [], began, ended, knownAtFirst: own.known, answer },
        own,
      );
    },
    async reviewAll(all: readonly string[] = tokens): Promise<void> {
      for (const index of gateways.keys()) for (const each of all) await driver.review(index, each);
    },
    async publish(
      action: ListedEntry['action'],
      { kind, name }: Pick<ListedEntry, 'kind' | 'name'>,
    ): Promise<void> {
      const isBlock = (one: ListedEntry) =>
        one.action === 'block' && one.kind === kind && one.name === name;
      if (action === 'unblock' && ![...model.doubted, ...at(facts, 0).known].some(isBlock)) return;
      const entry = { action, kind, name, at: Date.now(), until: Date.now() + 3_600_000 };
      model.doubted.add(entry);
      const choice = {
        user: ['--user', name],
        token: ['--token'],
        all: ['--all'],
        group: ['--group', name],
      }[kind];
      const run = [
        action,
        ...choice,
        ...(action === 'block' ? ['--for', '1h'] : []),
        '--config',
        'gateway.yaml',
      ];
      const { code } = await runCommand(
        run,
        { cwd: at(gateways, 0).gateway.folder },
        kind === 'token' ? name : '',
      );
      // It exits with 3 if no token was issued, and every replica has forgotten what it had cached.
      if (code !== 0 && code !== 3) return;
      for (const { known } of facts) known.add(entry);
      model.doubted.delete(entry);
    },
    /** Waits until all that is cached has ended, and makes a token that ends before any cache forgets it. */
    async outlast(): Promise<void> {
      const [short, user] = [
        randomToken(),
        { kind: 'authenticated', username: 'ada', groups: [] } as const,
      ];
      model.set(short, { ...user, lifetime: 1_000 });
      await driver.reviewAll([short]);
      model.set(short, { kind: 'rejected' });
      const ended = Date.now() + 1_000;
      await waitFor(() => Date.now() >= ended, 'the end of a token');
      await driver.reviewAll([short]);
      const last = Math.max(...model.given.map((given) => given.at));
      await waitFor(
        () => Date.now() >= last + lifetimes.authenticatedTtl,
        'the end of what is cached',
      );
    },
    /** Empties Redis, and waits for what the gateways write back: one that starts before that can't know of it. */
    async flush(): Promise<void> {
      const [client, list] = [redis.client(), 'sallyport:{revocations}:list'];
      const before = await client.hlen(list);
      await client.flushall();
      await waitFor(
        async () => (await client.hlen(list)) >= before,
        'the revocation list to be written back',
      );
    },
    /** Ends a gateway, by a kill or not, and starts another in its place. */
    async restart(index: number, isKilled: boolean): Promise<void> {
      if (isKilled) await at(gateways, index).gateway.kill();
      await at(gateways, index)[Symbol.asyncDispose]();
      gateways[index] = await startCacheGateway(setup);
      at(facts, index).refusals.clear();
    },
    reload: (index: number) => at(gateways, index).reconfigure({}),
    async [Symbol.asyncDispose]() {
      for (const one of gateways) await one[Symbol.asyncDispose]();
    },
  };
  return driver;
}

async function take(
  one: Step,
  driver: Awaited<ReturnType<typeof startDriver>>,
  redis: RedisServer,
): Promise<void> {
  switch (one.do) {
    case 'review':
      return driver.review(one.gateway, one.token);
    case 'set':
      return driver.model.set(one.token, one.state);
    case 'down':
      driver.model.isDown = one.isDown;
      return;
    case 'outlast':
      return driver.outlast();
    case 'redis':
      if (one.isUp !== redis.isRunning) await (one.isUp ? redis.start() : redis.stop());
      return;
    case 'flush':
      return redis.isRunning ? driver.flush() : undefined;
    case 'restart':
      // A gateway that starts without Redis can't know who is blocked.
      return redis.isRunning ? driver.restart(one.gateway, one.isKilled) : undefined;
    case 'reload':
      return driver.reload(one.gateway);
    default:
      await driver.publish(one.do, one.subject);
      return driver.reviewAll();
  }
}

const stepCount = 200;

test('in any order of events no gateway lets a user in without an answer of the backend, when blocked, or too late', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  await using driver = await startDriver(backend, redis);
  const { accepts, set } = driver.model;
  const steps = fc.sample(step, { numRuns: stepCount, seed: 20_300_101 });
  for (const [at, one] of tokens.entries())
    set(one, {
      kind: 'authenticated',
      username: users[at % users.length] ?? '',
      groups: [],
      lifetime: 60_000,
    });
  for (const [at, one] of steps.entries()) {
    await take(one, driver, redis).catch((cause: unknown) => {
      const trail = steps.slice(Math.max(0, at - 40), at + 1).map((taken) => JSON.stringify(taken));
      throw new Error(`step ${at}, after\n${trail.join('\n')}`, { cause });
    });
  }
  console.log(`${stepCount} steps, accepts: ${JSON.stringify(Object.fromEntries(accepts))}`);
  // Without these, the steps would show nothing.
  for (const source of ['backend', 'cached'] as const)
    expect(accepts.get(source)).toBeGreaterThan(5);
});
