/** Checks each answer of a soak against what the documents allow at that time. It knows the history and nothing else. */
import { isDeepStrictEqual } from 'node:util';

/** The begin and the end of an event, in milliseconds of one clock. The end is Infinity while the event is in progress. */
interface Span {
  readonly begin: number;
  end: number;
}

/** A user as Kubernetes sees them. */
export interface Identity {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid: string | undefined;
}

/** A token or password by its number. It is valid from its {@link Made} to its {@link Ended}, and never without a `Made`. */
export interface Secret {
  readonly number: number;
  readonly kind: 'password' | 'session' | 'robot token' | 'static token' | 'unknown token';
  /** The user that it belongs to. For a wrong password, it is the user that it was tried for. */
  readonly user?: Identity;
}

export type ObservedAnswer = Identity | 'refused' | 'error';

/** An attempt to get access by showing a secret. */
export interface Attempt extends Span {
  readonly what: 'review' | 'login';
  readonly replica: number;
  readonly secret: Secret;
  /** Whether it is a session, and another cluster asked. */
  readonly isForeign?: boolean;
  /** The answer. It is undefined while there is none yet. */
  answer?: ObservedAnswer;
}

export interface Made extends Span {
  readonly what: 'made';
  readonly secret: Secret;
}

export interface Ended extends Span {
  readonly what: 'logout' | 'new password' | 'revoke' | 'removal';
  readonly secret: Secret;
  /** Whether the answer or the exit status said that it is done, by all replicas if a command says that. */
  isSure: boolean;
}

export interface UserAct extends Span {
  /** `forget` is `revoke --user`: it ends the user's sessions, and all replicas forget what they cached of the user. */
  readonly what: 'block' | 'unblock' | 'forget';
  readonly username: string;
  isSure: boolean;
}

/** A fault. It ends when all has recovered. */
export interface Fault extends Span {
  readonly what: 'fault';
  readonly kind: string;
  readonly hits: readonly ('cache' | 'tokens' | 'directory' | 'replica')[];
  /** The only replica that is hit. It is undefined if all are. */
  readonly replica?: number;
  /** Another node takes over, which may not have the last writes. */
  readonly losesWrites?: boolean;
}

export type Event = Attempt | Made | Ended | UserAct | Fault;

export interface Violation {
  readonly of: Attempt;
  readonly why: string;
}

/** The limits in the config of the gateways of a soak. Times are milliseconds. */
export const limits = {
  authenticatedTtl: 3_000,
  rejectedTtl: 1_000,
  staleTtl: 12_000,
  revalidate: 2_000,
  lockoutWindow: 10_000,
  maxFailures: 3,
} as const;

/** The answers of the sessions' authenticator are cached for this long: docs/configuration.md, "login". */
const sessionTtl = 1_000;

/** The `timeout` of an authenticator. An answer may have this age when its lifetime begins. */
const maxLookupTime = 3_000;

/** An attempt without an outcome holds a slot of its user for this long, then counts as refused: docs/limits.md, "Lockout guard". */
export const abandonedAfter = 60_000;

/** Writes of the last moment before a master fails may be lost: README of authenticator-redis, "Commands". */
const replicationLag = 1_000;

/** pwdChangedTime has whole seconds: docs/limits.md, "Directories". A session from about then may go on or not. */
const changeResolution = 2_000;

/** The time that a busy machine may add to each time. */
const grace = 1_000;

/** Finds the answers of the history that the documents do not allow. */
export function findViolations(history: readonly Event[]): Violation[] {
  const past = createIndex(history);
  return history.filter(isAttempt).flatMap((one) => {
    if (one.answer === undefined || one.answer === 'error') return [];
    const why =
      one.answer === 'refused'
        ? refusalProblem(one, past)
        : acceptanceProblem(one, one.answer, past);
    return why === undefined ? [] : [{ of: one, why }];
  });
}

