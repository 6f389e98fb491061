import type { AttemptOutcome, Attempts } from '@sallyport/authenticator';
import type { Servers } from '@sallyport/redis-connection';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { vi } from 'vitest';
import type { pause } from '../../../base/deadlines.ts';
import { socketOf } from '../../shared-redis/testing/opened-shared-redis.ts';
import { createAttempts } from '../attempts.ts';
import { maxWait } from '../local-guard.ts';
import { age } from './age.ts';
import { type OpenedGuardRedis, type OpenedOptions, openGuardRedis } from './opened-redis.ts';

export const window = 600_000;

export interface ReplicasOptions extends Omit<OpenedOptions, 'clock'> {
  readonly count?: number;
  readonly maxFailures?: number;
  readonly abandonedAfter?: number;
  /** Milliseconds by which Redis' clock is ahead. */
  readonly ahead?: () => number;
  /** How each reaches Redis. Default: over the socket of `redis`. */
  readonly servers?: Servers;
}

/** A login that has asked. */
export interface Begun {
  /** `admitted`, why it is not, or an error. */
  admission?: string;
  settle(outcome: AttemptOutcome): Promise<void>;
}

/** Guards that share one Redis, each as of a process of its own. Their clock and that of Redis stand still, but for `pass`. */
export interface Replicas extends AsyncDisposable {
  readonly settings: { maxFailures: number; window: number };
  /** Which of them are without Redis now. */
  readonly alone: Set<number>;
  /** Records that they have removed because none of them wrote these. */
  readonly foreign: { readonly count: number };
  /** Asks to send, and leaves it in progress. */
  begin(replica: number, name: string, password: string, signal?: AbortSignal): Begun;
  /** Asks to send, and settles the outcome. `sent`, `waits`, or why not. */
  send(replica: number, name: string, password: string, outcome: AttemptOutcome): Promise<string>;
  /** Those that wait for others ask once more, until no one learns anything new. */
  settled(): Promise<void>;
  /** Time passes for the replicas and for Redis, in milliseconds. */
  pass(time: number): Promise<void>;
}

export async function startReplicas(
  redis: RedisServer,
  options: ReplicasOptions = {},
): Promise<Replicas> {
  const { count = 3, maxFailures = 3, abandonedAfter, servers, ahead = () => 0, ...rest } = options;
  // Until they have heard of it, replicas take their own clock for that of Redis.
  let began = Date.now();
  const settings = { maxFailures, window };
  const alone = new Set<number>();
  const foreign = { count: 0 };
  const pauses = createPauses();
  // A millisecond passes between two calls of replicas, so that each has a time of its own.
  let now = 0;
  let news = 0;
  await using resources = new AsyncDisposableStack();
  const opened: OpenedGuardRedis[] = [];
  for (let index = 0; index < count; index++) {
    const clock = () => began + now + ahead();
    opened.push(
      resources.use(await openGuardRedis(servers ?? socketOf(redis), { clock, ...rest })),
    );
  }
  const guards = opened.map(({ shared }, index) =>
    createAttempts(() => settings, {
      now: () => now,
      shared: () => (alone.has(index) ? undefined : shared),
      onForeign: (records) => {
        foreign.count += records;
      },
      pause: pauses.pause,
      ...(abandonedAfter !== undefined && { abandonedAfter }),
    })('corp'),
  );
  began = Date.now();
  const quiet = () => Promise.all(opened.map((one) => one.quiet()));
  async function settled() {
    do {
      news = 0;
      await quiet();
      pauses.end();
      await quiet();
    } while (news > 0);
  }
  const [tick, onNews] = [() => now++, () => news++];
  const begin = beginWith(guards, tick, onNews);
  const owned = resources.move();
  return {
    settings,
    alone,
    foreign,
    begin,
    settled,
    send: sendWith(begin, settled),
    async pass(time) {
      await quiet();
      now += time;
      if (vi.isFakeTimers()) await advanceTimers(time, quiet);
      await age(redis.client(), time);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Those that have waited for too long ask Redis once more: no call is in progress while hours pass. */
async function advanceTimers(time: number, quiet: () => Promise<unknown>): Promise<void> {
  for (const part of [Math.min(time, maxWait), Math.max(0, time - maxWait)]) {
    await vi.advanceTimersByTimeAsync(part);
    await quiet();
  }
}

function sendWith(begin: Replicas['begin'], settled: () => Promise<void>): Replicas['send'] {
  return async (replica, name, password, outcome) => {
    const begun = begin(replica, name, password);
    await settled();
    await begun.settle(outcome);
    await settled();
    return begun.admission === 'admitted' ? 'sent' : (begun.admission ?? 'waits');
  };
}

function beginWith(
  guards: readonly Attempts[],
  tick: () => unknown,
  onNews: () => unknown,
): Replicas['begin'] {
  return (replica, name, password, signal) => {
    tick();
    const begun: Begun = { settle: async () => {} };
    const report = (admission: string) => {
      begun.admission = admission;
      onNews();
    };
    guards[replica]?.admit(name, password, signal).then(
      (attempt) => {
        report(attempt.admitted ? 'admitted' : attempt.reason);
        if (attempt.admitted) {
          begun.settle = (outcome) => {
            tick();
            return attempt.settle(outcome);
          };
        }
      },
      (error: Error) => report(`${error}`),
    );
    return begun;
  };
}

/** Pauses that last until the test ends them. */
function createPauses(): { readonly pause: typeof pause; end(): void } {
  const ends = new Set<() => void>();
  return {
    async pause(_, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      ends.add(resolve);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      await promise;
    },
    end() {
      for (const end of ends) end();
      ends.clear();
    },
  };
}
