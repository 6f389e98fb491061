/**
 * The rules of the cache. They say what an answer may be, given what the backend answered, what was blocked and revoked, and
 * what each replica knows. The model follows from what was done, and not from what a gateway reports. The caller has its
 * clock and its gateways, real or not: all times are true ones, in milliseconds.
 */

export interface CacheLifetimes {
  readonly authenticatedTtl: number;
  readonly rejectedTtl: number;
  readonly unknownTtl: number;
  readonly staleTtl: number;
}

interface GoodToken {
  readonly kind: 'authenticated';
  readonly username: string;
  readonly groups: readonly string[];
  /** How long each answer is valid, from when the backend is asked. Left out if it has no end. */
  readonly lifetime?: number;
}

/** The answer of the backend about a token. */
export type BackendState = GoodToken | { readonly kind: 'rejected' | 'no-opinion' };

interface Identity {
  readonly token: string;
  readonly username: string;
  readonly groups: readonly string[];
}

/** A positive answer of the backend. */
export interface GivenAnswer extends Identity {
  readonly expiresAt?: number;
  /** When the backend was asked. */
  readonly began: number;
  /** When its answer arrived, or later. */
  at: number;
}

/** An entry of the revocation list. */
export interface ListedEntry {
  readonly action: 'revoke' | 'block' | 'unblock';
  readonly kind: 'user' | 'group' | 'token' | 'all';
  /** It is '' for `all`. */
  readonly name: string;
  readonly at: number;
  readonly until: number;
}

/** The facts about a replica that the model needs. */
export interface ReplicaFacts {
  /** How far its clock is ahead. */
  readonly skew: number;
  /** The entries that it has read. */
  readonly known: Set<ListedEntry>;
  /** When it last read the list; Infinity where that is not known. */
  readAt: number;
  /** When it last refused a question. */
  readonly refusals: Map<string, number>;
}

/** Where an answer came from. `cached` is memory or Redis, fresh or stale. */
export type AnswerSource = 'backend' | 'memory' | 'redis' | 'stale' | 'cached';

/** A review with its answer. The decision is undefined if the answer was an error. */
export interface ReviewHistory {
  readonly token: string;
  readonly audiences: readonly string[];
  readonly began: number;
  readonly ended: number;
  /** The entries that the replica knew when the review began. */
  readonly knownAtFirst: ReadonlySet<ListedEntry>;
  /** The backend's answer was delayed, so it is not checked whether the review should have let the user in. */
  readonly isDelayed?: boolean;
  readonly answer: {
    readonly source: AnswerSource;
    readonly decision?:
      | {
          readonly kind: 'authenticated';
          readonly user: { username: string; groups?: readonly string[] };
        }
      | { readonly kind: 'rejected'; readonly reason?: string }
      | { readonly kind: 'no-opinion' }
      | undefined;
  };
}

/** The maximum age of a cached answer on a replica that is cut off, and the time after which a replica is cut off. */
const [maxCutOff, cutOffAfter] = [10_000, 1_000];

export function newReplicaFacts(skew: number, readAt: number): ReplicaFacts {
  return { skew, known: new Set(), readAt, refusals: new Map() };
}

export interface CacheModel {
  readonly lifetimes: CacheLifetimes;
  /** Positive answers of the backend. */
  readonly given: readonly GivenAnswer[];
  /** Entries of commands that were not confirmed: a replica may know them. */
  readonly doubted: Set<ListedEntry>;
  /** Positive answers of gateways, by their source. */
  readonly accepts: ReadonlyMap<AnswerSource, number>;
  isDown: boolean;
  set(token: string, state: BackendState): void;
  stateOf(token: string): BackendState;
  /** @returns what the backend answers now, where that is positive: it counts from `arrive` on */
  ask(token: string, began: number): GivenAnswer | undefined;
  arrive(answer: GivenAnswer, at: number): void;
  /** @throws Error when the answer is wrong */
  check(review: ReviewHistory, facts: ReplicaFacts): void;
}

export function createCacheModel(lifetimes: CacheLifetimes): CacheModel {
  const states = new Map<string, BackendState>();
  const given: GivenAnswer[] = [];
  const accepts = new Map<AnswerSource, number>();
  const model: CacheModel = {
    lifetimes,
    given,
    doubted: new Set(),
    accepts,
    isDown: false,
    set: (token, state) => void states.set(token, state),
    stateOf: (token) => states.get(token) ?? { kind: 'no-opinion' },
    ask(token, began) {
      const state = model.stateOf(token);
      if (state.kind !== 'authenticated') return undefined;
      const { username, groups, lifetime } = state;
      const end = lifetime === undefined ? {} : { expiresAt: began + lifetime };
      return { token, username, groups, ...end, began, at: Number.POSITIVE_INFINITY };
    },
    arrive(answer, at) {
      answer.at = at;
      given.push(answer);
    },
    check(review, facts) {
      const { decision, source } = review.answer;
      const isAccept = decision?.kind === 'authenticated';
      const wrong = isAccept
        ? problemOfAccept(model, review, facts)
        : problemOfRefusal(model, review, facts);
      if (wrong !== undefined) throw new Error(`${wrong}: ${JSON.stringify(review.answer)}`);
      if (isAccept) accepts.set(source, (accepts.get(source) ?? 0) + 1);
    },
  };
  return model;
}

