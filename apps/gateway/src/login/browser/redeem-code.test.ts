import { AuthenticatorError, type Decision, type TokenRequest } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { createRevocationList, digestToken, type Entry } from '../../engine/revocation/list.ts';
import { createSessionTexts, type Session } from '../../engine/sessions/session-text.ts';
import type { SessionUsers } from '../../engine/sessions/session-user.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { attemptLifetime, idLength } from '../attempts/attempt.ts';
import { shortenChallenge } from '../attempts/attempt-bytes.ts';
import { createPendingLogins } from '../attempts/pending-logins.ts';
import { createFactorPolicy } from '../factors/policy.ts';
import type { LoginRequest } from '../login-request.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { redeemCode } from './redeem-code.ts';

const file = redisOfFile();

const jane: Decision = {
  kind: 'authenticated',
  user: { username: 'corp:jane', groups: ['corp:dev'] },
};

interface Setup {
  /** What the directory says at the redemption. Undefined: her authenticator was removed from `login`. */
  readonly directory?: (() => Decision) | undefined;
  readonly requiredGroups?: readonly string[];
  readonly provider?: NonNullable<Session['provider']>;
  /** What the client has sent when it began the login. */
  readonly device?: string | undefined;
  /** Called while the session is written. */
  readonly onWrite?: () => void;
}

/** Confirms a login of jane, with a password if there is no provider, whose client has not fetched the session yet. */
async function confirmedLogin(setup: Setup = {}) {
  const {
    directory,
    requiredGroups = [],
    provider,
    device,
    onWrite = () => undefined,
  } = {
    directory: () => jane,
    ...setup,
  };
  const list = createRevocationList(
    () => 0,
    () => 0,
  );
  const pending = createPendingLogins(file.opened.redis, Date.now);
  const verifier = randomText(43);
  const challenge = shortenChallenge(secretDigest(verifier));
  const id = randomText(idLength);
  const attempt = { id, until: Date.now() + attemptLifetime };
  const proof = {
    authenticator: 'corp',
    since: 1,
    login: 'jane',
    backendUser: { username: 'jane', uid: '7' },
    user: { username: 'corp:jane', groups: ['corp:dev'] },
    ...(provider && { provider, tokenDigest: digestToken('id-token') }),
  };
  const browser = secretDigest('of this browser');
  await pending.put(attempt, { browser, attempt: { challenge, device }, revision: 1, proof });
  const code = await pending.issueCode(attempt, 'of this browser');
  const facts: LoginRequest['facts'] = { action: 'none' };
  const [written, removed, asked]: [TokenRequest[], string[], unknown[]] = [[], [], []];
  const users: SessionUsers = (user) => {
    asked.push(user);
    return directory?.() ?? { kind: 'no-opinion' };
  };
  const request = {
    facts,
    address: '192.0.2.1',
    context: {},
    service: {
      config: { clusters: {}, ttl: 3_600_000, idle: 60_000, maxSessions: 5 },
      browser: {
        pending,
        providers: new Map([['okta', { ...provider, authenticator: 'corp', ttl: 60_000 }]]),
      },
      texts: createSessionTexts([]),
      blocks: { ...list, isUnknown: false },
      revocations: Object.assign(list, { refresh: async () => undefined }),
      findSessionUsers: () => (directory === undefined ? undefined : users),
      issuer: {
        async create(create: TokenRequest) {
          written.push(create);
          onWrite();
          const session = create.session?.describe('0'.repeat(64));
          return { token: 'token', issued: { digest: '0'.repeat(64), session } };
        },
        async delete({ digest }: { readonly digest: string }) {
          removed.push(digest);
        },
        async *list() {},
      },
      logger: { warn: () => undefined },
      timeout: 60_000,
      factorPolicy: createFactorPolicy({
        authenticators: ['corp'],
        secondFactor: { required: { groups: requiredGroups }, authenticators: ['corp'] },
      }),
    },
  } as unknown as LoginRequest;
  return {
    facts,
    written,
    removed,
    asked,
    publish: (entry: What) => publishTo(list, entry),
    redeem: (more = {}) => redeemCode(request, { id, code, verifier, ...more }),
  };
}

type What = Pick<Entry, 'action' | 'kind' | 'name'>;

function publishTo(list: ReturnType<typeof createRevocationList>, { action, kind, name }: What) {
  const times = { at: 0, until: 60_000, keptUntil: 60_000 };
  list.merge([{ action, kind, name, id: 'a', revision: 2, by: 'root', ...times }]);
}

const refused = { status: 401, code: 'wrong-code' };
const okta = { name: 'okta', issuer: 'https://idp.example.com', clientId: 'sallyport' };

