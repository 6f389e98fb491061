/** Checks each answer of a soak against what the documents allow at that time. It knows the history and nothing else. */
import { isDeepStrictEqual } from 'node:util';

/** Milliseconds of one clock. What is in progress has no end yet: Infinity. */
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

/** A token or password by its number. It is good from its {@link Made} to its {@link Ended}; without a `Made`, never. */
export interface Secret {
  readonly number: number;
  readonly kind: 'password' | 'session' | 'robot token' | 'static token' | 'unknown token';
  /** Whose it is. Of a wrong password: the user whom it was tried for. */
  readonly user?: Identity;
}

export type Answer = Identity | 'refused' | 'error';

/** Someone showed a secret. */
export interface Try extends Span {
  readonly what: 'review' | 'login';
  readonly replica: number;
  readonly secret: Secret;
  /** It is a session, and another cluster asked. */
  readonly isForeign?: boolean;
  /** Undefined: there is none yet. */
  answer?: Answer;
}

export interface Made extends Span {
  readonly what: 'made';
  readonly secret: Secret;
}

export interface Ended extends Span {
  readonly what: 'logout' | 'new password' | 'revoke' | 'removal';
  readonly secret: Secret;
  /** The answer, or the exit status, said that it is done, and by all replicas where a command says that. */
  isSure: boolean;
}

export interface UserAct extends Span {
  /** `forget`: `revoke --user`. It ends the user's sessions, and all replicas forget what they cached of the user. */
  readonly what: 'block' | 'unblock' | 'forget';
  readonly username: string;
  isSure: boolean;
}

/** It ends when all has recovered. */
export interface Fault extends Span {
  readonly what: 'fault';
  readonly kind: string;
  readonly hits: readonly ('cache' | 'tokens' | 'directory' | 'replica')[];
  /** The only one that is hit. Undefined: all. */
  readonly replica?: number;
  /** Another node takes over, which may not have the last writes. */
  readonly losesWrites?: boolean;
}

export type Event = Try | Made | Ended | UserAct | Fault;

export interface Violation {
  readonly of: Try;
  readonly why: string;
}

/** Milliseconds, and a count: what the gateways of a soak are configured with. */
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

/** `timeout` of an authenticator. An answer may be that old when its lifetime begins. */
const longestLookup = 3_000;

/** An attempt without an outcome holds a slot of its user for this long, then counts as refused: docs/limits.md, "Lockout guard". */
export const abandonedAfter = 60_000;

/** What is written in the last moment before a master fails may be lost: README of authenticator-redis, "Commands". */
const replicationLag = 1_000;

/** pwdChangedTime has whole seconds: docs/limits.md, "LDAP". A session from about then may go on or not. */
const changeResolution = 2_000;

/** What a busy machine may add to each time. */
const grace = 1_000;

/** Which answers of the history the documents do not allow. */
export function judge(history: readonly Event[]): Violation[] {
  const past = createIndex(history);
  return history.filter(isTry).flatMap((one) => {
    if (one.answer === undefined || one.answer === 'error') return [];
    const why = one.answer === 'refused' ? refusalProblem(one, past) : acceptanceProblem(one, one.answer, past);
    return why === undefined ? [] : [{ of: one, why }];
  });
}

function isTry(event: Event): event is Try {
  return event.what === 'review' || event.what === 'login';
}

type Past = ReturnType<typeof createIndex>;

