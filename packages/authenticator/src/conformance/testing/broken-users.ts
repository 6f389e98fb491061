import { setImmediate } from 'node:timers/promises';
import type {
  Decision,
  LoggedIn,
  LookUpContext,
  RevalidateContext,
  UserInfo,
} from '../../index.ts';
import { type Break, type BrokenPlugins, withAuthenticator } from './broken-plugin.ts';

type LookUp = (username: string, context: LookUpContext) => Promise<UserInfo | undefined>;
type Revalidate = (user: LoggedIn, context: RevalidateContext) => Promise<Decision>;

const missing = () => Promise.reject(new Error('the good one has it'));

export const withLookUp = (
  change: (inner: LookUp) => (...call: Parameters<LookUp>) => unknown,
): Break => withAuthenticator(({ lookUp = missing }) => ({ lookUp: change(lookUp) as LookUp }));

export const withRevalidate = (
  change: (inner: Revalidate) => (...call: Parameters<Revalidate>) => unknown,
): Break =>
  withAuthenticator(({ revalidate = missing }) => ({
    revalidate: change(revalidate) as Revalidate,
  }));

/** Makes the same mistake in either method. */
const withBoth = (
  change: (inner: (who: never, context: never) => Promise<unknown>) => unknown,
) => ({
  lookUp: withLookUp(change as never),
  revalidate: withRevalidate(change as never),
});

const deaf = { signal: new AbortController().signal };

const ignoresAbort = withBoth(
  (inner) => (who: never, context: object) => inner(who, { ...context, ...deaf } as never),
);

const ignoresAbortOfAbortedOnly = withBoth(
  (inner) => (who: never, context: LookUpContext) =>
    inner(who, (context.signal.aborted ? { ...context, ...deaf } : context) as never),
);

const tracesPassword =
  (name: 'lookUp' | 'revalidate'): Break =>
  ({ good }) => ({
    ...good,
    async create(options, context) {
      const inner = await good.create(options, context);
      const call = (who: never, given: LookUpContext) => {
        given.trace?.(
          `bound as the service account with ${Buffer.from(options.password).toString('base64')}`,
        );
        return inner[name]?.(who, given as never);
      };
      return { ...inner, [name]: call };
    },
  });

/** Keeps the name of the call outside of the call. */
const sharesState = withBoth((inner) => {
  let current: unknown;
  return async (who: unknown, context: never) => {
    current = who;
    await setImmediate();
    return await inner(current as never, context);
  };
});

/** These cases get no answer where there is no such method. */
const casesWithAnswers = {
  lookUp: [
    '150 concurrent calls of lookUp() keep users apart',
    'lookUp() finds no one by a name that no user has, and never throws',
    'lookUp() finds the users of valid tokens, as their tokens give them',
    'lookUp() for the token of another authenticator finds the users of valid tokens',
    'lookUp() for the token of another authenticator finds no one by a name that no user has, or throws failed',
    'lookUp() reports a stopped backend as unavailable',
  ],
  revalidate: [
    '150 concurrent calls of revalidate() keep users apart',
    'revalidate() decides in the words of the contract, and never without an opinion',
    'revalidate() lets the users of valid tokens stay, as their tokens give them',
    'revalidate() refuses a login from before the password was changed',
    'revalidate() refuses a name that no user has as unknown-user, and never throws',
    'revalidate() refuses a user with another uid as unknown-user',
    'revalidate() refuses users that the backend does not let in, with the reason',
    'revalidate() reports a stopped backend as unavailable',
    'revalidate() without the time of a login authenticates the users of valid tokens, as their tokens give them',
    'revalidate() without the time of a login refuses users that the backend does not let in, with the reason',
    'revalidate() without the time of a login refuses a user with another uid as unknown-user',
  ],
};

const brokenMethods = (['lookUp', 'revalidate'] as const).map(
  (name): BrokenPlugins => ({
    'lookUp() and revalidate() are there exactly where the harness says so': {
      [`has a ${name} that is not a function`]: [
        withAuthenticator(() => ({ [name]: true as never })),
        ...casesWithAnswers[name],
      ],
    },
    [`${name}() ends by a throw when it is aborted`]: {
      [`${name} does not look at a signal that is aborted already`]:
        ignoresAbortOfAbortedOnly[name],
    },
    [`${name}() ends when it is aborted while the backend hangs`]: {
      [`${name} does not look at its signal`]: [
        ignoresAbort[name],
        `${name}() ends by a throw when it is aborted`,
      ],
    },
    [`${name}() shows no password in an answer, a step, an error, a log line or a metric`]: {
      [`${name} traces the password of the service account`]: tracesPassword(name),
    },
    [`150 concurrent calls of ${name}() keep users apart`]: {
      [`${name} keeps the user outside of the call`]: sharesState[name],
    },
  }),
);

