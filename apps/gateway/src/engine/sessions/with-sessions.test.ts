import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { LinkContext } from '../chain/chain.ts';
import { digestToken } from '../revocation/list.ts';
import { createSessionTexts, type Session } from './session-text.ts';
import { answerForProviderUser, writeSessionUser } from './session-user.ts';
import { type RefusedSession, withSessions } from './with-sessions.ts';

const token = 'sps_token';
const texts = createSessionTexts([]);
const session: Session = {
  authenticator: 'corp',
  username: 'alice',
  uid: '7',
  name: 'corp:alice',
  since: 1_000,
  until: 9_000,
  audience: 'prod',
  address: '192.0.2.1',
};
const recorded = (changed: Partial<Session> = {}): Decision => ({
  kind: 'authenticated',
  user: { username: 'corp:root', groups: ['system:masters'] },
  audiences: ['staging'],
  expiresAt: new Date(5_000),
  session: texts.write(digestToken(token), { ...session, ...changed }),
});
const today: Decision = {
  kind: 'authenticated',
  user: { username: 'corp:alice', groups: ['corp:dev'] },
};

interface LayerOptions {
  /** What the plugin says of the token. */
  readonly inner?: () => Decision;
  /** What the authenticator of the session says of its user. */
  readonly users?: (text: string, context: LinkContext) => Decision | Promise<Decision>;
  readonly isFactorMissing?: (of: Session, groups: readonly string[] | undefined) => boolean;
  readonly keyPrefix?: string;
  readonly clusters?: Readonly<Record<string, { readonly audience: string }>>;
}

function createSessionLayer({
  inner = () => recorded(),
  users = () => today,
  isFactorMissing = () => false,
  keyPrefix,
  clusters = {},
}: LayerOptions = {}) {
  const refused: RefusedSession[] = [];
  const asked: string[] = [];
  const link: Authenticator = { authenticate: inner, close: async () => undefined };
  const layer = withSessions(link, {
    texts,
    clusters,
    findSessionUsers: ({ authenticator }) =>
      authenticator === 'corp'
        ? (asking, context) => {
            const text = writeSessionUser(asking);
            asked.push(text);
            return users(text, context);
          }
        : undefined,
    isFactorMissing,
    onRefused: (one) => refused.push(one),
    keyPrefix,
    now: () => 2_000,
  });
  const sources: unknown[] = [];
  const context: LinkContext = {
    audiences: ['prod'],
    signal: new AbortController().signal,
    onCached: (...given) => sources.push(given),
  };
  return {
    refused,
    asked,
    sources,
    ask: async () => layer.authenticate(token, context),
    layer,
    context,
  };
}

