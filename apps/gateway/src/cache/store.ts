import type { Authenticated, Decision } from '@sallyport/authenticator';
import type { Clocks } from '../clocks.ts';
import type { AuthenticatorCacheConfig } from '../config/types.ts';
import type { Revocations } from '../revocation/types.ts';
import { detached } from './detached.ts';
import { ageOf, isFresh, isUsable, type Kept, keep, newest } from './kept.ts';
import type { KeptNegative, MemoryTier, Remembered } from './memory-tier.ts';
import type { Question } from './names.ts';
import type { Found, RedisTier } from './redis-tier.ts';
import type { CacheMetrics, CacheTier } from './types.ts';

export interface CacheSettings extends AuthenticatorCacheConfig {
  /** Of the authenticator, for metrics. */
  readonly name: string;
  readonly fingerprint: string;
  /** Makes of the backend's name the one that Kubernetes sees: revocations are told in these. */
  readonly usernamePrefix: string;
}

export interface CacheDependencies {
  readonly memory: MemoryTier;
  /** Left out: memory alone. */
  readonly redis?: RedisTier | undefined;
  readonly revocations: Revocations;
  readonly clocks: Clocks;
  readonly metrics: CacheMetrics;
}

/** A yes that may stand in for an answer, and the tier it was found in. */
interface Candidate {
  readonly kept: Kept;
  readonly tier: CacheTier;
}

/** Both tiers as one authenticator sees them: what it gives out is neither too old nor revoked. */
export interface Store {
  /** What memory answers. */
  recall(name: string, token: string): { readonly decision: Decision } | undefined;
  /** What Redis has. A hit may be too old to be an answer, and then still be a last yes. */
  fetch(question: Question, name: string): Promise<Found>;
  isFresh(kept: Kept): boolean;
  /** @param revision that was known when the backend was asked */
  keep(question: Question, name: string, answer: { decision: Decision; revision: number }, found: Found): void;
  /** Puts into memory what Redis had. */
  adopt(name: string, kept: Kept): void;
  /** The youngest yes that still holds while the backend can't be asked. */
  lastYes(question: Question, name: string, found: Found): Candidate | undefined;
}

export function createStore(settings: CacheSettings, dependencies: CacheDependencies): Store {
  const { memory, revocations, clocks, metrics } = dependencies;
  const redis = redisOf(settings, dependencies);
  const isRevoked = createRevokedCheck(settings, dependencies);
  const fresh = (kept: Kept) => isFresh(kept, settings, clocks, revocations.isCutOff);
  // One that was made knowing of more revocations than this replica does is left until this one knows them too. And of a
  // later no Redis may not have been told, in an outage.
  const isOutdated = (kept: Kept, token: string, { no }: Remembered) =>
    kept.revision > revocations.revision ||
    isRevoked(kept, token) ||
    (no !== undefined && no.answeredMonotonic > kept.answeredMonotonic);
  const usable = (kept: Kept) => isUsable(kept, settings, clocks);

  return {
    recall(name, token) {
      const { yes, no } = memory.get(name);
      if (yes && fresh(yes) && !isRevoked(yes, token)) return yes;
      return no && ageOf(no, clocks) < lifetimeOf(no, settings) && !isRevoked(no, token) ? no : undefined;
    },
    async fetch(question, name) {
      if (redis === undefined) return { result: 'miss' };
      const read = await redis.get(question);
      const isRefuted = read.result === 'hit' && isOutdated(read.kept, question.token, memory.get(name));
      const found: Found = isRefuted ? { result: 'invalid' } : read;
      const isTooOld = found.result === 'hit' && !fresh(found.kept);
      metrics.lookup(settings.name, 'redis', isTooOld ? 'miss' : found.result);
      return found;
    },
    isFresh: fresh,
    keep: createKeep(settings, dependencies, isRevoked),
    adopt(name, kept) {
      memory.add(name, kept, settings.fingerprint);
    },
    lastYes(question, name, found) {
      const remembered = memory.get(name);
      const { yes } = remembered;
      const candidates: Candidate[] = [
        ...(yes === undefined ? [] : [{ kept: yes, tier: 'memory' } as const]),
        ...(found.result === 'hit' ? [{ kept: found.kept, tier: 'redis' } as const] : []),
      ];
      return candidates
        .filter(({ kept }) => usable(kept) && !isOutdated(kept, question.token, remembered))
        .sort((one, other) => ageOf(one.kept, clocks) - ageOf(other.kept, clocks))[0];
    },
  };
}

function createKeep(settings: CacheSettings, dependencies: CacheDependencies, isRevoked: IsRevoked): Store['keep'] {
  const { memory, clocks } = dependencies;
  const redis = redisOf(settings, dependencies);
  // Under the lifetimes that it was given: longer ones that an edit brings are for answers to come.
  const given = { ...newest, left: settings.authenticatedTtl + settings.staleTtl };

  function keepYes(question: Question, name: string, decision: Authenticated, revision: number): void {
    const kept = keep({ decision, revision, answeredAt: clocks.wall() }, clocks, given);
    if (isRevoked(kept, question.token)) return;
    memory.add(name, kept, settings.fingerprint);
    redis?.set(question, kept, settings.authenticatedTtl + settings.staleTtl);
  }
  return (question, name, { decision: given, revision }, found) => {
    const decision = detached(given);
    if (decision.kind === 'authenticated') {
      keepYes(question, name, decision, revision);
      return;
    }
    // Where Redis could not be read, there may be a yes in it.
    const hadYes = found.result !== 'miss' || memory.get(name).yes !== undefined;
    const [answeredAt, answeredMonotonic] = [clocks.wall(), clocks.monotonic()];
    memory.addNegative(name, { decision, revision, answeredAt, answeredMonotonic });
    if (hadYes) redis?.delete(question);
  };
}

function redisOf({ store }: CacheSettings, { redis }: CacheDependencies): RedisTier | undefined {
  return store === 'shared' ? redis : undefined;
}

interface Answer {
  readonly decision: Decision;
  readonly revision: number;
}

type IsRevoked = (answer: Answer, token: string) => boolean;

/** Revocations are told in names as Kubernetes sees them. */
function createRevokedCheck({ usernamePrefix }: CacheSettings, { revocations }: CacheDependencies): IsRevoked {
  return ({ decision, revision }, token) => {
    const name = subjectOf(decision);
    return revocations.isRevoked(revision, name === undefined ? undefined : usernamePrefix + name, token);
  };
}

function subjectOf(decision: Decision): string | undefined {
  if (decision.kind === 'authenticated') return decision.user.username;
  return decision.kind === 'rejected' ? decision.subject : undefined;
}

function lifetimeOf({ decision }: KeptNegative, { rejectedTtl, unknownTtl }: CacheSettings): number {
  return decision.kind === 'rejected' ? rejectedTtl : unknownTtl;
}