function isAttempt(event: Event): event is Attempt {
  return event.what === 'review' || event.what === 'login';
}

type Past = ReturnType<typeof createIndex>;

function createIndex(history: readonly Event[]) {
  const made = new Map<Secret, Made>();
  const endings = new Map<Secret, Ended[]>();
  const changes = new Map<string, Ended[]>();
  const acts = new Map<string, UserAct[]>();
  const attempts = new Map<string, Attempt[]>();
  const faults: Fault[] = [];
  const add = <Key, One>(map: Map<Key, One[]>, key: Key, one: One) => {
    const some = map.get(key);
    if (some === undefined) map.set(key, [one]);
    else some.push(one);
  };
  for (const event of history) {
    if (event.what === 'made') made.set(event.secret, event);
    else if (event.what === 'fault') faults.push(event);
    else if ('username' in event) add(acts, event.username, event);
    else {
      const ofUser = event.secret.user?.username ?? '';
      if (!isAttempt(event)) add(endings, event.secret, event);
      if (event.what === 'new password') add(changes, ofUser, event);
      if (isAttempt(event) && event.secret.kind === 'password') add(attempts, ofUser, event);
    }
  }
  const actsOn = ({ user }: Secret) => acts.get(user?.username ?? '') ?? [];
  /** Whether a write may be lost, since it came in the moment before another node took over. */
  const mayBeLost = ({ begin, end }: Span) =>
    faults.some(
      (fault) =>
        fault.losesWrites &&
        fault.hits.includes('tokens') &&
        fault.begin <= end + replicationLag &&
        fault.end >= begin,
    );
  /** The other events that end a session: docs/login.md, "What ends a session". */
  const sessionEndings = (secret: Secret, { begin, end }: Made): Ended[] => [
    ...(changes.get(secret.user?.username ?? '') ?? [])
      .filter((change) => begin <= change.end + changeResolution)
      .map((change) => ({
        ...change,
        isSure: change.isSure && end < change.begin - changeResolution,
      })),
    ...actsOn(secret)
      .filter((act) => act.what === 'forget' && begin <= act.end)
      .map((act) => {
        // docs/security.md: a session of the moment before a failover may be in no list.
        const isListed = end < act.begin && !mayBeLost({ begin, end });
        return { ...act, what: 'revoke' as const, secret, isSure: act.isSure && isListed };
      }),
  ];
  return {
    madeOf: (secret: Secret) => made.get(secret),
    endingsOf(secret: Secret): readonly Ended[] {
      const [own, from] = [endings.get(secret) ?? [], made.get(secret)];
      return secret.kind === 'session' && from ? [...own, ...sessionEndings(secret, from)] : own;
    },
    actsOn,
    mayBeLost,
    /** The attempts with a password of the same user, whoever made them. */
    attemptsOf: ({ user }: Secret) => attempts.get(user?.username ?? '') ?? [],
    /** The faults in this time that hit one of these parts, as far as the replica `at` sees it. Left out for any replica. */
    faultsOf: (hits: Fault['hits'], [from, to]: readonly [from: number, to: number], at?: number) =>
      faults.filter(
        ({ begin, end, hits: hit, replica }) =>
          begin <= to &&
          end >= from &&
          hit.some((part) => hits.includes(part)) &&
          (at === undefined || replica === undefined || replica === at),
      ),
  };
}

function acceptanceProblem(one: Attempt, user: Identity, past: Past): string | undefined {
  const { secret } = one;
  if (past.madeOf(secret) === undefined) return 'accepted, though it was never good';
  if (!isDeepStrictEqual(user, secret.user))
    return `accepted as another user: ${JSON.stringify(user)}`;
  if (one.isForeign) return 'accepted for another cluster than its own';
  const ending = past
    .endingsOf(secret)
    .find((ended) => ended.isSure && one.begin > lastUse(ended, one, past));
  if (ending !== undefined)
    return `accepted ${Math.round(one.begin - ending.end)} ms after: ${ending.what}`;
  return isSurelyBlocked(one, past) ? 'accepted, though its user is blocked' : undefined;
}