const brokenLookUps: BrokenPlugins = {
  'lookUp() finds the users of valid tokens, as their tokens give them': {
    'looks up no groups': [
      withLookUp((inner) => async (...call) => {
        const user = await inner(...call);
        return user && { username: user.username, uid: user.uid };
      }),
      '150 concurrent calls of lookUp() keep users apart',
    ],
  },
  'lookUp() finds no one by a name that no user has, and never throws': {
    'throws for a name that no one has': [
      withLookUp((inner) => async (...call) => {
        const user = await inner(...call);
        if (user === undefined) throw new Error('no such user');
        return user;
      }),
      '150 concurrent calls of lookUp() keep users apart',
      'lookUp() for the token of another authenticator finds no one by a name that no user has, or throws failed',
    ],
    'reads a name up to its NUL': [
      withLookUp((inner) => (name, context) => inner(name.split('\0')[0] ?? '', context)),
      'lookUp() for the token of another authenticator finds no one by a name that no user has, or throws failed',
    ],
  },
  'lookUp() reports a stopped backend as unavailable': {
    'finds no one during an outage': withLookUp((inner) => async (name, context) => {
      const found = await inner(name, context).catch(() => undefined);
      context.signal.throwIfAborted();
      return found;
    }),
  },
};

export const revalidated = (
  change: (decision: Decision, user: LoggedIn, context: RevalidateContext) => unknown,
): Break =>
  withRevalidate(
    (inner) => async (user, context) => change(await inner(user, context), user, context),
  );

const brokenRevalidations: BrokenPlugins = {
  'revalidate() lets the users of valid tokens stay, as their tokens give them': {
    'reads no groups again': [
      revalidated((decision, { username }) =>
        decision.kind === 'authenticated' ? { ...decision, user: { username } } : decision,
      ),
      '150 concurrent calls of revalidate() keep users apart',
      'revalidate() without the time of a login authenticates the users of valid tokens, as their tokens give them',
    ],
  },
  'revalidate() refuses a name that no user has as unknown-user, and never throws': {
    'has no opinion of a name that no one has': [
      revalidated((decision) =>
        decision.kind === 'rejected' && decision.reason === 'unknown-user'
          ? { kind: 'no-opinion' }
          : decision,
      ),
      '150 concurrent calls of revalidate() keep users apart',
      'revalidate() decides in the words of the contract, and never without an opinion',
      'revalidate() refuses a user with another uid as unknown-user',
      'revalidate() without the time of a login refuses a user with another uid as unknown-user',
    ],
  },
  'revalidate() refuses a user with another uid as unknown-user': {
    'does not compare the uid': [
      withRevalidate(
        (inner) =>
          ({ username }, context) =>
            inner({ username }, context),
      ),
      'revalidate() without the time of a login refuses a user with another uid as unknown-user',
    ],
    'compares the beginning of the uid': [
      withRevalidate((inner) => ({ username, uid }, context) => {
        const known = { alice: '1-alice', bob: '2-bob' }[username];
        return inner(
          { username, ...(uid && { uid: known?.startsWith(uid) ? known : uid }) },
          context,
        );
      }),
      'revalidate() without the time of a login refuses a user with another uid as unknown-user',
    ],
  },
  'revalidate() refuses users that the backend does not let in, with the reason': {
    'lets a locked user stay': [
      revalidated((decision, { username }) =>
        decision.kind === 'rejected' && decision.reason === 'locked'
          ? { kind: 'authenticated', user: { username } }
          : decision,
      ),
      'revalidate() without the time of a login refuses users that the backend does not let in, with the reason',
    ],
  },
  'revalidate() refuses a login from before the password was changed': {
    'does not look at when the password was changed': withRevalidate(
      (inner) => (user, context) => inner(user, { ...context, since: new Date() }),
    ),
  },
  'revalidate() decides in the words of the contract, and never without an opinion': {
    'passes on what the backend said': revalidated((decision) =>
      decision.kind === 'rejected' ? { ...decision, message: 'data 775' } : decision,
    ),
  },
  'revalidate() reports a stopped backend as unavailable': {
    'refuses all sessions during an outage': withRevalidate((inner) => async (user, context) => {
      const refused = { kind: 'rejected', reason: 'unknown-user' };
      const decision = await inner(user, context).catch(() => refused);
      context.signal.throwIfAborted();
      return decision;
    }),
  },
};

export const brokenUsers: readonly BrokenPlugins[] = [
  ...brokenMethods,
  brokenLookUps,
  brokenRevalidations,
];
