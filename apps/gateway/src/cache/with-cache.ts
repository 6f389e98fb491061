import type { Authenticator, Decision } from '@sallyport/authenticator';
import type { LinkContext, Source } from '../chain/chain.ts';
import { layer } from '../chain/layer.ts';
import { inSpan, isTracing } from '../tracing/in-span.ts';
import type { Question } from './names.ts';
import type { Found } from './redis-tier.ts';
import { createSingleFlight } from './single-flight.ts';
import { type CacheDependencies, type CacheSettings, createStore } from './store.ts';

interface Answered {
  readonly decision: Decision;
  /** Left out: the backend's. */
  readonly source?: Source;
  readonly failure?: unknown;
}

function fingerprintOf({ fingerprint, apart }: CacheSettings, token: string): string {
  return apart ? `${fingerprint} ${token}` : fingerprint;
}

/**
 * Caches the answers of one authenticator, in the memory of this process and in the Redis of all replicas. Each process
 * looks up a cold question once, however many callers ask. A throw is never cached; while it lasts, the last positive
 * answer is used (`stale`) for `staleTtl` beyond its lifetime. An answer that was revoked after its lookup began is not
 * used, wherever it is cached.
 */
export function withCache(
  inner: Authenticator,
  settings: CacheSettings,
  dependencies: CacheDependencies,
): Authenticator {
  const { memory, metrics, revocations } = dependencies;
  const store = createStore(settings, dependencies);
  const singleFlight = createSingleFlight<Answered>(metrics.coalesced);

  type Lookup = Pick<LinkContext, 'signal' | 'hops'>;

  async function lookUp(question: Question, name: string, context: Lookup): Promise<Answered> {
    const found = await store.fetch(question, name);
    if (found.result !== 'hit' || !store.isFresh(found.entry)) return ask(question, name, found, context);
    store.adopt(question, name, found.entry);
    return { decision: found.entry.decision, source: 'redis' };
  }

  async function ask(question: Question, name: string, found: Found, context: Lookup): Promise<Answered> {
    const { signal, hops } = context;
    const { revision } = revocations;
    let decision: Decision;
    try {
      decision = await inner.authenticate(question.token, { audiences: question.audiences, signal, hops });
    } catch (error) {
      const last = signal.aborted ? undefined : store.lastPositive(question, name, found);
      if (last === undefined) throw error;
      metrics.lookup(settings.name, last.tier, 'stale');
      return { decision: last.entry.decision, source: 'stale', failure: error };
    }
    store.save(question, name, { decision, revision }, found);
    return { decision };
  }

  function answer(token: string, context: LinkContext): Answered | Promise<Answered> {
    const { audiences, hops } = context;
    const question = { token, audiences, fingerprint: fingerprintOf(settings, token) };
    const name = memory.nameOf(question);
    const remembered = store.recall(name, token);
    metrics.lookup(settings.name, 'memory', remembered === undefined ? 'miss' : 'hit');
    if (remembered !== undefined) return { decision: remembered.decision, source: 'memory' };
    // A review that came back here would wait for its own lookup.
    const flight = hops === undefined ? name : `${name} ${hops}`;
    return singleFlight.join(flight, revocations.revision, context.signal, (signal) =>
      lookUp(question, name, { signal, hops }),
    );
  }
  const answerInSpan = (token: string, context: LinkContext): Promise<Answered> =>
    inSpan('cache', {}, async (span) => {
      const answered = await answer(token, context);
      span.set({ 'sallyport.source': answered.source ?? 'backend' });
      return answered;
    });
  const decide = ({ decision, source, failure }: Answered, context: LinkContext): Decision => {
    if (source !== undefined) context.onCached?.(source, failure);
    return decision;
  };

  return layer(inner, (token, context) => {
    const answered = isTracing() ? answerInSpan(token, context) : answer(token, context);
    return answered instanceof Promise ? answered.then((late) => decide(late, context)) : decide(answered, context);
  });
}