/** The last moment at which an attempt with an ended secret may begin, and still be accepted. */
function lastUse(ended: Ended, one: Attempt, past: Past): number {
  const during = [ended.begin, one.end] as const;
  const isHit = (...parts: Fault['hits']) => past.faultsOf(parts, during, one.replica).length > 0;
  // README of authenticator-redis, "Failures": another master is used within a second or two, though the old one answers.
  const settled = past
    .faultsOf(['tokens'], during)
    .flatMap(({ losesWrites, end }) => (losesWrites ? [end] : []));
  switch (ended.what) {
    case 'removal':
      return ended.end;
    case 'revoke':
      // docs/block-and-revoke.md, "Confirmation": done when it exits with 0.
      return Math.max(ended.end, ...settled);
    case 'logout': {
      // docs/login.md, "What ends a session": within 1 s on every replica, those excepted that can neither ask nor hear.
      const isDeaf = isHit('tokens') && isHit('cache');
      return Math.max(ended.end, ...settled) + sessionTtl + grace + (isDeaf ? limits.staleTtl : 0);
    }
    case 'new password': {
      // docs/login.md, "What an administrator sees": a login leaves the cache out.
      if (one.what === 'login') return ended.end;
      // docs/how-long-access-lasts.md: an old password is accepted while its answer is cached.
      const { authenticatedTtl, revalidate, staleTtl } = limits;
      const lifetime = one.secret.kind === 'session' ? revalidate + sessionTtl : authenticatedTtl;
      const stale = isHit('directory', 'cache', 'tokens', 'replica') ? staleTtl : 0;
      return Math.min(
        ended.end + lifetime + maxLookupTime + grace + stale,
        forgottenAt(ended, one, past),
      );
    }
  }
}

/** Finds when all replicas had forgotten what they knew before a password was changed. */
function forgottenAt(ended: Ended, { secret }: Attempt, past: Past): number {
  const forgets = past
    .actsOn(secret)
    .filter(({ what, isSure, begin }) => what === 'forget' && isSure && begin > ended.end);
  return Math.min(Number.POSITIVE_INFINITY, ...forgets.map(({ end }) => end));
}

/** Whether the user was blocked. A command that exits with 0 is done: docs/block-and-revoke.md, "Confirmation". */
function isSurelyBlocked({ secret, begin, end }: Attempt, past: Past): boolean {
  const acts = past.actsOn(secret);
  const unblocks = acts.filter(({ what }) => what === 'unblock');
  return acts.some(
    (block) =>
      block.what === 'block' &&
      block.isSure &&
      block.end < begin &&
      !unblocks.some((unblock) => unblock.begin >= block.begin && unblock.begin <= end),
  );
}

function isPossiblyBlocked({ secret, begin, end }: Attempt, past: Past): boolean {
  const acts = past.actsOn(secret);
  const unblocks = acts.filter(({ what, isSure }) => what === 'unblock' && isSure);
  return acts.some(
    (block) =>
      block.what === 'block' &&
      block.begin <= end &&
      !unblocks.some((unblock) => unblock.begin >= block.begin && unblock.end < begin),
  );
}

/** Checks a refusal. An outage is not a reason to refuse: docs/contributing/architecture.md. */
function refusalProblem(one: Attempt, past: Past): string | undefined {
  const { secret } = one;
  const made = past.madeOf(secret);
  if (made === undefined || made.end >= one.begin || one.isForeign) return undefined;
  if (mayBeBad(one, past) || isPossiblyBlocked(one, past)) return undefined;
  const isInTokens = secret.kind === 'session' || secret.kind === 'robot token';
  if (isInTokens && past.mayBeLost(made)) return undefined;
  if (secret.kind === 'password' && isThrottled(one, past)) return undefined;
  return 'refused, though it is right';
}