describe('a session', () => {
  test('has the names of today, and the audience and end that it was made with, whatever its record says', async () => {
    const { ask, asked } = createSessionLayer();
    expect(await ask()).toMatchObject({
      kind: 'authenticated',
      user: { username: 'corp:alice', groups: ['corp:dev'] },
      audiences: ['prod'],
      expiresAt: new Date(5_000),
    });
    expect(asked).toEqual(['["alice","7",1000]']);
  });

  test('has the time of its login in extra, where provenance asks for it', async () => {
    const extra = { team: ['a'] };
    const known: Decision = { kind: 'authenticated', user: { username: 'corp:alice', extra } };
    const { ask } = createSessionLayer({ users: () => known, keyPrefix: 'sallyport.example.com' });
    expect(await ask()).toMatchObject({
      user: {
        extra: { ...extra, 'sallyport.example.com/authenticated-at': ['1970-01-01T00:00:01.000Z'] },
      },
    });
  });

  test('never outlives its own end', async () => {
    expect(
      await createSessionLayer({ inner: () => recorded({ until: 3_000 }) }).ask(),
    ).toMatchObject({
      expiresAt: new Date(3_000),
    });
    const { ask, asked } = createSessionLayer({ inner: () => recorded({ until: 2_000 }) });
    expect(await ask()).toMatchObject({ kind: 'rejected', reason: 'expired' });
    expect(asked).toEqual([]);
  });

  test('is refused with its user, and that is reported once for a lookup, not for a cached refusal', async () => {
    let isCached = false;
    const { ask, refused } = createSessionLayer({
      users: async (_text, context) => {
        if (isCached) context.onCached?.('memory');
        return { kind: 'rejected', reason: 'disabled', subject: 'alice' };
      },
    });
    for (const next of [false, true]) {
      isCached = next;
      expect(await ask()).toEqual({ kind: 'rejected', reason: 'disabled', subject: 'alice' });
    }
    expect(refused).toEqual([{ session, token, reason: 'disabled' }]);
  });

  test('is refused if its user must have a second factor today, and has logged in without one', async () => {
    const asked: unknown[] = [];
    const { layer, context, refused } = createSessionLayer({
      isFactorMissing({ username }, groups) {
        asked.push([username, groups]);
        return true;
      },
    });
    const steps: string[] = [];
    const trace = (step: string) => steps.push(step);
    expect(await layer.authenticate(token, { ...context, trace })).toEqual({
      kind: 'rejected',
      reason: 'second-factor',
      subject: session.name,
    });
    expect(asked).toEqual([[session.username, ['corp:dev']]]);
    expect(refused).toMatchObject([{ reason: 'second-factor' }]);
    expect(steps).toEqual([
      'the user logged in without a second factor (amr pwd), which login.secondFactor.required demands now: they must log in again',
    ]);
  });

  test('is refused when its user has another name in Kubernetes now, as after another prefix in gateway.yaml', async () => {
    const { ask, refused } = createSessionLayer({
      users: () => ({
        kind: 'authenticated',
        user: { username: 'partners:alice', groups: ['partners:dev'] },
      }),
    });
    expect(await ask()).toEqual({
      kind: 'rejected',
      reason: 'unknown-user',
      subject: 'corp:alice',
    });
    expect(refused).toEqual([{ session, token, reason: 'unknown-user' }]);
  });

  test.each([
    { what: 'no cluster', changed: {} },
    { what: 'a cluster that is gone', changed: { cluster: 'old' } },
    { what: 'a cluster with another audience now', changed: { cluster: 'staging' } },
  ])('is refused when it is for $what', async ({ changed }) => {
    const clusters = { production: { audience: 'prod' }, staging: { audience: 'staging' } };
    const steps: string[] = [];
    const inCluster = async (more: Partial<Session>) => {
      const { layer, context } = createSessionLayer({ inner: () => recorded(more), clusters });
      return layer.authenticate(token, { ...context, trace: (step) => steps.push(step) });
    };
    expect(await inCluster(changed)).toEqual({
      kind: 'rejected',
      reason: 'audience-mismatch',
      subject: 'corp:alice',
      audiences: ['prod'],
    });
    const { cluster = 'none' } = changed as Partial<Session>;
    const where = 'which is not in login.clusters';
    expect(steps).toEqual([
      `the session is for the cluster ${cluster} with the audience prod, ${where}`,
    ]);
    expect(await inCluster({ cluster: 'production' })).toMatchObject({ kind: 'authenticated' });
  });

  test('is refused when its authenticator logs no one in any more', async () => {
    const { ask, asked } = createSessionLayer({
      inner: () => recorded({ authenticator: 'partner' }),
    });
    expect(await ask()).toEqual({
      kind: 'rejected',
      reason: 'unknown-user',
      subject: 'corp:alice',
    });
    expect(asked).toEqual([]);
  });

  test('of a removed sealing key is refused without a name, and says that its user must log in again', async () => {
    const decision = { ...recorded(), session: `s2.${'a'.repeat(16)}.1000.e30` } as Decision;
    const { layer, context, asked, refused } = createSessionLayer({ inner: () => decision });
    const steps: string[] = [];
    const trace = (step: string) => steps.push(step);
    expect(await layer.authenticate(token, { ...context, trace })).toEqual({
      kind: 'rejected',
      reason: 'sealing-key-removed',
    });
    expect([asked, refused]).toEqual([[], []]);
    expect(steps).toEqual([
      'the session was sealed with a key that is not in cache.redis.sealingKeys now: its user must log in again',
    ]);
  });

  test('says that it is stale, and nothing of other caches of its user', async () => {
    const failure = new AuthenticatorError('unavailable', 'down');
    let source: 'memory' | 'stale' = 'memory';
    const { ask, sources } = createSessionLayer({
      users: async (_text, context) => {
        if (source === 'stale') context.onCached?.(source, failure, 7);
        else context.onCached?.(source);
        return today;
      },
    });
    await ask();
    source = 'stale';
    await ask();
    expect(sources).toEqual([['stale', failure, 7]]);
  });

  test('whose user and record are there immediately needs no promise', () => {
    const decision = recorded();
    const { layer, context } = createSessionLayer({ inner: () => decision });
    for (const _ of [1, 2])
      expect(layer.authenticate(token, context)).toMatchObject({ kind: 'authenticated' });
  });
});

describe('a session of a user of a provider', () => {
  const provider = {
    name: 'okta',
    issuer: 'https://idp.example.com',
    clientId: 'sallyport',
    groups: ['dev'],
    credential: { sid: 'one' },
  };

  test('can be blocked by the ids of its ID token', async () => {
    const { ask } = createSessionLayer({ inner: () => recorded({ provider }) });
    expect(await ask()).toMatchObject({ kind: 'authenticated', credential: { sid: 'one' } });
    expect(await createSessionLayer().ask()).not.toHaveProperty('credential');
  });

  test('has the user of its ID token, made once', () => {
    const of = { ...session, provider: { ...provider, extra: { team: ['a'] } } };
    expect(answerForProviderUser(of)).toEqual({
      kind: 'authenticated',
      user: { username: 'alice', uid: '7', groups: ['dev'], extra: { team: ['a'] } },
    });
    expect(answerForProviderUser(of)).toBe(answerForProviderUser(of));
    const { uid: _, ...nameless } = session;
    expect(answerForProviderUser({ ...nameless, provider: {} })).toEqual({
      kind: 'authenticated',
      user: { username: 'alice' },
    });
  });
});

describe('what is no session could not be checked:', () => {
  test.each([
    {
      what: 'a record without one',
      decision: { kind: 'authenticated', user: { username: 'corp:alice' } },
    },
    {
      what: 'a text of another token',
      decision: {
        ...recorded(),
        session: texts.write(digestToken('other'), session).replace('s2', 's1'),
      },
    },
  ] as const)('$what', async ({ decision }) => {
    const { ask, asked } = createSessionLayer({ inner: () => decision as Decision });
    await expect(ask()).rejects.toMatchObject({ code: 'failed' });
    expect(asked).toEqual([]);
  });

  test('a user about whom there is no opinion, or who could not be checked', async () => {
    await expect(
      createSessionLayer({ users: () => ({ kind: 'no-opinion' }) }).ask(),
    ).rejects.toMatchObject({
      code: 'failed',
    });
    const down = new AuthenticatorError('unavailable', 'down');
    await expect(createSessionLayer({ users: () => Promise.reject(down) }).ask()).rejects.toBe(
      down,
    );
  });
});

test('what the plugin refuses or does not know stays as it is', async () => {
  for (const decision of [
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'revoked', subject: 'corp:alice' },
  ] as const) {
    expect(await createSessionLayer({ inner: () => decision }).ask()).toBe(decision);
  }
});
