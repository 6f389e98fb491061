import {
  type Complain,
  count,
  flag,
  list,
  secret,
  settleTls,
  type TlsKeys,
  type TlsShape,
  text,
  tlsShape,
  value,
} from '@sallyport/plugin-kit';
import type { z } from 'zod';
import type { ConnectionOptions, Servers } from '../connection-options.ts';
import {
  isClearText,
  parsePlace,
  parseUrl,
  placePattern,
  type ServerUrl,
  type SocketUrl,
  urlPattern,
} from './server-url.ts';

export { isClearText, parseUrl, type ServerUrl, type SocketUrl };

type AnyServer = ServerUrl | SocketUrl;
type Place = Pick<ServerUrl, 'secure' | 'address'>;

/** The keys for the address of Redis and the login, each valid by itself. */
interface ConnectionKeys extends TlsKeys, LoginKeys {
  readonly url?: AnyServer | undefined;
  readonly sentinels?: readonly Place[] | undefined;
  readonly name?: string | undefined;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  readonly cluster?: readonly Place[] | undefined;
  readonly database?: number | undefined;
  readonly insecure?: boolean | undefined;
}

interface LoginKeys {
  readonly url?: { readonly username?: string; readonly password?: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** The part of a `section`'s shape that has these keys. */
type ConnectionShape = TlsShape & {
  readonly [Key in Exclude<keyof ConnectionKeys, keyof TlsKeys>]-?: z.ZodType<ConnectionKeys[Key]>;
};

/** A password, with the name of an environment variable for examples. */
export const redisSecret = (description: string, variable: string): z.ZodType<string> =>
  secret(
    `${description}, as { file: path } or { env: NAME }.`,
    `write { file: secrets/redis } or { env: ${variable} }`,
  );

const places = (description: string, port: number, example: string) =>
  list({ description, example, items: { pattern: placePattern } }, { min: 1, max: 64 }, (input) =>
    parsePlace(input, port),
  );

/** A URL of one server or socket, with user and password or without. */
export const serverUrl = (description: string): z.ZodType<ServerUrl | SocketUrl> =>
  value({ description, pattern: urlPattern }, parseUrl);

/** How messages describe the risk of clear text. */
export interface ClearTextTerms {
  /** The actions of others on the network: `anyone on the network can read …`. */
  readonly risk: string;
  /** The condition under which that is acceptable: `anyone on the network may …`. */
  readonly consent: string;
}

export function connectionShape({ risk }: ClearTextTerms): ConnectionShape {
  return {
    url: serverUrl(
      'One server: rediss://host:6379/0, redis:// for clear text, unix:/run/redis/redis.sock for a socket. With user ' +
        'and password in it: { env: NAME } or { file: path }.',
    ).optional(),
    sentinels: places(
      'Instead of url: the sentinels that know the master, as host:port or rediss://host:port (port 26379).',
      26379,
      '[sentinel-a.example.com, sentinel-b.example.com, sentinel-c.example.com]',
    ).optional(),
    name: text('With sentinels: the name of the master.', 'mymaster').optional(),
    sentinelUsername: text('The ACL user for the sentinels themselves.', 'sallyport').optional(),
    sentinelPassword: redisSecret(
      'The password for the sentinels themselves',
      'SENTINEL_PASSWORD',
    ).optional(),
    cluster: places(
      'Instead of url: some nodes of a cluster, as host:port or rediss://host:port; the others are found.',
      6379,
      '[redis-a.example.com, redis-b.example.com, redis-c.example.com]',
    ).optional(),
    insecure: flag(`Allow clear text with servers on other machines: ${risk}.`),
    username: text(
      "The ACL user. Default: from the url, else Redis' default user.",
      'sallyport',
    ).optional(),
    password: redisSecret("The user's password", 'REDIS_PASSWORD').optional(),
    database: count('The number of the database. Not in a cluster.', 0, 9999)
      .optional()
      .meta({ default: 0 }),
    ...tlsShape('redis'),
  };
}

/**
 * Checks the keys together.
 *
 * @param use `another` is one more server that uses the keys of TLS and `insecure`, so they have an effect. The caller
 *   decides whether it may be reached in clear text
 * @returns undefined after a complaint
 */
export function settleConnection(
  keys: ConnectionKeys,
  use: Pick<ConnectionOptions, 'commandTimeout'> & {
    terms: ClearTextTerms;
    another?: AnyServer | undefined;
  },
  complain: Complain,
): ConnectionOptions | undefined {
  const { commandTimeout, terms, another: otherServer } = use;
  const servers = settleServers(keys, terms, otherServer, complain);
  const login = settleLogin(
    keys,
    'write { file: secrets/redis } or { env: REDIS_PASSWORD }',
    complain,
  );
  const spoken = servers === undefined || servers.secure || otherServer?.secure === true;
  const tls = settleTls(keys, { word: 'redis', spoken, fix: 'use rediss://' }, complain);
  return servers && { servers, ...login, tls, commandTimeout };
}

/** The login of the keys or of the url. @param fix what to write where the password is missing */
export function settleLogin(
  keys: LoginKeys,
  fix: string,
  complain: Complain,
): Pick<ConnectionOptions, 'username' | 'password'> {
  const inUrl = keys.url ?? {};
  for (const key of ['username', 'password'] as const) {
    if (keys[key] !== undefined && inUrl[key] !== undefined)
      complain([key], 'is in the url too', 'keep one');
  }
  const username = keys.username ?? inUrl.username;
  const password = keys.password ?? inUrl.password;
  if (username !== undefined && password === undefined) {
    complain(['password'], 'is required with username', fix);
  }
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

/** @param otherServer one more server to which `insecure` applies @returns undefined after a complaint */
function settleServers(
  keys: ConnectionKeys,
  terms: ClearTextTerms,
  otherServer: AnyServer | undefined,
  complain: Complain,
): Servers | undefined {
  const { url, sentinels, name, cluster } = keys;
  const topologies = [url, sentinels, cluster].filter((topology) => topology !== undefined);
  if (topologies.length !== 1) {
    if (topologies.length === 0) {
      const fix = 'write url: rediss://redis.example.com:6379, or set sentinels or cluster';
      complain(['url'], 'is missing', fix);
    } else {
      const path = [url === undefined ? 'cluster' : 'url'];
      complain(path, "can't be combined with the others", 'keep one of url, sentinels and cluster');
    }
    return undefined;
  }
  refuseUselessKeys(keys, complain);
  if (sentinels !== undefined && name === undefined) {
    complain(
      ['name'],
      'is required with sentinels',
      'write name: mymaster, or as the sentinels call the master',
    );
    return undefined;
  }
  refuseClearText(keys, terms, otherServer, complain);
  const secure = (sentinels ?? cluster)?.[0]?.secure === true;
  if (cluster !== undefined)
    return { kind: 'cluster', secure, nodes: cluster.map(({ address }) => address) };
  if (sentinels === undefined || name === undefined) return url && settleUrl(url, keys.database);
  return {
    kind: 'sentinel',
    secure,
    name,
    database: keys.database ?? 0,
    sentinels: sentinels.map(({ address }) => address),
    ...(keys.sentinelUsername !== undefined && { sentinelUsername: keys.sentinelUsername }),
    ...(keys.sentinelPassword !== undefined && { sentinelPassword: keys.sentinelPassword }),
  };
}

export function settleUrl(url: ServerUrl | SocketUrl, database: number | undefined): Servers {
  const number = url.database ?? database ?? 0;
  if ('path' in url) return { kind: 'socket', secure: false, database: number, path: url.path };
  return { kind: 'server', secure: url.secure, database: number, address: url.address };
}

function refuseUselessKeys(
  { url, sentinels, cluster, database, ...keys }: ConnectionKeys,
  complain: Complain,
): void {
  for (const key of ['name', 'sentinelUsername', 'sentinelPassword'] as const) {
    if (keys[key] !== undefined && sentinels === undefined)
      complain([key], 'has no effect without sentinels', 'remove it');
  }
  if (keys.sentinelUsername !== undefined && keys.sentinelPassword === undefined) {
    complain(
      ['sentinelPassword'],
      'is required with sentinelUsername',
      'write { file: secrets/sentinel }',
    );
  }
  if (database !== undefined && url?.database !== undefined)
    complain(['database'], 'is in the url too', 'keep one');
  if (database !== undefined && database !== 0 && cluster !== undefined) {
    complain(['database'], 'must be 0 in a cluster, which has no other database', 'remove it');
  }
}

function refuseClearText(
  { url, sentinels, cluster, insecure }: ConnectionKeys,
  { consent }: ClearTextTerms,
  otherServer: AnyServer | undefined,
  complain: Complain,
): void {
  const listed = sentinels ?? cluster ?? [];
  const key = sentinels === undefined ? 'cluster' : 'sentinels';
  const mixed = listed.findIndex(({ secure }) => secure !== listed[0]?.secure);
  if (mixed !== -1)
    complain([key, mixed], 'must begin like the first: all with rediss://, or none');
  const clear = url === undefined ? listed.findIndex(isClearText) : [url].findIndex(isClearText);
  if (clear !== -1 && insecure !== true) {
    const fix = `write rediss://, or insecure: true if ${consent}`;
    complain(url === undefined ? [key, clear] : ['url'], 'uses clear text', fix);
  }
  const isUseless = clear === -1 && (otherServer === undefined || !isClearText(otherServer));
  if (isUseless && insecure === true)
    complain(['insecure'], 'has no effect, since no server uses clear text', 'remove it');
}