/** Whether a secret was never valid, or its end had begun. */
function mayBeBad({ secret, end }: Attempt, past: Past): boolean {
  return (
    past.madeOf(secret) === undefined || past.endingsOf(secret).some(({ begin }) => begin <= end)
  );
}

/**
 * Whether the lockout guard may refuse a right password: `maxFailures` *different* wrong ones in the window, and no replica
 * has to know that it is right (README, "What it does"; docs/configuration.md, "lockout").
 */
function isThrottled(one: Attempt, past: Past): boolean {
  const attempts = past.attemptsOf(one.secret).filter(({ begin }) => begin <= one.end);
  const isRecent = ({ end }: Attempt) => end >= one.begin - limits.lockoutWindow - grace;
  const wrong = new Set(
    attempts
      .filter((other) => isRecent(other) && mayBeBad(other, past))
      .map(({ secret }) => secret),
  );
  // A replica that ended, or a Redis that failed, could not note their outcome: they count until they are forgotten.
  const since = one.begin - abandonedAfter - limits.lockoutWindow - grace;
  const interrupted = attempts.filter(({ begin, end }) =>
    past
      .faultsOf(['cache', 'replica'], [begin, end])
      .some((fault) => fault.begin >= Math.max(begin, since)),
  );
  // An answer may come from a cache: then it was right at most this long before.
  const age = limits.authenticatedTtl + limits.staleTtl + maxLookupTime + grace;
  const isKnown = attempts.some(
    ({ secret, begin, end, answer }) =>
      secret === one.secret &&
      typeof answer === 'object' &&
      end < one.begin &&
      past.faultsOf(['cache', 'replica'], [begin - age, one.end]).length === 0,
  );
  return wrong.size + interrupted.length >= limits.maxFailures && !isKnown;
}

/** Lists the events around a violation, one on each line. Secrets have numbers. */
export function historyOf({ of }: Violation, history: readonly Event[]): string[] {
  const [from, to] = [of.begin - 30_000, of.end + 2_000];
  const { user } = of.secret;
  const isAbout = (event: Event): boolean => {
    if (event.what === 'fault') return event.end >= from && event.begin <= to;
    if ('username' in event) return event.username === user?.username;
    if (event.secret === of.secret)
      return !isAttempt(event) || (event.begin >= from && event.begin <= to);
    // Other passwords lock a user out, and a new one ends sessions.
    const isOther =
      event.secret.kind === 'password' && event.secret.user?.username === user?.username;
    return (
      isOther &&
      event.begin >= from &&
      event.begin <= to &&
      (of.secret.kind === 'password' || !isAttempt(event))
    );
  };
  const seconds = (time: number) =>
    Number.isFinite(time) ? ((time - of.begin) / 1_000).toFixed(3) : 'now';
  return history
    .filter(isAbout)
    .map(
      (event) =>
        `${event === of ? '>' : ' '} ${seconds(event.begin)} to ${seconds(event.end)} s: ${describe(event)}`,
    );
}

function describe(event: Event): string {
  const secretName = ({ kind, number, user }: Secret) =>
    `${kind} ${number}${user ? ` of ${user.username}` : ''}`;
  if (event.what === 'fault')
    return event.kind + (event.replica === undefined ? '' : `, replica ${event.replica}`);
  if ('username' in event)
    return `${event.what} ${event.username}${event.isSure ? '' : ', not confirmed'}`;
  if (event.what === 'made') return `made ${secretName(event.secret)}`;
  if (!isAttempt(event))
    return `${event.what}, ${secretName(event.secret)}${event.isSure ? '' : ', not confirmed'}`;
  const answer = typeof event.answer === 'object' ? 'accepted' : event.answer;
  return `${event.what} at replica ${event.replica}, ${secretName(event.secret)}: ${answer}${event.isForeign ? ', another cluster' : ''}`;
}
