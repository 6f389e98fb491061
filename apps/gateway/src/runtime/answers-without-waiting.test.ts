import type { Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { authenticated, lifetimes } from '../engine/cache/testing/cached-replica.ts';
import { type ChainContext, chain } from '../engine/chain/chain.ts';
import type { Entry } from '../engine/revocation/list.ts';
import { corpConfig, linkOf, linkParts } from './testing/link-parts.ts';

const audiences = ['a', 'b'];

/** The context of a review that no one needs to wait for: to read its signal is an error. */
const withoutWaiting: ChainContext = {
  audiences,
  isAborted: false,
  get signal(): never {
    throw new Error('the signal was read');
  },
};

interface ChainRules {
  readonly usernamePrefix?: string;
  readonly apiAudiences?: () => readonly string[];
}

/** Chains over one cache, each as a generation has it, around a backend whose answer is there already or is not. */
function createChains(answer: (token: string) => Decision | Promise<Decision>, cached = true) {
  const blocked = new Set<string>();
  const list = { isUnknown: false };
  const entry = { kind: 'user', by: 'root' } as Entry;
  const isBlocked = (name: string) => (blocked.has(name) ? entry : undefined);
  const parts = linkParts();
  const generation = ({ usernamePrefix = 'corp:', apiAudiences = () => [] }: ChainRules = {}) => {
    const link = linkOf({
      ...parts,
      config: {
        ...corpConfig,
        username: { prefix: usernamePrefix },
        ...(cached ? {} : { cache: 'off' as const }),
      },
      authenticator: { authenticate: (token) => answer(token), close: async () => {} },
      prefixes: { usernames: [usernamePrefix], groups: ['corp:'] },
      apiAudiences,
      blocks: {
        get isUnknown() {
          return list.isUnknown;
        },
        findByToken: isBlocked,
        findByUser: isBlocked,
        findByCredential: ({ sid = '' }) => isBlocked(sid),
      },
      provenance: {
        keyPrefix: 'sallyport.example.com',
        fingerprint: (token) => `digest of ${token}`,
      },
    });
    const { authenticate } = chain([link], parts.clocks.monotonic);
    return {
      now: (token = 'token', context = withoutWaiting) => authenticate(token, context),
      wait: waitFor(authenticate),
    };
  };
  return { generation, revocations: parts.cache.revocations, blocked, list, clocks: parts.clocks };
}

const waitFor =
  (authenticate: ReturnType<typeof chain>['authenticate']) =>
  async (token = 'token') =>
    await authenticate(token, { audiences, signal: new AbortController().signal });

const frozenJane = (): Decision => {
  const user = Object.freeze({ username: 'jane', groups: Object.freeze(['dev']) });
  return Object.freeze({ kind: 'authenticated', user, audiences: Object.freeze(['b', 'c']) });
};

test('an answer in memory takes neither a promise nor a signal', async () => {
  const { now, wait } = createChains(async () => ({
    ...authenticated('jane', { groups: ['dev'] }),
    audiences: ['b'],
  })).generation();
  const first = await wait();
  for (const _ of [1, 2]) expect(now()).toEqual(first);
});

test('nor does a decision that a plugin returns immediately', () => {
  const jane = frozenJane();
  const { now } = createChains(() => jane, false).generation();
  for (const _ of [1, 2]) {
    expect(now()).toMatchObject({
      user: { username: 'corp:jane', groups: ['corp:dev'] },
      audiences: ['b'],
    });
  }
  // Its names are made once.
  const groups = () => (now() as { user: { groups: readonly string[] } }).user.groups;
  expect(groups()).toBe(groups());
});

test('the same decision for another token or another audience is another answer', () => {
  const jane = frozenJane();
  const { now } = createChains(() => jane, false).generation();
  const credential = (decision: unknown) => (decision as { user: { extra: object } }).user.extra;
  for (const token of ['one', 'two', 'one']) {
    expect(credential(now(token))).toMatchObject({
      'sallyport.example.com/credential': [`digest of ${token}`],
    });
  }
  for (const asked of [['c'], ['b', 'c'], ['c']]) {
    expect(now('one', { ...withoutSignal, audiences: asked })).toMatchObject({ audiences: asked });
  }
  expect(now('one', { ...withoutSignal, audiences: ['x'] })).toMatchObject({
    reason: 'audience-mismatch',
  });
});

const withoutSignal: Omit<ChainContext, 'signal'> & { signal: AbortSignal } = {
  isAborted: false,
  audiences,
  signal: new AbortController().signal,
};

test("another generation has its own rules, and the API server's audiences are read each time", async () => {
  const { generation } = createChains(async () => ({ ...authenticated(), audiences: ['x', 'y'] }));
  let own = ['x'];
  const asked = { ...withoutSignal, audiences: [] };
  const one = generation({ apiAudiences: () => own });
  await one.now('token', asked);
  expect(one.now('token', asked)).toMatchObject({
    user: { username: 'corp:jane' },
    audiences: ['x'],
  });
  own = ['y'];
  expect(one.now('token', asked)).toMatchObject({ audiences: ['y'] });
  own = ['z'];
  expect(one.now('token', asked)).toMatchObject({ kind: 'rejected' });
  const other = generation({ usernamePrefix: 'system:', apiAudiences: () => ['x'] });
  expect(other.now('token', asked)).toMatchObject({ kind: 'rejected', reason: 'identity-policy' });
});

test('a block of a user, token or session, a revocation and an end hold immediately for what was answered before', async () => {
  const { generation, blocked, revocations, clocks } = createChains(async () => ({
    ...authenticated(),
    credential: { sid: 'session' },
  }));
  const { now, wait } = generation();
  await wait();
  expect(now()).toMatchObject({ kind: 'authenticated' });
  for (const name of ['corp:jane', 'token', 'session']) {
    blocked.add(name);
    expect(now()).toMatchObject({ kind: 'rejected', reason: 'blocked' });
    blocked.delete(name);
    expect(now()).toMatchObject({ kind: 'authenticated' });
  }
  clocks.pass(lifetimes.authenticatedTtl - 1);
  expect(now()).toMatchObject({ kind: 'authenticated' });
  clocks.pass(1);
  // Someone must wait now, which takes a signal.
  await expect(Promise.resolve(now())).rejects.toThrow('corp unavailable');
  await wait();
  revocations.revoked.set('corp:jane', 1);
  await expect(Promise.resolve(now())).rejects.toThrow('corp unavailable');
});

test('an answer in memory lets no one in while it is not known who is blocked', async () => {
  const { generation, list } = createChains(async () => authenticated());
  const { now, wait } = generation();
  await wait();
  list.isUnknown = true;
  await expect(Promise.resolve(now())).rejects.toThrow('corp unavailable');
  list.isUnknown = false;
  expect(now()).toMatchObject({ kind: 'authenticated' });
});

test('a decision of a plugin that can change is read again each time', () => {
  const named = (username: string) => Object.freeze({ username });
  const user = { username: 'jane' };
  const groups: string[] = ['dev'];
  const credential = { sid: 'session' };
  const expiresAt = new Date(8e15);
  const state = { current: named('jane') };
  const getter: Decision = Object.freeze({
    kind: 'authenticated',
    get user() {
      return state.current;
    },
  });
  const prototype = { kind: 'authenticated', user: named('jane') };
  const inherited: Decision = Object.freeze(Object.create(prototype));
  const frozen = (of: object): Decision =>
    Object.freeze({ kind: 'authenticated', user: named('jane'), ...of });
  const answers: [Decision, () => unknown, object][] = [
    [
      { kind: 'authenticated', user },
      () => Object.assign(user, named('joan')),
      { user: { username: 'corp:joan' } },
    ],
    [
      frozen({ user: Object.freeze({ username: 'jane', groups }) }),
      () => groups.push('ops'),
      { user: { groups: ['corp:dev', 'corp:ops'] } },
    ],
    [
      frozen({ credential }),
      () => Object.assign(credential, { sid: 'stolen' }),
      { credential: { sid: 'stolen' } },
    ],
    [frozen({ expiresAt }), () => expiresAt.setTime(1), { reason: 'expired' }],
    [
      getter,
      () => Object.assign(state, { current: named('root') }),
      { user: { username: 'corp:root' } },
    ],
    [
      inherited,
      () => Object.assign(prototype, { user: named('mary') }),
      { user: { username: 'corp:mary' } },
    ],
  ];
  for (const [answer, change, expected] of answers) {
    const { now } = createChains(() => answer, false).generation();
    for (const _ of [1, 2]) expect(now()).toMatchObject({ kind: 'authenticated' });
    change();
    expect(now()).toMatchObject(expected);
  }
});
