import { type People, startPeople } from '@sallyport/test-servers/people';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import type { SlapdOptions } from '@sallyport/test-servers/slapd';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import {
  askLogin,
  clusters,
  type LoginAnswer,
  type LoginRequest,
  publicHost,
} from './ask-login.ts';
import { http1Client, review } from './clients.ts';
import type { Gateway } from './gateway.ts';
import { loginOf } from './redis-lines.ts';
import { longRedisTimeouts } from './redis-timeouts.ts';
import { type Replicas, replicasConfig, startReplicas } from './replicas.ts';
import type { ReviewStatus } from './token-review.ts';

export { clusters, type LoginRequest, publicHost };

export interface LoginPlace extends AsyncDisposable {
  readonly people: People;
  readonly redis: RedisServer;
  readonly replicas: Replicas;
  readonly config: Record<string, unknown>;
  /** Asks the login server of one gateway, by default of the first one. */
  ask(request: LoginRequest, at?: number): Promise<LoginAnswer>;
  /** Logs in. @returns the token of a new session for the cluster prod */
  logIn(
    person: { readonly name: string; readonly password: string },
    more?: object,
    at?: number,
  ): Promise<string>;
  /** Returns the answer of each gateway about a token, asked by the cluster prod or by another audience. */
  reviews(token: string, audience?: string): Promise<readonly ReviewStatus[]>;
}

export interface LoginSetup {
  readonly count?: number;
  readonly directory?: SlapdOptions;
  /** Keys of `login`. */
  readonly login?: object;
  /** Keys of `login.secondFactor`. Its Redis defaults to the Redis of the cache. */
  readonly secondFactor?: { readonly redis?: object; readonly [key: string]: unknown };
  /** Keys of the authenticator that checks passwords. */
  readonly entry?: object;
  /** Keys of its `options`. */
  readonly options?: object;
  /** Lines of Redis' ACL file, as documents have them. If they are left out, the gateways may do everything. */
  readonly rights?: RedisRights;
  /** Entries of `authenticators` after it. */
  readonly others?: readonly object[] | ((redis: string) => readonly object[]);
  /** Keys of its `options.user`. */
  readonly user?: object;
  /** The session Redis, and keys of their authenticator. Defaults to one Redis for the cache and for sessions. */
  readonly sessions?: { readonly url: string; readonly entry?: object };
  /** Keys of `cache`, besides `redis`. */
  readonly cache?: object;
  /** Keys of the file. */
  readonly more?: object;
  /** Files next to the config. */
  readonly files?: Readonly<Record<string, string>>;
  /** Variables of the environment of the gateways. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The lines of the users of one Redis. They all have the same password, in the file `redisPassword`. */
export interface RedisRights {
  /** The line of the user of `cache.redis`. */
  readonly cache: string;
  /** The lines of the users of the authenticator of sessions, if they are others. */
  readonly sessions?: { readonly gateway: string; readonly admin: string };
  /** The lines of the users of `others`. */
  readonly others?: readonly string[];
}

export const redisPassword = 'secrets/redis';

/** Makes the users of Redis. @param password the password of all users */
function redisWithUsers(
  { cache, sessions, others = [] }: RedisRights,
  password: string,
): Promise<RedisServer> {
  const lines = [cache, ...Object.values(sessions ?? {}), ...others];
  return startRedis({
    users: lines.map((line) => line.replace('>PASSWORD', `>${password}`)),
    password: true,
  });
}

/** The keys by which the cache and the sessions log in. */
function loginsOf({ cache, sessions }: RedisRights) {
  const login = (line: string) => loginOf(line, redisPassword);
  return {
    cache: login(cache),
    sessions: sessions
      ? { ...login(sessions.gateway), admin: login(sessions.admin) }
      : login(cache),
  };
}

function userOptions({ slapd: { suffix } }: People, user: object | undefined): object {
  return user === undefined
    ? {}
    : { user: { base: `ou=people,${suffix}`, filter: '(uid={username})', ...user } };
}

/** The address of the login server of a gateway. */
export function loginUrlOf({ output }: Gateway): string {
  return String(output.lines.find(({ msg }) => msg === 'listening')?.loginUrl);
}

/** Gateways with login servers, in front of one slapd and one Redis for sessions and the cache, unless sessions have another. */
export async function startLogin(setup: LoginSetup = {}): Promise<LoginPlace> {
  const {
    count = 1,
    login,
    secondFactor,
    entry,
    options,
    others = [],
    cache,
    more,
    files,
    rights,
    user,
    sessions: own,
    env,
  } = setup;
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople(setup.directory));
  const password = randomToken();
  const redis = resources.use(await (rights ? redisWithUsers(rights, password) : startRedis()));
  const logins = rights && loginsOf(rights);
  const { url } = redis;
  const sessions = {
    name: 'sessions',
    use: 'redis',
    timeout: longRedisTimeouts.authenticator,
    ...own?.entry,
    options: {
      url: own?.url ?? url,
      keyPrefix: rights === undefined ? 'sessions:' : 'sallyport:session:',
      tokenPrefix: 'sps_',
      commandTimeout: longRedisTimeouts.command,
      ...logins?.sessions,
    },
  };
  const config = {
    ...replicasConfig(
      [
        sessions,
        people.authenticator({
          options: { ...userOptions(people, user), ...options },
          ...(entry && { entry }),
        }),
        ...(typeof others === 'function' ? others(url) : others),
      ],
      { url, ...logins?.cache },
      cache,
    ),
    login: {
      listen: '127.0.0.1:0',
      publicUrl: `https://${publicHost}`,
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters,
      ...login,
      ...(secondFactor && {
        secondFactor: {
          ...secondFactor,
          redis: { commandTimeout: longRedisTimeouts.command, ...(secondFactor.redis ?? { url }) },
        },
      }),
    },
    ...more,
  };
  const replicas = resources.use(
    await startReplicas(
      count,
      config,
      { ...people.files, ...(rights && { [redisPassword]: password }), ...files },
      env,
    ),
  );
  const urls = replicas.gateways.map(loginUrlOf);
  const clients = replicas.gateways.map(({ url }) => resources.use(http1Client(url)));
  const ask = (request: LoginRequest, at = 0) => askLogin(urls[at] ?? '', request);
  const owned = resources.move();
  return {
    people,
    redis,
    replicas,
    config,
    ask,
    async logIn({ name, password }, given = {}, at = 0) {
      const answer = await ask(
        { body: { username: name, password, cluster: 'prod', ...given } },
        at,
      );
      if (answer.status !== 201)
        throw new Error(`the login was answered ${answer.status}: ${answer.text}`);
      return secret(String(answer.json?.token));
    },
    reviews: (token, audience = clusters.prod.audience) =>
      Promise.all(clients.map((client) => review(client, token, 'v1', [audience]))),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
