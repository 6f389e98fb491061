/** The history, indexed by what it is about. */
import {
  type Attempt,
  type Bind,
  type Ended,
  type Event,
  type Fault,
  isAttempt,
  type Made,
  type Secret,
  type Span,
  type Use,
  type UserAct,
} from './history.ts';
import { changeResolution, replicationLag } from './limits.ts';

export interface Past {
  madeOf(secret: Secret): Made | undefined;
  endingsOf(secret: Secret): readonly Ended[];
  /** The acts on a user by either name. */
  actsOn(secret: Secret): readonly UserAct[];
  /** Whether a write may be lost, since it came in the moment before another node took over. @param part default: `tokens` */
  mayBeLost(write: Span, part?: 'cache' | 'tokens'): boolean;
  /** The attempts with a password of the same user, whoever made them. */
  attemptsOf(secret: Secret): readonly Attempt[];
  /** The uses of the same code, or of codes of the same app. */
  usesLike(use: Use): readonly Use[];
  bindsOf(username: string): readonly Bind[];
  /** The faults in this time that hit one of these parts, as far as the replica `at` sees it. Left out for any replica. */
  faultsOf(
    hits: Fault['hits'],
    time: readonly [from: number, to: number],
    at?: number,
  ): readonly Fault[];
}

export function createPast(history: readonly Event[]): Past {
  const made = new Map<Secret, Made>();
  const endings = new Map<Secret, Ended[]>();
  const changes = new Map<string, Ended[]>();
  const acts = new Map<string, UserAct[]>();
  const attempts = new Map<string, Attempt[]>();
  const uses = new Map<Secret, Use[]>();
  const binds = new Map<string, Bind[]>();
  const faults: Fault[] = [];
  const add = <Key, Item>(map: Map<Key, Item[]>, key: Key, item: Item) => {
    const items = map.get(key);
    if (items === undefined) map.set(key, [item]);
    else items.push(item);
  };
  for (const event of history) {
    if (event.what === 'made') made.set(event.secret, event);
    else if (event.what === 'fault') faults.push(event);
    else if (event.what === 'bind') add(binds, event.username, event);
    else if (event.what === 'use') add(uses, event.step?.app ?? event.secret, event);
    else if ('username' in event) add(acts, event.username, event);
    else {
      const ofUser = event.secret.user?.username ?? '';
      if (!isAttempt(event)) add(endings, event.secret, event);
      if (event.what === 'new password') add(changes, ofUser, event);
      if (isAttempt(event) && event.secret.kind === 'password') add(attempts, ofUser, event);
    }
  }
  const actsOn = ({ user, account }: Secret): readonly UserAct[] => {
    const ofUser = acts.get(user?.username ?? '') ?? [];
    return account === undefined ? ofUser : [...ofUser, ...(acts.get(account) ?? [])];
  };
  const mayBeLost = ({ begin, end }: Span, part: 'cache' | 'tokens' = 'tokens') =>
    faults.some(
      (fault) =>
        fault.losesWrites &&
        fault.hits.includes(part) &&
        fault.begin <= end + replicationLag &&
        fault.end >= begin,
    );
  /** The other events that end a session: docs/login.md, "What ends a session". */
  const sessionEndings = (secret: Secret, { begin, end, login }: Made): Ended[] => {
    // A login that is in progress when its user's sessions end makes no session: docs/how-long-access-lasts.md.
    const provedBy = login?.provedBy ?? end;
    return [
      ...(changes.get(secret.user?.username ?? '') ?? [])
        .filter((change) => begin <= change.end + changeResolution)
        .map((change) => ({
          ...change,
          isSure: change.isSure && end < change.begin - changeResolution,
        })),
      ...actsOn(secret)
        .filter(({ what, end: actEnd }) => isEnding(what) && begin <= actEnd)
        .map((act) => {
          // docs/security.md: a session of the moment before a failover may be in no list.
          const isListed = provedBy < act.begin && !mayBeLost({ begin, end });
          const what = act.what === 'everywhere' ? ('logout' as const) : ('revoke' as const);
          return { ...act, what, cause: act.what, secret, isSure: act.isSure && isListed };
        }),
      // A session that was made before lasts as long as any other.
      ...((login?.app && endings.get(login.app)) ?? []).map((removal) => ({
        ...removal,
        what: 'revoke' as const,
        cause: 'removal of the app' as const,
        isSure: removal.isSure && removal.end < (login?.redeemedFrom ?? begin),
      })),
    ];
  };
  return {
    madeOf: (secret) => made.get(secret),
    endingsOf(secret) {
      const [direct, from] = [endings.get(secret) ?? [], made.get(secret)];
      return secret.kind === 'session' && from
        ? [...direct, ...sessionEndings(secret, from)]
        : direct;
    },
    actsOn,
    mayBeLost,
    attemptsOf: ({ user }) => attempts.get(user?.username ?? '') ?? [],
    usesLike: ({ secret, step }) => uses.get(step?.app ?? secret) ?? [],
    bindsOf: (username) => binds.get(username) ?? [],
    faultsOf: (hits, [from, to], at) =>
      faults.filter(
        ({ begin, end, hits: hit, replica }) =>
          begin <= to &&
          end >= from &&
          hit.some((part) => hits.includes(part)) &&
          (at === undefined || replica === undefined || replica === at),
      ),
  };
}

const isEnding = (what: UserAct['what']): boolean =>
  what === 'forget' || what === 'reset' || what === 'everywhere';

/**
 * Finds when all replicas had forgotten what they cached of a user.
 *
 * @param since the time from which they cached the right answer
 */
export function forgottenAt(since: number, secret: Secret, past: Past): number {
  const forgets = past
    .actsOn(secret)
    .filter(
      ({ what, isSure, begin }) =>
        (what === 'forget' || what === 'reset') && isSure && begin > since,
    );
  return Math.min(Number.POSITIVE_INFINITY, ...forgets.map(({ end }) => end));
}
