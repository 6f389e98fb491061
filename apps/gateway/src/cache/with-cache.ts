import type { Authenticator, Decision } from '@sallyport/authenticator';
import { after } from '../chain/answer.ts';
import type { LinkContext, Source } from '../chain/chain.ts';
import { layer } from '../chain/layer.ts';
import type { Clocks } from '../clocks.ts';
import type { AuthenticatorCacheConfig } from '../config/types.ts';
import type { Revocations } from '../revocation/list.ts';
import { inSpan, isTracing } from '../tracing/in-span.ts';
import type { MemoryTier } from './memory-tier.ts';
import type { Question } from './names.ts';
import { ageOf, detached, endOfUse, isFresh, isUsable, type PositiveEntry, toEntry } from './record.ts';
import type { Found, RedisTier } from './redis-tier.ts';
import { createSingleFlight } from './single-flight.ts';

export interface CacheSettings extends AuthenticatorCacheConfig {
  /** Of the authenticator, for metrics. */
  readonly name: string;
  readonly fingerprint: string;
  /** How many answers one user may have. Left out: `maxAnswersOfUser`. */
  readonly maxOfUser?: number;
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
  /** For `explain`: the backend is always asked, and what is cached is used only where it can't be. Left out: false. */
  readonly asksAlways?: boolean;
}

export type CacheTier = Exclude<Source, 'stale'>;

export interface CacheMetrics {
  /** The result of a lookup in a tier. `invalid`: there was something that must not be believed. */
  lookup(authenticator: string, tier: CacheTier, result: Found['result'] | 'stale'): void;
  coalesced(): void;
}

type Lookup = Pick<LinkContext, 'signal' | 'hops' | 'trace'>;

interface Answered {
  readonly decision: Decision;
  /** Left out: the backend's. */
  readonly source?: Source;
  readonly failure?: unknown;
  /** When a stale one can be used no more. */
  readonly until?: number;
}

/**
 * Caches the answers of one authenticator, in the memory of this process and in the Redis of all replicas. Each process
 * looks up a cold question once, however many callers ask. A throw is never cached; while it lasts, the last positive
 * answer is used (`stale`) for `staleTtl` beyond its lifetime. An answer that was revoked after its lookup began is not
 * used, wherever it is cached.
 */
export function withCache(inner: Authenticator, settings: CacheSettings, dependencies: CacheDependencies) {
  const { memory, metrics, revocations, clocks } = dependencies;
  const store = createStore(settings, dependencies);
  const singleFlight = createSingleFlight<Answered>(metrics.coalesced);

  async function lookUp(question: Question, name: string, context: Lookup): Promise<Answered> {
    const found = await store.fetch(question, name);
    if (found.result !== 'hit' || !store.isFresh(found.entry)) return ask(question, name, found, context);
    memory.add(name, found.entry, question.fingerprint, settings.maxOfUser);
    return { decision: found.entry.decision, source: 'redis' };
  }

  async function ask(question: Question, name: string, found: Found, context: Lookup): Promise<Answered> {
    const { signal, hops, trace } = context;
    const { revision } = revocations;
    let decision: Decision;
    try {
      const own = { audiences: question.audiences, signal, hops, ...(trace && { trace }) };
      decision = await inner.authenticate(question.token, own);
    } catch (error) {
      const last = signal.aborted ? undefined : store.lastPositive(question, name, found);
      if (last === undefined) throw error;
      metrics.lookup(settings.name, last.tier, 'stale');
      const until = endOfUse(last.entry, settings, clocks);
      return { decision: last.entry.decision, source: 'stale', failure: error, until };
    }
    store.save(question, name, decision, revision, found);
    return { decision };
  }

  function answer(token: string, context: LinkContext): Answered | Promise<Answered> {
    const { audiences, hops } = context;
    const question = { token, audiences, fingerprint: settings.fingerprint };
    const name = memory.nameOf(question);
    const remembered = store.recall(name, token);
    metrics.lookup(settings.name, 'memory', remembered === undefined ? 'miss' : 'hit');
    if (remembered !== undefined) return { decision: remembered.decision, source: 'memory' };
    // A review that came back here would wait for its own lookup.
    const flight = hops === undefined ? name : `${name} ${hops}`;
    const { trace } = context;
    return singleFlight.join(flight, revocations.revision, context.signal, (signal) =>
      lookUp(question, name, { signal, hops, ...(trace && { trace }) }),
    );
  }
  const answerInSpan = (token: string, context: LinkContext): Promise<Answered> =>
    inSpan('cache', {}, async (span) => {
      const answered = await answer(token, context);
      span.set({ 'sallyport.source': answered.source ?? 'backend' });
      return answered;
    });
  const decide = ({ decision, source, failure, until }: Answered, context: LinkContext): Decision => {
    if (source !== undefined) context.onCached?.(source, failure, until);
    return decision;
  };

  return layer(inner, (token, context) => {
    const answered = isTracing() ? answerInSpan(token, context) : answer(token, context);
    return after(answered, (given) => decide(given, context));
  });
}

