import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { writeRecord } from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { randomToken, sha256 } from '@sallyport/test-servers/tokens';
import { stringify } from 'yaml';
import { type Gateway, startGateway } from './testing/gateway.ts';

/** The kinds of authenticators whose users can be looked up in a directory. */
export const kinds = ['jwt', 'webhook', 'redis', 'static'] as const;

export type Kind = (typeof kinds)[number];

/** What a token says about its user. */
interface TokenUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** Authenticators of each kind with their real backends. Each authenticator knows its own tokens only. */
export interface TokenSides extends AsyncDisposable {
  /** Makes a token that the authenticator `name` knows. Those of files must be made before `start`. */
  token(kind: Kind, name: string, user: TokenUser): Promise<string>;
  /** Starts the webhook, which is another gateway. @returns what the config needs */
  start(): Promise<{
    /** Makes an entry of `authenticators`. */
    entry(kind: Kind, name: string, more: object): object;
    /** The files next to the config. */
    readonly files: Readonly<Record<string, string>>;
  }>;
}

export async function createTokenSides(): Promise<TokenSides> {
  const resources = new AsyncDisposableStack();
  const redis = resources.use(await startRedis());
  const issuer = createJwtIssuer();
  const entries = { static: new Map<string, object[]>(), webhook: [] as object[] };
  const urlOf = (name: string) => `${issuer.url}/${name}`;

  async function token(kind: Kind, name: string, user: TokenUser): Promise<string> {
    if (kind === 'jwt') {
      const exp = Math.floor(Date.now() / 1000) + 3_600;
      const { username: sub, groups } = user;
      return issuer.token({ iss: urlOf(name), exp, sub, groups });
    }
    // Only its random part is a secret: the log contains the name.
    const made = `${name}_${randomToken()}`;
    const entry = { sha256: sha256(made), ...user };
    if (kind === 'redis') await writeRecord(() => redis, made, JSON.stringify(user));
    else if (kind === 'webhook') entries.webhook.push(entry);
    else entries.static.set(name, [...(entries.static.get(name) ?? []), entry]);
    return made;
  }

  return {
    token,
    async start() {
      const far = resources.use(
        await startGateway({
          config: { authenticators: [staticAuthenticator] },
          files: { 'tokens.yaml': stringify({ tokens: entries.webhook }) },
        }),
      );
      const files = [...entries.static].map(
        ([name, tokens]) => [`tokens/${name}.yaml`, stringify({ tokens })] as const,
      );
      return {
        entry: (kind, name, more) => ({
          ...entryOf(kind, name, { redis, far, url: urlOf(name), issuer }),
          ...more,
        }),
        files: { ...issuer.files, ...Object.fromEntries(files) },
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

interface Backends {
  readonly redis: RedisServer;
  readonly far: Gateway;
  readonly issuer: ReturnType<typeof createJwtIssuer>;
  /** The issuer of the authenticator's tokens. */
  readonly url: string;
}

function entryOf(kind: Kind, name: string, { redis, far, issuer, url }: Backends): object {
  const entry = (options: object) => ({ name, use: kind, options });
  const tokenPrefix = `${name}_`;
  switch (kind) {
    case 'jwt': {
      const ofIssuer = { issuer: { url, audiences: ['kubernetes'], jwksFile: 'keys.json' } };
      return issuer.authenticator({ name, username: {}, groups: {} }, ofIssuer);
    }
    case 'webhook':
      return entry({ url: `${far.url}/authenticate`, recognizes: { prefixes: [tokenPrefix] } });
    case 'redis':
      return entry({ url: redis.url, tokenPrefix });
    case 'static':
      return entry({ tokensFile: `tokens/${name}.yaml` });
  }
}