/** @returns what is wrong with an accept */
function problemOfAccept(
  model: CacheModel,
  review: ReviewHistory,
  facts: ReplicaFacts,
): string | undefined {
  const { answer, token, began, ended, knownAtFirst } = review;
  const { decision, source } = answer;
  if (decision?.kind !== 'authenticated') return undefined;
  const { username, groups = [] } = decision.user;
  const identity = { token, username, groups };
  if (isBlocked(identity, facts.known, model.doubted, began, 'surely'))
    return `accept of ${username}, who is blocked`;
  const all = model.given.filter(
    (one) => one.token === token && one.username === username && sameTexts(one.groups, groups),
  );
  if (all.length === 0) return `accept of ${username} that the backend never gave`;
  const unended = all.filter(
    ({ expiresAt = Infinity }) => began - Math.max(0, -facts.skew) < expiresAt,
  );
  if (unended.length === 0) return `accept of ${username} past its expiresAt`;
  if (source === 'backend') {
    const current = unended.filter(({ at }) => at >= began && at <= ended);
    const isLater = current.some((one) => !isRevoked(one, knownAtFirst));
    return isLater
      ? undefined
      : `accept of ${username} by a lookup that began before it was revoked`;
  }
  const oldest = maxAge(model, source, facts, began);
  const young = unended.filter(({ at }) => began - at < oldest);
  if (young.length === 0) return `accept of ${username} that is older than ${oldest} ms`;
  return young.some((one) => !isRevoked(one, facts.known))
    ? undefined
    : `accept of ${username} that was revoked`;
}

function maxAge(
  { lifetimes, isDown }: CacheModel,
  source: AnswerSource,
  { readAt }: ReplicaFacts,
  now: number,
) {
  const { authenticatedTtl, staleTtl } = lifetimes;
  const usable = isDown ? authenticatedTtl + staleTtl : 0;
  const fresh =
    now - readAt > cutOffAfter ? Math.min(maxCutOff, authenticatedTtl) : authenticatedTtl;
  if (source === 'stale') return usable;
  return source === 'cached' ? Math.max(fresh, usable) : fresh;
}

/**
 * While the backend is up no answer is an error, and a good token is let in, however Redis fails.
 *
 * @returns what is wrong with an answer that accepts no one
 */
function problemOfRefusal(
  model: CacheModel,
  review: ReviewHistory,
  facts: ReplicaFacts,
): string | undefined {
  const { token, audiences, began, ended, answer, isDelayed = false } = review;
  const { decision } = answer;
  const question = JSON.stringify([token, audiences]);
  const state = model.stateOf(token);
  const isGood = state.kind === 'authenticated' && !canEnd(state, ended - began, facts);
  const refusedAt = facts.refusals.get(question) ?? Number.NEGATIVE_INFINITY;
  const isOwn =
    decision?.kind === 'no-opinion' ||
    (decision?.kind === 'rejected' && decision.reason !== 'blocked');
  if (isOwn && (isDelayed || !isGood)) facts.refusals.set(question, ended);
  if (isDelayed || model.isDown) return undefined;
  if (decision === undefined) return 'an error, though the backend is up';
  if (!isGood || began - refusedAt <= model.lifetimes.rejectedTtl) return undefined;
  // A block lasts for longer by a clock that is behind.
  const earliest = began + Math.min(0, facts.skew);
  const identities = [{ token, ...state }, ...model.given.filter((one) => one.token === token)];
  const perhaps = identities.some((one) =>
    isBlocked(one, facts.known, model.doubted, earliest, 'perhaps'),
  );
  return perhaps ? undefined : `no accept of ${state.username}`;
}

/**
 * Whether a block holds: the later one of a block and its end counts, as far as the replica knows of it. `surely` means
 * whatever came of the commands that were not confirmed, `perhaps` that one of them may have been done.
 */
function isBlocked(
  identity: Identity,
  known: ReadonlySet<ListedEntry>,
  doubted: ReadonlySet<ListedEntry>,
  now: number,
  how: 'surely' | 'perhaps',
): boolean {
  const about = [...new Set([...known, ...doubted])].filter(
    (one) => one.action !== 'revoke' && isAbout(one, identity),
  );
  const holds = ({ action, until }: ListedEntry) => action === 'block' && until > now;
  const bySubject = Map.groupBy(about, ({ kind, name }) => `${kind} ${name}`);
  return [...bySubject.values()].some((entries) => {
    const last = entries.filter((one) => known.has(one)).sort((one, other) => other.at - one.at)[0];
    const later = entries.filter(
      (one) => !known.has(one) && one.at >= (last?.at ?? Number.NEGATIVE_INFINITY),
    );
    const possible = [...(last === undefined ? [] : [last]), ...later];
    return how === 'surely' ? last !== undefined && possible.every(holds) : possible.some(holds);
  });
}

/** Whether an answer can have ended, by the replica's clock, when it arrives from the backend. */
function canEnd({ lifetime = Infinity }: GoodToken, took: number, { skew }: ReplicaFacts): boolean {
  return took + Math.max(0, skew) >= lifetime;
}

function isAbout({ kind, name }: ListedEntry, { token, username, groups }: Identity): boolean {
  if (kind === 'all') return true;
  if (kind === 'user') return name === username;
  return kind === 'group' ? groups.includes(name) : name === token;
}

function isRevoked(given: GivenAnswer, known: ReadonlySet<ListedEntry>): boolean {
  return [...known].some(
    (listed) => listed.action === 'revoke' && isAbout(listed, given) && given.began < listed.at,
  );
}

function sameTexts(some: readonly string[], others: readonly string[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}
