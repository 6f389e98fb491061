import type { Authenticator, Decision } from '@sallyport/authenticator';
import type { Clocks } from '../../base/clocks.ts';
import { inSpan, isTracing } from '../../base/tracing/in-span.ts';
import type { AuthenticatorCacheConfig } from '../../config/types.ts';
import { after } from '../chain/answer.ts';
import type { AnswerSource, LinkContext } from '../chain/chain.ts';
import { layer } from '../chain/layer.ts';
import type { Revocations } from '../revocation/list.ts';
import type { MemoryTier } from './memory-tier.ts';
import type { Question } from './names.ts';
import {
  copyDecision,
  findEndOfUse,
  isFresh,
  isUsable,
  measureAge,
  type PositiveEntry,
  toEntry,
} from './record.ts';
import type { RedisLookup, RedisTier } from './redis-tier.ts';
import { createSingleFlight } from './single-flight.ts';

export interface CacheSettings extends AuthenticatorCacheConfig {
  /** The authenticator's name, used as a metric label. */
  readonly name: string;
  readonly fingerprint: string;
  /** Returns the version of what the authenticator decides by: an answer of another one is not used. Default: there is none. */
  readonly answersVersion?: (() => string) | undefined;
  /** Whether it is asked with the names of users instead of tokens. Default: false. */
  readonly asksByName?: boolean;
  /** How many answers one user may have. Default: `maxAnswersOfUser`. */
  readonly maxOfUser?: number;
  /** The prefix of usernames in Kubernetes: revocations name users with it, and cached decisions without it. */
  readonly usernamePrefix: string;
}

export interface CacheDependencies {
  readonly memory: MemoryTier;
  /** Undefined: answers are cached in memory alone. */
  readonly redis?: RedisTier | undefined;
  readonly revocations: Revocations;
  readonly clocks: Clocks;
  readonly metrics: CacheMetrics;
  /**
   * Whether the backend is always asked, and cached answers are used only while it is unavailable, for `explain`. Default:
   * false.
   */
  readonly asksAlways?: boolean;
}

export type CacheTier = Exclude<AnswerSource, 'stale'>;

export interface CacheMetrics {
  /** Counts the result of a lookup in a tier. `invalid`: there was a value that must not be trusted. */
  lookup(authenticator: string, tier: CacheTier, result: RedisLookup['result'] | 'stale'): void;
  /** Counts a caller who waits for another's lookup. */
  coalesced(): void;
}

type LookupContext = Pick<LinkContext, 'signal' | 'hops' | 'trace'>;

/** A decision, and where it came from. */
interface SourcedDecision {
  readonly decision: Decision;
  /** Undefined when the backend gave it now. */
  readonly source?: AnswerSource;
  readonly failure?: unknown;
  /** When a stale decision stops being usable: wall clock, milliseconds since 1970. */
  readonly until?: number;
}

/**
 * Caches the answers of one authenticator, in the memory of this process and in the Redis of all replicas. Each process makes
 * one lookup of a question that is not cached, however many callers ask. An error is never cached. While the backend fails, its
 * last positive answer is used (`stale`) for `staleTtl` beyond its lifetime. An answer that was revoked after its lookup began
 * is not used, in whichever tier it is.
 */
export function withCache(
  inner: Authenticator,
  settings: CacheSettings,
  dependencies: CacheDependencies,
) {
  const { memory, metrics, revocations, clocks } = dependencies;
  const store = createStore(settings, dependencies);
  const singleFlight = createSingleFlight<SourcedDecision>(metrics.coalesced);
  const { fingerprint, asksByName: isName = false } = settings;

  async function lookUp(
    question: Question,
    name: string,
    context: LookupContext,
  ): Promise<SourcedDecision> {
    const redisLookup = await store.fetch(question, name);
    if (redisLookup.result !== 'hit' || !store.isFresh(redisLookup.entry))
      return ask(question, name, redisLookup, context);
    memory.add(name, redisLookup.entry, question.fingerprint, settings.maxOfUser);
    return { decision: redisLookup.entry.decision, source: 'redis' };
  }

  async function ask(
    question: Question,
    name: string,
    redisLookup: RedisLookup,
    context: LookupContext,
  ): Promise<SourcedDecision> {
    const { signal, hops, trace } = context;
    const { revision } = revocations;
    let decision: Decision;
    try {
      const innerContext = { audiences: question.audiences, signal, hops, ...(trace && { trace }) };
      decision = await inner.authenticate(question.token, innerContext);
    } catch (error) {
      const last = signal.aborted ? undefined : store.lastPositive(question, name, redisLookup);
      if (last === undefined) throw error;
      metrics.lookup(settings.name, last.tier, 'stale');
      const until = findEndOfUse(last.entry, settings, clocks);
      return { decision: last.entry.decision, source: 'stale', failure: error, until };
    }
    // The authenticator may have decided by what is in force since, or by what was before.
    if (question.version === settings.answersVersion?.())
      store.save(question, name, decision, revision, redisLookup);
    return { decision };
  }

  function findAnswer(
    token: string,
    context: LinkContext,
  ): SourcedDecision | Promise<SourcedDecision> {
    const { audiences, hops } = context;
    const version = settings.answersVersion?.();
    const question = { token, audiences, fingerprint, isName, version };
    const name = memory.nameAnswer(question);
    const remembered = store.recall(name, token);
    metrics.lookup(settings.name, 'memory', remembered === undefined ? 'miss' : 'hit');
    if (remembered !== undefined) return { decision: remembered.decision, source: 'memory' };
    // A review that was forwarded and came back here has another name, so that it does not wait for its own lookup.
    const flight = hops === undefined ? name : `${name} ${hops}`;
    const { trace } = context;
    return singleFlight.join(flight, revocations.revision, context.signal, (signal) =>
      lookUp(question, name, { signal, hops, ...(trace && { trace }) }),
    );
  }
  const findAnswerInSpan = (token: string, context: LinkContext): Promise<SourcedDecision> =>
    inSpan('cache', {}, async (span) => {
      const answer = await findAnswer(token, context);
      span.set({ 'sallyport.source': answer.source ?? 'backend' });
      return answer;
    });
  const decide = (
    { decision, source, failure, until }: SourcedDecision,
    context: LinkContext,
  ): Decision => {
    if (source !== undefined) context.onCached?.(source, failure, until);
    return decision;
  };

  return layer(inner, (token, context) => {
    const answer = isTracing() ? findAnswerInSpan(token, context) : findAnswer(token, context);
    return after(answer, (sourced) => decide(sourced, context));
  });
}

