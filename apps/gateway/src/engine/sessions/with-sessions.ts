import {
  type Authenticated,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type RejectionReason,
} from '@sallyport/authenticator';
import { after, memoize } from '../chain/answer.ts';
import type { LinkContext } from '../chain/chain.ts';
import { layer } from '../chain/layer.ts';
import { digestToken } from '../revocation/list.ts';
import { UserContext } from '../users/user-context.ts';
import type { Session, SessionTexts } from './session-text.ts';
import type { SessionUsers } from './session-user.ts';

/** A session that is refused although it has not ended. */
export interface RefusedSession {
  readonly session: Session;
  readonly token: string;
  /** The reason that the authenticator of its user gave. */
  readonly reason: RejectionReason;
}

export interface SessionDependencies {
  readonly texts: SessionTexts;
  /** `login.clusters`, by their names. */
  readonly clusters: Readonly<Record<string, { readonly audience: string }>>;
  /** Finds what answers for the users of an authenticator or a provider. Undefined: they can't log in, and their sessions are refused. */
  readonly findSessionUsers: (session: Session) => SessionUsers | undefined;
  /**
   * Whether the login of a session lacks the second factor that its user must have now. @param groups as Kubernetes sees them
   */
  readonly isFactorMissing: (session: Session, groups: readonly string[] | undefined) => boolean;
  /** Called with each session that is refused because of its user, but not with a refusal from a cache. */
  readonly onRefused: (refused: RefusedSession) => void;
  /** `provenance.keyPrefix`: the time of the login is put into `extra`. */
  readonly keyPrefix?: string | undefined;
  /** The wall clock, in milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Decides about sessions: they are tokens of `inner`, and name users of other authenticators, who are looked up again. Of the
 * record of a session only its text is used, and only if it was written for this token. A token that is not a session is not
 * accepted here.
 */
export function withSessions(
  inner: Authenticator,
  dependencies: SessionDependencies,
): Authenticator {
  const { texts, clusters, findSessionUsers, isFactorMissing, onRefused, keyPrefix, now } =
    dependencies;
  const open = memoize(({ session: text }: Authenticated, token: string) =>
    text === undefined ? undefined : texts.read(digestToken(token), text),
  );

  function decide(
    decision: Decision,
    token: string,
    context: LinkContext,
  ): Decision | Promise<Decision> {
    if (decision.kind !== 'authenticated') return decision;
    const session = open(decision, token);
    if (session === undefined) return refuseUnreadable(texts, decision.session, token, context);
    if (session.until <= now())
      return { kind: 'rejected', reason: 'expired', subject: decision.user.username };
    const { name: subject } = session;
    const refuse = (reason: RejectionReason): Decision => ({ kind: 'rejected', reason, subject });
    if (!isForCluster(session, clusters)) {
      const { cluster = 'none', audience = 'none' } = session;
      context.trace?.(
        `the session is for the cluster ${cluster} with the audience ${audience}, which is not in login.clusters`,
      );
      return {
        ...refuse('audience-mismatch'),
        ...(session.audience && { audiences: [session.audience] }),
      };
    }
    const users = findSessionUsers(session);
    // The authenticator or provider was removed from `login`. A refusal makes the user log in again.
    if (users === undefined) return refuse('unknown-user');
    const userContext = new UserContext(context, context.onNames, undefined, context.onDirectory);
    return after(users(session, userContext), (today) => {
      const isMissing =
        today.kind === 'authenticated' && isFactorMissing(session, today.user.groups);
      if (isMissing) {
        const { amr = ['pwd'] } = session;
        context.trace?.(
          `the user logged in without a second factor (amr ${amr.join(' ')}), which login.secondFactor.required demands now: they must log in again`,
        );
      }
      const decided = isMissing
        ? refuse('second-factor')
        : decideAboutUser(today, decision, session, keyPrefix);
      if (decided.kind === 'rejected' && !userContext.isCached)
        onRefused({ session, token, reason: decided.reason });
      return decided;
    });
  }

  return layer(inner, (token, context) =>
    after(inner.authenticate(token, context), (decision) => decide(decision, token, context)),
  );
}

/**
 * Says whether a session is for a cluster of the config. If there are clusters, an older session without one is refused: it
 * would be valid for all.
 */
export function isForCluster(
  { cluster, audience }: Pick<Session, 'cluster' | 'audience'>,
  clusters: SessionDependencies['clusters'],
): boolean {
  if (Object.keys(clusters).length === 0) return true;
  return (
    cluster !== undefined &&
    Object.hasOwn(clusters, cluster) &&
    clusters[cluster]?.audience === audience
  );
}

function decideAboutUser(
  today: Decision,
  { session: text, expiresAt }: Authenticated,
  session: Session,
  keyPrefix: string | undefined,
): Decision {
  if (today.kind === 'rejected') return today;
  if (today.kind !== 'authenticated') {
    throw new AuthenticatorError(
      'failed',
      `authenticator ${session.authenticator} has no opinion about a user`,
    );
  }
  // Blocks, and people, know the session by the name of the login. Another prefix in gateway.yaml makes another user.
  if (today.user.username !== session.name) {
    return { kind: 'rejected', reason: 'unknown-user', subject: session.name };
  }
  const { audience, since, until, provider } = session;
  const end = Math.min(until, expiresAt?.getTime() ?? until);
  // This is outside of the identity policy, which lets no backend set the key.
  const extra = keyPrefix && { [`${keyPrefix}/authenticated-at`]: [new Date(since).toISOString()] };
  return Object.freeze({
    kind: 'authenticated',
    user: extra ? { ...today.user, extra: { ...today.user.extra, ...extra } } : today.user,
    ...(audience !== undefined && { audiences: Object.freeze([audience]) }),
    ...(provider?.credential && { credential: provider.credential }),
    expiresAt: new Date(end),
    ...(text !== undefined && { session: text }),
  });
}

/** Refuses what can't be read as a session because its key was removed. @throws AuthenticatorError for every other text */
function refuseUnreadable(
  texts: SessionTexts,
  text: string | undefined,
  token: string,
  { trace }: LinkContext,
): Decision {
  if (text !== undefined && texts.isKeyRemoved(text)) {
    trace?.(
      'the session was sealed with a key that is not in cache.redis.sealingKeys now: its user must log in again',
    );
    return { kind: 'rejected', reason: 'sealing-key-removed' };
  }
  const problem =
    text === undefined
      ? 'is not a session: only tokens of the login server are accepted here'
      : 'was not written by a gateway with these sealing keys for this token';
  throw new AuthenticatorError(
    'failed',
    `the record of the token with the SHA-256 ${digestToken(token)} ${problem}`,
  );
}