test('a confirmed login makes a session of the user as the directory sees them now', async () => {
  const directory = (): Decision => ({
    kind: 'authenticated',
    user: { username: 'corp:jane', groups: [] },
  });
  const login = await confirmedLogin({ directory, provider: okta });
  await login.redeem();
  expect(login.asked).toEqual([{ username: 'jane', uid: '7', since: 1, provider: okta }]);
  expect(login.written).toHaveLength(1);
  expect(login.facts.session).not.toHaveProperty('tokenDigest');
});

test('a session has the device that the pages showed, or else the device that the client sends later', async () => {
  for (const device of ['laptop', undefined]) {
    const login = await confirmedLogin({ device });
    await login.redeem({ device: 'server' });
    expect(login.facts.device).toBe(device ?? 'server');
    expect(JSON.stringify(login.written)).toContain(device ?? 'server');
  }
  const { redeem, written } = await confirmedLogin();
  await expect(redeem({ device: 'a\nb' })).rejects.toMatchObject({ status: 400 });
  expect(written).toEqual([]);
});

const ends: readonly (What & Pick<Setup, 'provider'> & { readonly reason: string })[] = [
  { action: 'block', kind: 'user', name: 'corp:jane', reason: 'blocked' },
  { action: 'block', kind: 'group', name: 'corp:dev', reason: 'blocked' },
  {
    action: 'block',
    kind: 'token',
    name: digestToken('id-token'),
    provider: okta,
    reason: 'blocked',
  },
  { action: 'revoke', kind: 'user', name: 'corp:jane', reason: 'revoked' },
  { action: 'revoke', kind: 'all', name: '', reason: 'revoked' },
];

describe.each(ends)('a $action of $kind', ({ reason, provider, ...entry }) => {
  const at = provider && { provider };

  test('between the confirmation and the redemption leaves no session', async () => {
    const login = await confirmedLogin(at);
    login.publish(entry);
    await expect(login.redeem()).rejects.toMatchObject(refused);
    expect([login.facts.reason, login.written]).toEqual([reason, []]);
  });

  test('while the directory answers leaves no session', async () => {
    const login = await confirmedLogin({
      ...at,
      directory() {
        login.publish(entry);
        return jane;
      },
    });
    await expect(login.redeem()).rejects.toMatchObject(refused);
    expect([login.facts.reason, login.written]).toEqual([reason, []]);
  });

  test('while the session is written removes it', async () => {
    const login = await confirmedLogin({ ...at, onWrite: () => login.publish(entry) });
    await expect(login.redeem()).rejects.toMatchObject(refused);
    expect([login.facts.reason, login.removed]).toEqual([reason, ['0'.repeat(64)]]);
  });
});

test.each<Setup & { readonly what: string; readonly reason: string }>([
  {
    what: 'whose account was disabled',
    directory: () => ({ kind: 'rejected', reason: 'disabled', subject: 'jane' }),
    reason: 'disabled',
  },
  {
    what: 'whose name belongs to another user now',
    directory: () => ({ kind: 'authenticated', user: { username: 'corp:max' } }),
    reason: 'unknown-user',
  },
  {
    what: 'who is gone from the directory',
    directory: () => ({ kind: 'no-opinion' }),
    reason: 'unknown-user',
  },
  {
    what: 'whose authenticator or provider was removed',
    directory: undefined,
    reason: 'unknown-user',
  },
  {
    what: 'whose second factor a reload has made required',
    requiredGroups: ['corp:dev'],
    reason: 'second-factor',
  },
  {
    what: 'whose new group must have a second factor',
    directory: () => ({
      kind: 'authenticated',
      user: { username: 'corp:jane', groups: ['corp:admins'] },
    }),
    requiredGroups: ['corp:admins'],
    reason: 'second-factor',
  },
])('a confirmed login $what gets no session', async ({ what: _, reason, ...setup }) => {
  const { redeem, facts, written } = await confirmedLogin(setup);
  await expect(redeem()).rejects.toMatchObject(refused);
  expect(facts).toMatchObject({ action: 'redeem', reason, username: 'corp:jane' });
  expect(written).toEqual([]);
});

describe('while the directory can not be asked', () => {
  const directory = () => {
    throw new AuthenticatorError('unavailable', 'down');
  };

  test('a login with a password goes on: each review asks the directory again', async () => {
    const { redeem, written } = await confirmedLogin({ directory });
    await redeem();
    expect(written).toHaveLength(1);
  });

  test('an error of the gateway itself is no answer', async () => {
    const withoutUser = { kind: 'authenticated' } as Decision;
    const { redeem, written } = await confirmedLogin({ directory: () => withoutUser });
    await expect(redeem()).rejects.toThrow(TypeError);
    expect(written).toEqual([]);
  });

  test('a login at a provider gets no session', async () => {
    const { redeem, written } = await confirmedLogin({ directory, provider: okta });
    await expect(redeem()).rejects.toMatchObject({ status: 503 });
    expect(written).toEqual([]);
  });
});