/** Makes the rules that keep a cached answer from being used. */
function createRules(
  settings: CacheSettings,
  { revocations, clocks, asksAlways = false }: CacheDependencies,
) {
  const isRevoked = (
    { decision, revision }: { decision: Decision; revision: number },
    token: string,
  ) => {
    const subject = readSubject(decision);
    return revocations.isRevoked(
      revision,
      subject === undefined ? subject : settings.usernamePrefix + subject,
      token,
    );
  };
  return {
    isRevoked,
    isFresh: (entry: PositiveEntry) =>
      !asksAlways && isFresh(entry, settings, clocks, revocations.isCutOff),
    // If the writer of an entry knew of more revocations than this replica, the entry is not used until this replica knows them
    // too. An entry may also have stayed in Redis after a later refusal, because Redis was unavailable then.
    isOutdated: (
      entry: PositiveEntry,
      token: string,
      { negative }: ReturnType<MemoryTier['get']>,
    ) =>
      entry.revision > revocations.revision ||
      isRevoked(entry, token) ||
      (negative !== undefined && negative.answeredMonotonic > entry.answeredMonotonic),
  };
}

/** Makes one store of both tiers for one authenticator. It returns no entry that is too old or revoked. */
function createStore(settings: CacheSettings, dependencies: CacheDependencies) {
  const { memory, clocks, metrics } = dependencies;
  const redis = settings.store === 'shared' ? dependencies.redis : undefined;
  const rules = createRules(settings, dependencies);
  // An entry keeps the lifetimes that were in force when it was made: longer lifetimes of an edit apply to later answers.
  const lifetime = settings.authenticatedTtl + settings.staleTtl;

  return {
    isFresh: rules.isFresh,
    /** Finds an answer in memory. */
    recall(name: string, token: string) {
      const { positive, negative } = memory.get(name);
      if (positive && rules.isFresh(positive) && !rules.isRevoked(positive, token)) return positive;
      if (negative === undefined) return undefined;
      const ttl =
        negative.decision.kind === 'rejected' ? settings.rejectedTtl : settings.unknownTtl;
      return measureAge(negative, clocks) < ttl && !rules.isRevoked(negative, token)
        ? negative
        : undefined;
    },
    /** Finds an entry in Redis. A hit may be too old to be an answer, and still be usable as a stale one. */
    async fetch(question: Question, name: string): Promise<RedisLookup> {
      if (redis === undefined) return { result: 'miss' };
      const stored = await redis.get(question);
      const isRefuted =
        stored.result === 'hit' && rules.isOutdated(stored.entry, question.token, memory.get(name));
      const redisLookup: RedisLookup = isRefuted ? { result: 'invalid' } : stored;
      const isTooOld = redisLookup.result === 'hit' && !rules.isFresh(redisLookup.entry);
      metrics.lookup(settings.name, 'redis', isTooOld ? 'miss' : redisLookup.result);
      return redisLookup;
    },
    /** Saves an answer in both tiers. @param revision the revision that was known when the backend was asked */
    save(
      question: Question,
      name: string,
      answer: Decision,
      revision: number,
      redisLookup: RedisLookup,
    ): void {
      const decision = copyDecision(answer);
      const record = { revision, answeredAt: clocks.wall() };
      if (decision.kind === 'authenticated') {
        const entry = toEntry({ ...record, decision }, clocks, { timeLeft: lifetime });
        if (rules.isRevoked(entry, question.token)) return;
        memory.add(name, entry, question.fingerprint, settings.maxOfUser);
        redis?.set(question, entry, lifetime, settings.maxOfUser);
        return;
      }
      // A Redis that could not be read may have a positive entry.
      const hadPositive = redisLookup.result !== 'miss' || memory.get(name).positive !== undefined;
      memory.addNegative(name, { ...record, decision, answeredMonotonic: clocks.monotonic() });
      if (hadPositive) redis?.delete(question);
    },
    /** Finds the youngest positive entry that is usable while the backend is unavailable, and its tier. */
    lastPositive(question: Question, name: string, redisLookup: RedisLookup) {
      const remembered = memory.get(name);
      const candidates: { readonly entry: PositiveEntry; readonly tier: CacheTier }[] = [];
      if (remembered.positive) candidates.push({ entry: remembered.positive, tier: 'memory' });
      if (redisLookup.result === 'hit')
        candidates.push({ entry: redisLookup.entry, tier: 'redis' });
      return candidates
        .filter(
          ({ entry }) =>
            isUsable(entry, settings, clocks) &&
            !rules.isOutdated(entry, question.token, remembered),
        )
        .sort((a, b) => measureAge(a.entry, clocks) - measureAge(b.entry, clocks))[0];
    },
  };
}

function readSubject(decision: Decision): string | undefined {
  if (decision.kind === 'authenticated') return decision.user.username;
  return decision.kind === 'rejected' ? decision.subject : undefined;
}
