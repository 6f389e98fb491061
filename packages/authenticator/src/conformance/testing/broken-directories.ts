import type { Decision, LoggedIn, RevalidateContext, UserInfo } from '../../index.ts';
import type { Break, BrokenPlugins } from './broken-plugin.ts';
import { revalidated, withLookUp, withRevalidate } from './broken-users.ts';

/** Changes what `lookUp` finds for the token of another authenticator. */
const foundForToken = (change: (user: UserInfo | undefined) => unknown): Break =>
  withLookUp((inner) => async (name, context) => {
    const user = await inner(name, context);
    return context.isJoin ? change(user) : user;
  });

/** Makes a second guess at a name that no one has, for the token of another authenticator. */
const guessesForToken = (guess: (name: string) => string): Break =>
  withLookUp(
    (inner) => async (name, context) =>
      (await inner(name, context)) ??
      ((context.isJoin && inner(guess(name), context)) || undefined),
  );

const withoutLogin = (
  change: (decision: Decision, user: LoggedIn, context: RevalidateContext) => unknown,
): Break =>
  revalidated((decision, user, context) =>
    context.since === undefined ? change(decision, user, context) : decision,
  );

export const brokenDirectories: BrokenPlugins = {
  'lookUp() for the token of another authenticator finds the users of valid tokens': {
    'finds a user without their uid': foundForToken(
      (user) => user && { username: user.username, groups: user.groups },
    ),
    'finds a user with a group too many': foundForToken(
      (user) => user && { ...user, groups: [...(user.groups ?? []), 'more'] },
    ),
  },
  'lookUp() for the token of another authenticator finds no one by a name that no user has, or throws failed':
    {
      'throws where a token has a name that no one has': foundForToken((user) => {
        if (user === undefined) throw new Error('no such user');
        return user;
      }),
      'reads the name in a token up to its NUL': guessesForToken(
        (name) => name.split('\0')[0] ?? '',
      ),
    },
  'lookUp() for the token of another authenticator finds no one by another Unicode form of a name':
    {
      'removes accents': guessesForToken((name) => name.normalize('NFD').replace(/\p{M}/gu, '')),
      'replaces compatibility forms': guessesForToken((name) => name.normalize('NFKC')),
      'replaces letters that look the same': guessesForToken((name) =>
        name.toUpperCase().toLowerCase(),
      ),
      'removes spaces around a name': guessesForToken((name) => name.trim()),
      'removes spaces within a name': guessesForToken((name) =>
        name.replace(/(?<=\w) +(?=\w)/g, ''),
      ),
      'removes invisible characters': guessesForToken((name) => name.replace(/\p{Cf}/gu, '')),
    },
  'lookUp() for the token of another authenticator finds users that the backend does not let in, or throws':
    {
      'finds no one whose account is locked': foundForToken((user) =>
        user?.username === 'carol' ? undefined : user,
      ),
    },
  'revalidate() without the time of a login authenticates the users of valid tokens, as their tokens give them':
    {
      'takes a login without a time for a very old one': withRevalidate(
        (inner) =>
          (user, { since = new Date(0), ...context }) =>
            inner(user, { ...context, since }),
      ),
      'reads no groups of a user who did not log in': withoutLogin((decision, { username, uid }) =>
        decision.kind === 'authenticated' ? { ...decision, user: { username, uid } } : decision,
      ),
    },
  'revalidate() without the time of a login refuses users that the backend does not let in, with the reason':
    {
      'does not look at the account of a user who did not log in': withoutLogin(
        (decision, { username, uid }) =>
          decision.kind === 'rejected' && decision.reason === 'locked'
            ? { kind: 'authenticated', user: { username, uid } }
            : decision,
      ),
    },
  'revalidate() without the time of a login refuses a user with another uid as unknown-user': {
    'does not compare the uid of a user who did not log in': withRevalidate(
      (inner) => (user, context) =>
        inner(context.since === undefined ? { username: user.username } : user, context),
    ),
  },
};
