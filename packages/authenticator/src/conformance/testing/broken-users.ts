import { setImmediate } from 'node:timers/promises';
import type { Decision, LoggedIn, RevalidateContext, UserInfo } from '../../index.ts';
import { type BrokenPlugin, type MemoryPlugin, withAuthenticator } from './broken-plugin.ts';

type LookUpContext = Pick<RevalidateContext, 'signal' | 'trace'>;
type LookUp = (username: string, context: LookUpContext) => Promise<UserInfo | undefined>;
type Revalidate = (user: LoggedIn, context: RevalidateContext) => Promise<Decision>;

const missing = () => Promise.reject(new Error('the good one has it'));

function withLookUp(good: MemoryPlugin, change: (inner: LookUp) => (...call: Parameters<LookUp>) => unknown) {
  return withAuthenticator(good, ({ lookUp = missing }) => ({ lookUp: change(lookUp) as LookUp }));
}

function withRevalidate(
  good: MemoryPlugin,
  change: (inner: Revalidate) => (...call: Parameters<Revalidate>) => unknown,
) {
  return withAuthenticator(good, ({ revalidate = missing }) => ({ revalidate: change(revalidate) as Revalidate }));
}

/** The same mistake in either method. */
const withBoth = (change: (inner: (who: never, context: never) => Promise<unknown>) => unknown) => ({
  lookUp: (good: MemoryPlugin) => withLookUp(good, change as never),
  revalidate: (good: MemoryPlugin) => withRevalidate(good, change as never),
});

const deaf = { signal: new AbortController().signal };

const ignoresAbort = withBoth((inner) => (who: never, context: object) => inner(who, { ...context, ...deaf } as never));

const ignoresAbortOfAbortedOnly = withBoth(
  (inner) => (who: never, context: LookUpContext) =>
    inner(who, (context.signal.aborted ? { ...context, ...deaf } : context) as never),
);

