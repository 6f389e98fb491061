import { createHash, randomBytes } from 'node:crypto';
import type {
  Authenticator,
  Decision,
  IdTokenIssuer,
  IssuedToken,
  TokenIssuer,
  UserInfo,
} from '@sallyport/authenticator';
import type { AuthenticatorConfig } from '../../config/types.ts';
import { configuredAuthenticator } from './configured-authenticator.ts';

/** The password of jane in the directory, and the ID token that her provider issues. */
export const [password, idToken]: readonly [string, string] = ['hunter2hunter2', 'id-token'];
/** Ids of that ID token. */
export const credential = { jti: 'jti-1', sid: 'sid-1' };

const issuer: IdTokenIssuer = {
  issuer: 'https://idp.example.com',
  audiences: ['sallyport'],
  discoveryUrl: 'https://idp.example.com/.well-known/openid-configuration',
  ca: () => undefined,
};

/** The account of jane in the directory. A test changes it. */
export interface Account {
  groups: readonly string[];
  isDisabled: boolean;
}

/**
 * Makes three authenticators: the directory `corp`, which checks passwords; `oidc`, which checks ID tokens and has that directory; and
 * `sessions`, which issues tokens.
 *
 * @param onAnswer called when the directory has decided about a user without their password, before it answers
 */
export function createLoginBackends(account: Account, onAnswer: () => Promise<void>) {
  const readUser = (): UserInfo => ({ username: 'jane', uid: '7', groups: account.groups });
  const readAccount = (): Decision =>
    account.isDisabled
      ? { kind: 'rejected', reason: 'disabled' }
      : { kind: 'authenticated', user: readUser() };
  const corp = configuredAuthenticator('corp', async (_options, { attempts }) => ({
    recognizes: (token) => token.startsWith('jane:'),
    claimedName: (token) => token.split(':')[0],
    loginToken: (username, secret) => `${username}:${secret}`,
    async authenticate(token, { signal }) {
      const attempt = await attempts.admit('jane', token, signal);
      if (!attempt.admitted) return { kind: 'rejected', reason: attempt.reason };
      const isRight = token === `jane:${password}`;
      const decision = isRight ? readAccount() : wrongPassword;
      await attempt.settle(isRight ? 'accepted' : 'refused');
      return decision;
    },
    lookUp: async () => readUser(),
    async revalidate() {
      const decision = readAccount();
      await onAnswer();
      return decision;
    },
    close,
  }));
  const oidc = configuredAuthenticator('oidc', async () => ({
    recognizes: (token) => token === idToken,
    authenticate: async () => ({ kind: 'authenticated', user: { username: 'jane' }, credential }),
    idTokenIssuers: () => [issuer],
    close,
  }));
  return [
    { ...corp, username: { prefix: 'corp:' }, groups: { prefix: 'corp:', max: 10 } },
    {
      ...oidc,
      username: { prefix: 'oidc:' },
      groups: { prefix: 'oidc:', max: 10 },
      directory: {
        authenticator: 'corp',
        by: 'username',
        groups: 'replace',
        missing: 'reject',
        refresh: 300_000,
      },
    },
    createSessionStore(),
  ] satisfies AuthenticatorConfig[];
}

const close = async () => undefined;
const wrongPassword: Decision = { kind: 'rejected', reason: 'invalid-credentials' };

/** Makes the authenticator `sessions`, whose tokens are in memory. */
function createSessionStore(): AuthenticatorConfig {
  const stored = new Map<string, IssuedToken>();
  const digestToken = (token: string) => createHash('sha256').update(token).digest('hex');
  const tokens: TokenIssuer = {
    async create({ user, expiresAt, session }) {
      const token = `session-${randomBytes(16).toString('hex')}`;
      const digest = digestToken(token);
      const issued = {
        digest,
        user,
        ...(expiresAt && { expiresAt }),
        ...(session && { session: session.describe(digest) }),
      };
      stored.set(digest, issued);
      return { token, issued };
    },
    async *list({ username }) {
      yield* [...stored.values()].filter(
        ({ user }) => username === undefined || user.username === username,
      );
    },
    async *revoke() {},
    async delete({ digest }) {
      stored.delete(digest);
    },
    close,
  };
  const authenticator: Authenticator = {
    recognizes: (token) => token.startsWith('session-'),
    async authenticate(token): Promise<Decision> {
      const { user, expiresAt, session } = stored.get(digestToken(token)) ?? {};
      if (user === undefined) return { kind: 'no-opinion' };
      const end = expiresAt && { expiresAt };
      return { kind: 'authenticated', user, ...end, ...(session && { session }) };
    },
    close,
  };
  const configured = configuredAuthenticator('sessions', async () => authenticator);
  return { ...configured, plugin: { ...configured.plugin, createTokenIssuer: async () => tokens } };
}
