import type { RedisServer } from '@sallyport/test-servers/redis';
import { newToken, recordKey } from '../testing/redis-tokens.ts';
import { staticAuthenticator } from '../testing/static-tokens.ts';
import { reviewBody } from '../testing/token-review.ts';
import { randomToken } from '../testing/tokens.ts';
import { type DirectoryFacts, directoryAccess } from './backends.ts';
import type { Exchange, Kind } from './soak-load.ts';

/** The names of the authenticators, in their order. */
const authenticatorNames = { static: 'break-glass', redis: 'robots', ldap: 'corp' } as const;

export interface SoakServers {
  readonly directory: DirectoryFacts;
  /** What robots' tokens are looked up in, and what answers are cached in. */
  readonly tokens: RedisServer;
  readonly cache: RedisServer;
}

/** Small caches and short lifetimes: all of their ways are gone many times. */
export function soakConfig({ directory, tokens, cache }: SoakServers, reviewTimeout: string): Record<string, unknown> {
  const { options } = directoryAccess(directory);
  const short = { authenticatedTtl: '2s', rejectedTtl: '1s', unknownTtl: '1s', staleTtl: 0 };
  return {
    server: { reviewTimeout },
    cache: { memory: { maxEntries: 500 }, redis: { url: cache.url, sealingKeys: [{ file: 'secrets/sealing-key' }] } },
    authenticators: [
      { ...staticAuthenticator, name: authenticatorNames.static },
      { name: authenticatorNames.redis, use: 'redis', cache: short, options: { url: tokens.url } },
      { name: authenticatorNames.ldap, use: 'ldap', cache: short, options },
    ],
  };
}

const robotCount = 1_000;

/** The last people of the directory only ever try wrong passwords. */
const strangers = 100;

/** @param members usernames by their static tokens */
export async function createKinds(
  { directory, tokens }: SoakServers,
  members: Readonly<Record<string, string>>,
): Promise<readonly Kind[]> {
  const robots = Array.from({ length: robotCount }, (_, at) => ({ token: newToken(), username: `robot-${at}` }));
  const revoked = newToken();
  const pipeline = tokens.client().pipeline();
  for (const { token, username } of robots) pipeline.set(recordKey(token), JSON.stringify({ username }));
  const revokedAt = new Date().toISOString();
  pipeline.set(recordKey(revoked), JSON.stringify({ username: 'revoked', revokedAt }));
  await pipeline.exec();
  const people = directory.people.map(({ name, token }) => ({ token, username: name }));
  const wrongPasswords = people.slice(-strangers).map(({ username }) => ({
    token: Buffer.from(`${username}:${randomToken()}`).toString('base64'),
  }));
  const users = Object.entries(members).map(([token, username]) => ({ token, username }));
  const { redis, ldap } = authenticatorNames;
  return [
    { name: 'static token', next: inTurn(users) },
    { name: 'static token, v1beta1', next: inTurn(users, 'v1beta1') },
    { name: 'token in Redis', needs: redis, next: inTurn(robots) },
    { name: 'revoked token in Redis', needs: redis, next: inTurn([{ token: revoked }]) },
    { name: 'login by LDAP', needs: ldap, next: inTurn(people.slice(0, -strangers)) },
    { name: 'wrong password', needs: ldap, next: inTurn(wrongPasswords) },
    { name: 'unknown token', next: () => ({ status: 200, body: reviewBody(randomToken()) }) },
    { name: 'malformed review', next: () => ({ status: 400, body: '{"kind":"TokenReview"' }) },
  ];
}

function inTurn(
  users: readonly { readonly token: string; readonly username?: string }[],
  version: 'v1' | 'v1beta1' = 'v1',
): () => Exchange {
  const all = users.map(({ token, ...user }): Exchange => ({ ...user, status: 200, body: reviewBody(token, version) }));
  let at = 0;
  return () => all[at++ % all.length] as Exchange;
}
