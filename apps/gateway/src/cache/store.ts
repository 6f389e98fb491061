import type { Authenticated, Decision } from '@sallyport/authenticator';
import type { Source } from '../chain/chain.ts';
import type { Clocks } from '../clocks.ts';
import type { AuthenticatorCacheConfig } from '../config/types.ts';
import type { Revocations } from '../revocation/list.ts';
import type { MemoryEntries, MemoryTier } from './memory-tier.ts';
import type { Question } from './names.ts';
import { ageOf, detached, givenNow, isFresh, isUsable, type PositiveEntry, toEntry } from './record.ts';
import type { Found, RedisTier } from './redis-tier.ts';

export interface CacheSettings extends AuthenticatorCacheConfig {
  /** Of the authenticator, for metrics. */
  readonly name: string;
  readonly fingerprint: string;
  /**
   * A user may have any number of answers: each question has its own fingerprint. Only for questions that no client can
   * choose.
   */
  readonly apart?: true;
  /** What makes the backend's name the one that Kubernetes sees: revocations name users by it. */
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

export type CacheTier = Exclude<Source, 'stale'>;

export interface CacheMetrics {
  /** The result of a lookup in a tier. `invalid`: there was something that must not be believed. */
  lookup(authenticator: string, tier: CacheTier, result: Found['result'] | 'stale'): void;
  coalesced(): void;
}

/** A positive entry that may be used as a stale answer, and the tier it was found in. */
interface Candidate {
  readonly entry: PositiveEntry;
  readonly tier: CacheTier;
}

/** Both tiers as one authenticator sees them: what the store returns is neither too old nor revoked. */
export interface Store {
  /** What memory answers. */
  recall(name: string, token: string): { readonly decision: Decision } | undefined;
  /** What Redis has. A hit may be too old to be an answer, but still good as a stale one. */
  fetch(question: Question, name: string): Promise<Found>;
  isFresh(entry: PositiveEntry): boolean;
  /** @param answer with the revision that was known when the backend was asked */
  save(question: Question, name: string, answer: Answer, found: Found): void;
  /** Copies into memory what Redis had. */
  adopt(question: Question, name: string, entry: PositiveEntry): void;
  /** The youngest positive entry that is still usable while the backend can't be asked. */
  lastPositive(question: Question, name: string, found: Found): Candidate | undefined;
}

interface Answer {
  readonly decision: Decision;
  readonly revision: number;
}

type IsRevoked = (answer: Answer, token: string) => boolean;

export function createStore(settings: CacheSettings, dependencies: CacheDependencies): Store {
  const { memory, revocations, clocks, metrics } = dependencies;
  const redis = settings.store === 'shared' ? dependencies.redis : undefined;
  const isRevoked: IsRevoked = ({ decision, revision }, token) => {
    const subject = subjectOf(decision);
    return revocations.isRevoked(revision, subject === undefined ? subject : settings.usernamePrefix + subject, token);
  };
  const fresh = (entry: PositiveEntry) => isFresh(entry, settings, clocks, revocations.isCutOff);
  // An entry whose writer knew of more revocations than this replica is not used until this one knows them too. And an
  // entry may have stayed in Redis after a later refusal, because Redis was unavailable then.
  const isOutdated = (entry: PositiveEntry, token: string, { negative }: MemoryEntries) =>
    entry.revision > revocations.revision ||
    isRevoked(entry, token) ||
    (negative !== undefined && negative.answeredMonotonic > entry.answeredMonotonic);

  return {
    recall(name, token) {
      const { positive, negative } = memory.get(name);
      if (positive && fresh(positive) && !isRevoked(positive, token)) return positive;
      if (negative === undefined) return undefined;
      const lifetime = negative.decision.kind === 'rejected' ? settings.rejectedTtl : settings.unknownTtl;
      return ageOf(negative, clocks) < lifetime && !isRevoked(negative, token) ? negative : undefined;
    },
    async fetch(question, name) {
      if (redis === undefined) return { result: 'miss' };
      const read = await redis.get(question);
      const isRefuted = read.result === 'hit' && isOutdated(read.entry, question.token, memory.get(name));
      const found: Found = isRefuted ? { result: 'invalid' } : read;
      const isTooOld = found.result === 'hit' && !fresh(found.entry);
      metrics.lookup(settings.name, 'redis', isTooOld ? 'miss' : found.result);
      return found;
    },
    isFresh: fresh,
    save: createSave(settings, { memory, clocks, redis }, isRevoked),
    adopt: ({ fingerprint }, name, entry) => memory.add(name, entry, fingerprint),
    lastPositive(question, name, found) {
      const remembered = memory.get(name);
      const candidates: Candidate[] = [];
      if (remembered.positive) candidates.push({ entry: remembered.positive, tier: 'memory' });
      if (found.result === 'hit') candidates.push({ entry: found.entry, tier: 'redis' });
      return candidates
        .filter(({ entry }) => isUsable(entry, settings, clocks) && !isOutdated(entry, question.token, remembered))
        .sort((one, other) => ageOf(one.entry, clocks) - ageOf(other.entry, clocks))[0];
    },
  };
}

function createSave(
  settings: CacheSettings,
  { memory, clocks, redis }: Pick<CacheDependencies, 'memory' | 'clocks' | 'redis'>,
  isRevoked: IsRevoked,
): Store['save'] {
  // An entry keeps the lifetimes that were in force when it was given: longer ones of an edit apply to later answers.
  const lifetime = settings.authenticatedTtl + settings.staleTtl;

  function savePositive(question: Question, name: string, decision: Authenticated, revision: number): void {
    const record = { decision, revision, answeredAt: clocks.wall() };
    const entry = toEntry(record, clocks, { ...givenNow, left: lifetime });
    if (isRevoked(entry, question.token)) return;
    memory.add(name, entry, question.fingerprint);
    redis?.set(question, entry, lifetime);
  }
  return (question, name, answer, found) => {
    const { revision } = answer;
    const decision = detached(answer.decision);
    if (decision.kind === 'authenticated') {
      savePositive(question, name, decision, revision);
      return;
    }
    // Where Redis could not be read, it may hold a positive entry.
    const hadPositive = found.result !== 'miss' || memory.get(name).positive !== undefined;
    const [answeredAt, answeredMonotonic] = [clocks.wall(), clocks.monotonic()];
    memory.addNegative(name, { decision, revision, answeredAt, answeredMonotonic });
    if (hadPositive) redis?.delete(question);
  };
}

function subjectOf(decision: Decision): string | undefined {
  if (decision.kind === 'authenticated') return decision.user.username;
  return decision.kind === 'rejected' ? decision.subject : undefined;
}
