import type { Authenticator, Decision } from '@sallyport/authenticator';
import type { Clocks } from '../../../base/clocks.ts';
import type { CacheLifetimes } from '../../../config/types.ts';
import type { AnswerSource, LinkContext } from '../../chain/chain.ts';
import type { Revocations } from '../../revocation/list.ts';
import type { SharedRedis } from '../../shared-redis/shared-redis.ts';
import { createMemoryTier, type MemoryTier } from '../memory-tier.ts';
import { createRedisTier } from '../redis-tier.ts';
import { type CacheSettings, withCache } from '../with-cache.ts';

export const minute = 60_000;
export const hour: number = 60 * minute;

/** Clocks that stand still until they are moved. */
export interface TestClocks extends Clocks {
  /** Time passes. Milliseconds. */
  pass(time: number): void;
  /** The wall clock is set by this many milliseconds. */
  set(by: number): void;
}

export function createClocks(): TestClocks {
  let [monotonic, wall] = [5_000_000, Date.UTC(2030, 0)];
  return {
    monotonic: () => monotonic,
    wall: () => wall,
    pass(time) {
      monotonic += time;
      wall += time;
    },
    set(by) {
      wall += by;
    },
  };
}

/** A revocation list that a test sets. */
export interface TestRevocations extends Revocations {
  revision: number;
  isCutOff: boolean;
  /** The revisions of revocations, by the username that Kubernetes sees, or by token. */
  readonly revoked: Map<string, number>;
}

export function createRevocations(): TestRevocations {
  const revoked = new Map<string, number>();
  return {
    revision: 0,
    isCutOff: false,
    revoked,
    isRevoked: (since, username, token) =>
      Math.max(revoked.get(username ?? '') ?? 0, revoked.get(token) ?? 0) > since,
  };
}

export interface CachedReplicaOptions {
  readonly settings?: Partial<CacheSettings>;
  readonly shared?: SharedRedis;
  readonly clocks?: TestClocks;
  readonly memory?: MemoryTier;
  /** The backend behind the cache. `answer` of the replica can replace it. */
  readonly answer?: Backend;
  readonly asksAlways?: boolean;
}

type Backend = (
  token: string,
  audiences: readonly string[],
  signal: AbortSignal,
) => Decision | Promise<Decision>;

interface Answered {
  readonly decision: Decision;
  /** Undefined when the backend gave it. */
  readonly source: AnswerSource | undefined;
  readonly failure: unknown;
  readonly until: unknown;
}

/** One process with one authenticator, its cache, and what is behind it. */
export interface CachedReplica {
  readonly clocks: TestClocks;
  readonly memory: MemoryTier;
  readonly revocations: TestRevocations;
  readonly authenticator: Authenticator;
  /** How often the backend was asked. */
  readonly asked: number;
  answer: Backend;
  /** `tier result`, with the tier of each look, and `coalesced`. */
  readonly looks: string[];
  /** Every label that a metric was given. */
  readonly labels: ReadonlySet<string>;
  ask(token?: string, audiences?: readonly string[], signal?: AbortSignal): Promise<Answered>;
  /** The source of the answer, or `backend`, then the username or the kind of the decision: `memory: jane`. */
  outcome(token?: string, audiences?: readonly string[]): Promise<string>;
}

export const lifetimes: CacheLifetimes = {
  authenticatedTtl: 5 * minute,
  rejectedTtl: 20_000,
  unknownTtl: 10_000,
  staleTtl: 30 * minute,
};

export const never: AbortSignal = new AbortController().signal;

export function authenticated(
  username = 'jane',
  more: { expiresAt?: Date; groups?: string[] } = {},
): Decision {
  const { groups, ...rest } = more;
  return { kind: 'authenticated', user: { username, ...(groups && { groups }) }, ...rest };
}
export const noOpinion: Decision = { kind: 'no-opinion' };
export const rejected: Decision = {
  kind: 'rejected',
  reason: 'invalid-credentials',
  subject: 'jane',
};

export function createReplica(options: CachedReplicaOptions = {}): CachedReplica {
  const {
    clocks = createClocks(),
    memory = createMemoryTier(1_000),
    shared,
    asksAlways = false,
  } = options;
  const revocations = createRevocations();
  const looks: string[] = [];
  const labels = new Set<string>();
  const metrics = {
    lookup(...[authenticator, tier, result]: [string, string, string]) {
      looks.push(`${tier} ${result}`);
      for (const label of [authenticator, tier, result]) labels.add(label);
    },
    coalesced: () => void looks.push('coalesced'),
  };
  const settings = {
    ...lifetimes,
    store: 'shared',
    name: 'corp',
    fingerprint: 'one',
    usernamePrefix: '',
  } as const;
  const inner: Authenticator = {
    async authenticate(token, { audiences, signal }) {
      asked += 1;
      return replica.answer(token, audiences, signal);
    },
    close: async () => {},
  };
  const redis = shared && createRedisTier(shared, clocks);
  const dependencies = { memory, redis, revocations, clocks, metrics, asksAlways };
  const authenticator = withCache(inner, { ...settings, ...options.settings }, dependencies);
  let asked = 0;
  const replica: CachedReplica = {
    clocks,
    memory,
    revocations,
    authenticator,
    get asked() {
      return asked;
    },
    answer: options.answer ?? (() => authenticated()),
    looks,
    labels,
    ask: (token = 'token', audiences = [], signal = never) =>
      ask(authenticator, token, { audiences, signal }),
    async outcome(token, audiences) {
      const { decision, source = 'backend' } = await replica.ask(token, audiences);
      return `${source}: ${decision.kind === 'authenticated' ? decision.user.username : decision.kind}`;
    },
  };
  return replica;
}

async function ask(
  authenticator: Authenticator,
  token: string,
  context: LinkContext,
): Promise<Answered> {
  let [source, failure, until]: [AnswerSource | undefined, unknown, unknown] = [
    undefined,
    undefined,
    undefined,
  ];
  const decision = await authenticator.authenticate(token, {
    ...context,
    onCached(...given: [AnswerSource, unknown, unknown]) {
      [source, failure, until] = given;
    },
  } as LinkContext);
  return { decision, source, failure, until };
}