/** What keeps an answer from being used. */
function createRules(settings: CacheSettings, { revocations, clocks, asksAlways = false }: CacheDependencies) {
  const isRevoked = ({ decision, revision }: { decision: Decision; revision: number }, token: string) => {
    const subject = subjectOf(decision);
    return revocations.isRevoked(revision, subject === undefined ? subject : settings.usernamePrefix + subject, token);
  };
  return {
    isRevoked,
    isFresh: (entry: PositiveEntry) => !asksAlways && isFresh(entry, settings, clocks, revocations.isCutOff),
    // An entry whose writer knew of more revocations than this replica is not used until this one knows them too. And an
    // entry may have stayed in Redis after a later refusal, because Redis was unavailable then.
    isOutdated: (entry: PositiveEntry, token: string, { negative }: ReturnType<MemoryTier['get']>) =>
      entry.revision > revocations.revision ||
      isRevoked(entry, token) ||
      (negative !== undefined && negative.answeredMonotonic > entry.answeredMonotonic),
  };
}

/** Both tiers as one authenticator sees them: what it returns is neither too old nor revoked. */
function createStore(settings: CacheSettings, dependencies: CacheDependencies) {
  const { memory, clocks, metrics } = dependencies;
  const redis = settings.store === 'shared' ? dependencies.redis : undefined;
  const rules = createRules(settings, dependencies);
  // An entry keeps the lifetimes that were in force when it was given: longer ones of an edit apply to later answers.
  const lifetime = settings.authenticatedTtl + settings.staleTtl;

  return {
    isFresh: rules.isFresh,
    /** What memory answers. */
    recall(name: string, token: string) {
      const { positive, negative } = memory.get(name);
      if (positive && rules.isFresh(positive) && !rules.isRevoked(positive, token)) return positive;
      if (negative === undefined) return undefined;
      const ttl = negative.decision.kind === 'rejected' ? settings.rejectedTtl : settings.unknownTtl;
      return ageOf(negative, clocks) < ttl && !rules.isRevoked(negative, token) ? negative : undefined;
    },
    /** What Redis has. A hit may be too old to be an answer, but still good as a stale one. */
    async fetch(question: Question, name: string): Promise<Found> {
      if (redis === undefined) return { result: 'miss' };
      const read = await redis.get(question);
      const isRefuted = read.result === 'hit' && rules.isOutdated(read.entry, question.token, memory.get(name));
      const found: Found = isRefuted ? { result: 'invalid' } : read;
      const isTooOld = found.result === 'hit' && !rules.isFresh(found.entry);
      metrics.lookup(settings.name, 'redis', isTooOld ? 'miss' : found.result);
      return found;
    },
    /** @param revision that was known when the backend was asked */
    save(question: Question, name: string, given: Decision, revision: number, found: Found): void {
      const decision = detached(given);
      const record = { revision, answeredAt: clocks.wall() };
      if (decision.kind === 'authenticated') {
        const entry = toEntry({ ...record, decision }, clocks, { left: lifetime });
        if (rules.isRevoked(entry, question.token)) return;
        memory.add(name, entry, question.fingerprint, settings.maxOfUser);
        redis?.set(question, entry, lifetime, settings.maxOfUser);
        return;
      }
      // Where Redis could not be read, it may hold a positive entry.
      const hadPositive = found.result !== 'miss' || memory.get(name).positive !== undefined;
      memory.addNegative(name, { ...record, decision, answeredMonotonic: clocks.monotonic() });
      if (hadPositive) redis?.delete(question);
    },
    /** The youngest positive entry that is still usable while the backend can't be asked, and its tier. */
    lastPositive(question: Question, name: string, found: Found) {
      const remembered = memory.get(name);
      const candidates: { readonly entry: PositiveEntry; readonly tier: CacheTier }[] = [];
      if (remembered.positive) candidates.push({ entry: remembered.positive, tier: 'memory' });
      if (found.result === 'hit') candidates.push({ entry: found.entry, tier: 'redis' });
      return candidates
        .filter(
          ({ entry }) => isUsable(entry, settings, clocks) && !rules.isOutdated(entry, question.token, remembered),
        )
        .sort((one, other) => ageOf(one.entry, clocks) - ageOf(other.entry, clocks))[0];
    },
  };
}

function subjectOf(decision: Decision): string | undefined {
  if (decision.kind === 'authenticated') return decision.user.username;
  return decision.kind === 'rejected' ? decision.subject : undefined;
}