const tracesPassword = (good: MemoryPlugin, name: 'lookUp' | 'revalidate'): MemoryPlugin => ({
  ...good,
  async create(options, context) {
    const inner = await good.create(options, context);
    const call = (who: never, given: LookUpContext) => {
      given.trace?.(`bound as the service account with ${Buffer.from(options.password).toString('base64')}`);
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

/** The cases that get no answer where there is no such method. */
const casesWithAnswers = {
  lookUp: [
    '150 calls of lookUp() at once keep users apart',
    'lookUp() finds no one by a name that no user has, and never throws',
    'lookUp() finds the users of valid tokens, as their tokens give them',
    'lookUp() reports a stopped backend as unavailable',
  ],
  revalidate: [
    '150 calls of revalidate() at once keep users apart',
    'revalidate() decides in the words of the contract, and never without an opinion',
    'revalidate() lets the users of valid tokens stay, as their tokens give them',
    'revalidate() refuses a login from before the password was changed',
    'revalidate() refuses a name that no user has as unknown-user, and never throws',
    'revalidate() refuses a user with another uid as unknown-user',
    'revalidate() refuses users whom the backend does not let in, with the reason',
    'revalidate() reports a stopped backend as unavailable',
  ],
};

const brokenMethods: readonly BrokenPlugin[] = (['lookUp', 'revalidate'] as const).flatMap((name) => [
  {
    mistake: `has a ${name} that is no function`,
    fails: 'lookUp() and revalidate() are there exactly where the harness says so',
    alsoFails: casesWithAnswers[name],
    make: ({ good }) => withAuthenticator(good, () => ({ [name]: true as never })),
  },
  {
    mistake: `${name} does not look at a signal that is aborted already`,
    fails: `${name}() ends by a throw when it is aborted`,
    make: ({ good }) => ignoresAbortOfAbortedOnly[name](good),
  },
  {
    mistake: `${name} does not look at its signal`,
    fails: `${name}() ends when it is aborted while the backend hangs`,
    alsoFails: [`${name}() ends by a throw when it is aborted`],
    make: ({ good }) => ignoresAbort[name](good),
  },
  {
    mistake: `${name} traces the password of the service account`,
    fails: `${name}() says no password: not in an answer, a step, an error, a log line or a metric`,
    make: ({ good }) => tracesPassword(good, name),
  },
  {
    mistake: `${name} keeps the user outside of the call`,
    fails: `150 calls of ${name}() at once keep users apart`,
    make: ({ good }) => sharesState[name](good),
  },
]);

const brokenLookUps: readonly BrokenPlugin[] = [
  {
    mistake: 'looks up no groups',
    fails: 'lookUp() finds the users of valid tokens, as their tokens give them',
    alsoFails: ['150 calls of lookUp() at once keep users apart'],
    make: ({ good }) =>
      withLookUp(good, (inner) => async (...call) => {
        const user = await inner(...call);
        return user && { username: user.username, uid: user.uid };
      }),
  },
  {
    mistake: 'throws for a name that no one has',
    fails: 'lookUp() finds no one by a name that no user has, and never throws',
    alsoFails: ['150 calls of lookUp() at once keep users apart'],
    make: ({ good }) =>
      withLookUp(good, (inner) => async (...call) => {
        const user = await inner(...call);
        if (user === undefined) throw new Error('no such user');
        return user;
      }),
  },
  {
    mistake: 'reads a name up to its NUL',
    fails: 'lookUp() finds no one by a name that no user has, and never throws',
    make: ({ good }) => withLookUp(good, (inner) => (name, context) => inner(name.split('\0')[0] ?? '', context)),
  },
  {
    mistake: 'finds no one during an outage',
    fails: 'lookUp() reports a stopped backend as unavailable',
    make: ({ good }) =>
      withLookUp(good, (inner) => async (name, context) => {
        const found = await inner(name, context).catch(() => undefined);
        context.signal.throwIfAborted();
        return found;
      }),
  },
];

const revalidated =
  (change: (decision: Decision, user: LoggedIn, context: RevalidateContext) => unknown) =>
  ({ good }: { readonly good: MemoryPlugin }) =>
    withRevalidate(good, (inner) => async (user, context) => change(await inner(user, context), user, context));

const brokenRevalidations: readonly BrokenPlugin[] = [
  {
    mistake: 'reads no groups anew',
    fails: 'revalidate() lets the users of valid tokens stay, as their tokens give them',
    alsoFails: ['150 calls of revalidate() at once keep users apart'],
    make: revalidated((decision, { username }) =>
      decision.kind === 'authenticated' ? { ...decision, user: { username } } : decision,
    ),
  },
  {
    mistake: 'has no opinion of a name that no one has',
    fails: 'revalidate() refuses a name that no user has as unknown-user, and never throws',
    alsoFails: [
      '150 calls of revalidate() at once keep users apart',
      'revalidate() decides in the words of the contract, and never without an opinion',
      'revalidate() refuses a user with another uid as unknown-user',
    ],
    make: revalidated((decision) =>
      decision.kind === 'rejected' && decision.reason === 'unknown-user' ? { kind: 'no-opinion' } : decision,
    ),
  },
  {
    mistake: 'does not compare the uid',
    fails: 'revalidate() refuses a user with another uid as unknown-user',
    make: ({ good }) =>
      withRevalidate(
        good,
        (inner) =>
          ({ username }, context) =>
            inner({ username }, context),
      ),
  },
  {
    mistake: 'compares the beginning of the uid',
    fails: 'revalidate() refuses a user with another uid as unknown-user',
    make: ({ good }) =>
      withRevalidate(good, (inner) => ({ username, uid }, context) => {
        const known = { alice: '1-alice', bob: '2-bob' }[username];
        return inner({ username, ...(uid && { uid: known?.startsWith(uid) ? known : uid }) }, context);
      }),
  },
  {
    mistake: 'lets a locked user stay',
    fails: 'revalidate() refuses users whom the backend does not let in, with the reason',
    make: revalidated((decision, { username }) =>
      decision.kind === 'rejected' && decision.reason === 'locked'
        ? { kind: 'authenticated', user: { username } }
        : decision,
    ),
  },
  {
    mistake: 'does not look at when the password was changed',
    fails: 'revalidate() refuses a login from before the password was changed',
    make: ({ good }) =>
      withRevalidate(good, (inner) => (user, context) => inner(user, { ...context, since: new Date() })),
  },
  {
    mistake: 'passes on what the backend said',
    fails: 'revalidate() decides in the words of the contract, and never without an opinion',
    make: revalidated((decision) => (decision.kind === 'rejected' ? { ...decision, message: 'data 775' } : decision)),
  },
  {
    mistake: 'refuses all sessions during an outage',
    fails: 'revalidate() reports a stopped backend as unavailable',
    make: ({ good }) =>
      withRevalidate(good, (inner) => async (user, context) => {
        const refused = { kind: 'rejected', reason: 'unknown-user' };
        const decision = await inner(user, context).catch(() => refused);
        context.signal.throwIfAborted();
        return decision;
      }),
  },
];

export const brokenUsers: readonly BrokenPlugin[] = [...brokenMethods, ...brokenLookUps, ...brokenRevalidations];