function createIndex(history: readonly Event[]) {
  const made = new Map<Secret, Made>();
  const endings = new Map<Secret, Ended[]>();
  const changes = new Map<string, Ended[]>();
  const acts = new Map<string, UserAct[]>();
  const tries = new Map<string, Try[]>();
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
      if (!isTry(event)) add(endings, event.secret, event);
      if (event.what === 'new password') add(changes, ofUser, event);
      if (isTry(event) && event.secret.kind === 'password') add(tries, ofUser, event);
    }
  }
  const actsOn = ({ user }: Secret) => acts.get(user?.username ?? '') ?? [];
  /** What is written in the moment before another node takes over may be lost. */
  const mayBeLost = ({ begin, end }: Span) =>
    faults.some(
      (fault) =>
        fault.losesWrites && fault.hits.includes('tokens') && fault.begin <= end + replicationLag && fault.end >= begin,
    );
  /** What else ends a session: docs/login.md, "What ends a session". */
  const sessionEndings = (secret: Secret, { begin, end }: Made): Ended[] => [
    ...(changes.get(secret.user?.username ?? '') ?? [])
      .filter((change) => begin <= change.end + changeResolution)
      .map((change) => ({ ...change, isSure: change.isSure && end < change.begin - changeResolution })),
    ...actsOn(secret)
      .filter((act) => act.what === 'forget' && begin <= act.end)
      .map((act) => {
        // docs/limits.md: a session of the moment before a failover may be in no list.
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
    /** The tries with a password of the same user, whoever made them. */
    triesOf: ({ user }: Secret) => tries.get(user?.username ?? '') ?? [],
    /** Those in this time that hit one of these parts, as far as a replica sees it. Left out: any replica. */
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

function acceptanceProblem(one: Try, user: Identity, past: Past): string | undefined {
  const { secret } = one;
  if (past.madeOf(secret) === undefined) return 'accepted, though it was never good';
  if (!isDeepStrictEqual(user, secret.user)) return `accepted as another user: ${JSON.stringify(user)}`;
  if (one.isForeign) return 'accepted for another cluster than its own';
  const ending = past.endingsOf(secret).find((ended) => ended.isSure && one.begin > lastUse(ended, one, past));
  if (ending !== undefined) return `accepted ${Math.round(one.begin - ending.end)} ms after: ${ending.what}`;
  return isSurelyBlocked(one, past) ? 'accepted, though its user is blocked' : undefined;
}

/** The last moment at which a try with an ended secret may begin, and still be accepted. */
function lastUse(ended: Ended, one: Try, past: Past): number {
  const during = [ended.begin, one.end] as const;
  const isHit = (...parts: Fault['hits']) => past.faultsOf(parts, during, one.replica).length > 0;
  // README of authenticator-redis, "Failures": another master is used within a second or two, though the old one answers.
  const settled = past.faultsOf(['tokens'], during).flatMap(({ losesWrites, end }) => (losesWrites ? [end] : []));
  switch (ended.what) {
    case 'removal':
      return ended.end;
    case 'revoke':
      // docs/operations.md, "Blocking and revoking": done when it exits with 0.
      return Math.max(ended.end, ...settled);
    case 'logout': {
      // docs/login.md, "What ends a session": within 1 s on every replica, those excepted that can neither ask nor hear.
      const isDeaf = isHit('tokens') && isHit('cache');
      return Math.max(ended.end, ...settled) + sessionTtl + grace + (isDeaf ? limits.staleTtl : 0);
    }
    case 'new password': {
      // docs/login.md, "What an administrator sees": a login leaves the cache out.
      if (one.what === 'login') return ended.end;
      // docs/operations.md, "How long a removed token works": an old password is accepted while its answer is cached.
      const { authenticatedTtl, revalidate, staleTtl } = limits;
      const lifetime = one.secret.kind === 'session' ? revalidate + sessionTtl : authenticatedTtl;
      const stale = isHit('directory', 'cache', 'tokens', 'replica') ? staleTtl : 0;
      return Math.min(ended.end + lifetime + longestLookup + grace + stale, forgottenAt(ended, one, past));
    }
  }
}

/** When all replicas had forgotten what they knew before a password was changed. */
function forgottenAt(ended: Ended, { secret }: Try, past: Past): number {
  const forgets = past
    .actsOn(secret)
    .filter(({ what, isSure, begin }) => what === 'forget' && isSure && begin > ended.end);
  return Math.min(Number.POSITIVE_INFINITY, ...forgets.map(({ end }) => end));
}

/** docs/operations.md, "Blocking and revoking": a command is done, on all replicas, when it exits with 0. */
function isSurelyBlocked({ secret, begin, end }: Try, past: Past): boolean {
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

function isPossiblyBlocked({ secret, begin, end }: Try, past: Past): boolean {
  const acts = past.actsOn(secret);
  const unblocks = acts.filter(({ what, isSure }) => what === 'unblock' && isSure);
  return acts.some(
    (block) =>
      block.what === 'block' &&
      block.begin <= end &&
      !unblocks.some((unblock) => unblock.begin >= block.begin && unblock.end < begin),
  );
}

/** An outage is no reason to refuse: docs/architecture.md. */
function refusalProblem(one: Try, past: Past): string | undefined {
  const { secret } = one;
  const made = past.madeOf(secret);
  if (made === undefined || made.end >= one.begin || one.isForeign) return undefined;
  if (mayBeBad(one, past) || isPossiblyBlocked(one, past)) return undefined;
  const isInTokens = secret.kind === 'session' || secret.kind === 'robot token';
  if (isInTokens && past.mayBeLost(made)) return undefined;
  if (secret.kind === 'password' && isThrottled(one, past)) return undefined;
  return 'refused, though it is right';
}

/** It was never good, or its end had begun. */
function mayBeBad({ secret, end }: Try, past: Past): boolean {
  return past.madeOf(secret) === undefined || past.endingsOf(secret).some(({ begin }) => begin <= end);
}

/**
 * Whether the lockout guard may refuse a right password: `maxFailures` *different* wrong ones in the window, and no replica
 * has to know that it is right (README, "What it does"; docs/configuration.md, "lockout and log").
 */
function isThrottled(one: Try, past: Past): boolean {
  const tries = past.triesOf(one.secret).filter(({ begin }) => begin <= one.end);
  const isRecent = ({ end }: Try) => end >= one.begin - limits.lockoutWindow - grace;
  const wrong = new Set(tries.filter((other) => isRecent(other) && mayBeBad(other, past)).map(({ secret }) => secret));
  // A replica that ended, or a Redis that failed, could not note their outcome: they count until they are forgotten.
  const since = one.begin - abandonedAfter - limits.lockoutWindow - grace;
  const interrupted = tries.filter(({ begin, end }) =>
    past.faultsOf(['cache', 'replica'], [begin, end]).some((fault) => fault.begin >= Math.max(begin, since)),
  );
  // An answer may come from a cache: then it was right at most so long before.
  const age = limits.authenticatedTtl + limits.staleTtl + longestLookup + grace;
  const isKnown = tries.some(
    ({ secret, begin, end, answer }) =>
      secret === one.secret &&
      typeof answer === 'object' &&
      end < one.begin &&
      past.faultsOf(['cache', 'replica'], [begin - age, one.end]).length === 0,
  );
  return wrong.size + interrupted.length >= limits.maxFailures && !isKnown;
}

/** The events around a violation, one a line. Secrets have numbers. */
export function historyOf({ of }: Violation, history: readonly Event[]): string[] {
  const [from, to] = [of.begin - 30_000, of.end + 2_000];
  const { user } = of.secret;
  const isAbout = (event: Event): boolean => {
    if (event.what === 'fault') return event.end >= from && event.begin <= to;
    if ('username' in event) return event.username === user?.username;
    if (event.secret === of.secret) return !isTry(event) || (event.begin >= from && event.begin <= to);
    // Other passwords lock a user out, and a new one ends sessions.
    const isOther = event.secret.kind === 'password' && event.secret.user?.username === user?.username;
    return isOther && event.begin >= from && event.begin <= to && (of.secret.kind === 'password' || !isTry(event));
  };
  const seconds = (time: number) => (Number.isFinite(time) ? ((time - of.begin) / 1_000).toFixed(3) : 'now');
  return history
    .filter(isAbout)
    .map(
      (event) => `${event === of ? '>' : ' '} ${seconds(event.begin)} to ${seconds(event.end)} s: ${describe(event)}`,
    );
}

function describe(event: Event): string {
  const nameOf = ({ kind, number, user }: Secret) => `${kind} ${number}${user ? ` of ${user.username}` : ''}`;
  if (event.what === 'fault') return event.kind + (event.replica === undefined ? '' : `, replica ${event.replica}`);
  if ('username' in event) return `${event.what} ${event.username}${event.isSure ? '' : ', not confirmed'}`;
  if (event.what === 'made') return `made ${nameOf(event.secret)}`;
  if (!isTry(event)) return `${event.what}, ${nameOf(event.secret)}${event.isSure ? '' : ', not confirmed'}`;
  const answer = typeof event.answer === 'object' ? 'accepted' : event.answer;
  return `${event.what} at replica ${event.replica}, ${nameOf(event.secret)}: ${answer}${event.isForeign ? ', another cluster' : ''}`;
}
