import {
  type AskedLogin,
  type LockoutDriver,
  type LockoutEvent,
  type LockoutOutcome,
  type LockoutRules,
  playHistory,
} from '@sallyport/test-servers/lockout-model';
import { createLockoutWriter, writerActs } from '@sallyport/test-servers/lockout-writer';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, test, vi } from 'vitest';
import { type Begun, startReplicas } from './replicas.ts';

/** Windows end between two steps, so that the time of the run itself makes no difference. Milliseconds. */
const step = 120_000;

const asked = (begun: Begun): AskedLogin => ({
  get admission() {
    const { admission } = begun;
    if (admission === 'admitted') return 'sent';
    return admission === undefined ||
      admission === 'throttled' ||
      admission === 'invalid-credentials'
      ? admission
      : 'failed';
  },
  settle: (outcome) => begun.settle(outcome),
});

interface Fleet {
  readonly of: string;
  /** The number of replicas. They share what they know, unless another client writes to that Redis. */
  readonly count: number;
  readonly maxFailures: number;
  readonly names: readonly string[];
  readonly hasWriter?: boolean;
}

const fleets: readonly Fleet[] = [
  { of: 'one process', count: 1, maxFailures: 2, names: ['jane', 'john'] },
  { of: 'one process that sends three', count: 1, maxFailures: 3, names: ['jane'] },
  { of: 'three replicas', count: 3, maxFailures: 2, names: ['jane', 'john'] },
  { of: 'three replicas that send three', count: 3, maxFailures: 3, names: ['jane'] },
  {
    of: 'two replicas, whatever someone does to the records',
    count: 2,
    maxFailures: 2,
    names: ['jane'],
    hasWriter: true,
  },
  {
    of: 'two that send three, whatever someone does',
    count: 2,
    maxFailures: 3,
    names: ['jane'],
    hasWriter: true,
  },
];

async function play(
  redis: RedisServer,
  events: readonly LockoutEvent[],
  { count, maxFailures, hasWriter = false }: Fleet,
) {
  // Those that still waited at the end of the history before would do so for ever: no time passes for them any more.
  vi.clearAllTimers();
  await redis.client().flushall();
  // No replica dies here: no attempt is given up for being in progress for long.
  await using all = await startReplicas(redis, {
    count,
    maxFailures,
    abandonedAfter: 2_000_000_000,
  });
  const rules: LockoutRules = {
    maxFailures,
    window: all.settings.window - step / 2,
    isShared: !hasWriter,
  };
  all.settings.window = rules.window;
  const writer = createLockoutWriter(redis);
  const driver: LockoutDriver = {
    begin: ({ replica, name, secret }) => asked(all.begin(replica, name, secret)),
    pass: all.pass,
    disturb: writer.write,
    async settled() {
      await all.settled();
      if (hasWriter) await writer.hear();
    },
  };
  if (count === 1) all.alone.add(0);
  await playHistory(driver, events, rules);
}

/** Makes a test of random histories for each fleet. @param title continues with the fleet. @param runs of each */
export function testHistories(title: string, runs: number): void {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());
  beforeEach(() => {
    // Logins wait for 1 s on the clock of the replicas, however slow this machine is.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  test.each(fleets)(`${title}, of $of`, (fleet) => checkRules(redis, fleet, runs));
}

/** Plays random histories of logins, and checks the rules after each event. */
async function checkRules(redis: RedisServer, fleet: Fleet, runs: number): Promise<void> {
  const { count, names, hasWriter = false } = fleet;
  const replica = fc.nat(count - 1);
  const name = fc.constantFrom(...names);
  const secret = fc.constantFrom('a', 'b', 'c', 'd');
  const login = fc.record({ replica, name, secret });
  const some = fc.array(login, { minLength: 1, maxLength: 3 });
  // Several replicas get the same secret at the same moment, each more than once.
  const equal = fc
    .tuple(name, secret, fc.array(replica, { minLength: 2, maxLength: 6 }))
    .map(([name, secret, on]) => on.map((replica) => ({ replica, name, secret })));
  const logins = fc.oneof({ weight: 2, arbitrary: some }, { weight: 1, arbitrary: equal });
  const outcome = fc.constantFrom<LockoutOutcome>(
    ...(['accepted', 'refused', 'refused', 'unavailable', 'unanswered'] as const),
  );
  const event = fc.oneof<fc.WeightedArbitrary<LockoutEvent>[]>(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('begin'), logins }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), index: fc.nat(30), outcome }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('pass'),
        time: fc.integer({ min: 1, max: 4 }).map((n) => n * step),
      }),
    },
    {
      weight: hasWriter ? 2 : 0,
      arbitrary: fc.record({ do: fc.constant('disturb'), how: fc.constantFrom(...writerActs) }),
    },
  );
  // Long ones: in a short one hardly any subject is locked out, or known.
  const histories = fc.array(event, { minLength: 30, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(histories, (events) => play(redis, events, fleet)),
    { numRuns: runs },
  );
}
