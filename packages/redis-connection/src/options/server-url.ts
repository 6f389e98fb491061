import { isIPv4, isIPv6 } from 'node:net';
import { isHostName, isLoopback, type ParseResult, parseText } from '@sallyport/plugin-kit';
import type { HostPort } from '../connection-options.ts';

/** A parsed URL of the options. Messages never quote a URL, since it may contain a password. */
export interface ServerUrl {
  readonly secure: boolean;
  readonly address: HostPort;
  /** The number of the database. It is undefined if the URL has none. */
  readonly database?: number;
  readonly username?: string;
  readonly password?: string;
}

/** A Unix domain socket. */
export interface SocketUrl {
  readonly secure: false;
  readonly path: string;
  readonly database?: number;
  readonly username?: never;
  readonly password?: never;
}

export const urlPattern = '^([Rr][Ee][Dd][Ii][Ss][Ss]?://[^/?#]+(/\\d*)?|[Uu][Nn][Ii][Xx]:/.+)$';
export const placePattern = '^([Rr][Ee][Dd][Ii][Ss][Ss]?://)?[^/?#@]+/?$';

const urlFix = 'write rediss://redis.example.com:6379/0 or unix:/run/redis/redis.sock';
const encode =
  'percent-encode special characters in the user and the password, or use the keys username and password';

/** `redis[s]://[user:password@]host[:port][/database]` or `unix:/path[?db=database]`. */
export function parseUrl(input: unknown): ParseResult<ServerUrl | SocketUrl> {
  const parsed = parseText(input, 'rediss://redis.example.com:6379');
  if ('problem' in parsed) return parsed;
  if (/^unix:/i.test(parsed.value)) return parseSocketUrl(parsed.value);
  if (!/^rediss?:\/\//i.test(parsed.value))
    return { problem: 'must begin with rediss://, redis:// or unix:/', fix: urlFix };
  return parseServerUrl(parsed.value);
}

function parseSocketUrl(text: string): ParseResult<SocketUrl> {
  const { path, database } =
    /^unix:(?:\/\/)?(?<path>\/[^?#]+)(?:\?db=(?<database>\d{1,4}))?$/i.exec(text)?.groups ?? {};
  if (path === undefined)
    return { problem: 'is not the path of a socket', fix: 'write unix:/run/redis/redis.sock' };
  return {
    value: { secure: false, path, ...(database !== undefined && { database: Number(database) }) },
  };
}

function parseServerUrl(text: string): ParseResult<ServerUrl> {
  // A password may have a comma.
  if (/^\w+:\/\/(?:[^/]*@)?[^/@]*,[^/@]*(?:\/|$)/.test(text)) {
    const problem = 'names several servers, and a URL has one';
    return { problem, fix: 'write a list under sentinels or cluster in place of url' };
  }
  const url = URL.parse(text);
  if (url === null) return { problem: 'is not a URL', fix: `${urlFix}; ${encode}` };
  const { protocol, pathname, search, hash, port } = url;
  if (search !== '' || hash !== '')
    return { problem: 'must end after the database', fix: `${urlFix}; ${encode}` };
  const host = readHost(url);
  if (host === undefined) return { problem: 'has no host', fix: `${urlFix}; ${encode}` };
  const database = /^\/(?<number>\d{1,4})$/.exec(pathname)?.groups?.number;
  if (database === undefined && !/^\/?$/.test(pathname))
    return { problem: 'must have a number as its database', fix: urlFix };
  if (port === '0') return { problem: 'must have a port from 1 to 65535', fix: urlFix };
  const login = readLogin(url);
  if (login === undefined)
    return { problem: "has a user or a password that can't be decoded", fix: encode };
  return {
    value: {
      secure: protocol === 'rediss:',
      address: { host, port: port === '' ? 6379 : Number(port) },
      ...(database !== undefined && { database: Number(database) }),
      ...login,
    },
  };
}

/** One of several servers: a URL without user and database, or `host[:port]`. */
export function parsePlace(
  input: unknown,
  defaultPort: number,
): ParseResult<Pick<ServerUrl, 'secure' | 'address'>> {
  const fix = `write rediss://redis-a.example.com:${defaultPort} or 192.0.2.1:${defaultPort}`;
  const parsed = parseText(input, `rediss://redis-a.example.com:${defaultPort}`);
  if ('problem' in parsed) return parsed;
  if (parsed.value.includes('@')) {
    return {
      problem: 'must not contain a user',
      fix: 'use the keys username and password, once for all servers',
    };
  }
  const text = /^rediss?:\/\//i.test(parsed.value) ? parsed.value : `redis://${parsed.value}`;
  const url = parseServerUrl(text);
  if ('problem' in url) return { problem: 'is not a host and a port', fix };
  if (url.value.database !== undefined) return { problem: 'must end after the host and port', fix };
  const { secure, address } = url.value;
  return {
    value: { secure, address: URL.parse(text)?.port ? address : { ...address, port: defaultPort } },
  };
}

function readHost({ hostname }: URL): string | undefined {
  const six = /^\[(?<six>.*)\]$/.exec(hostname)?.groups?.six;
  if (six !== undefined) return isIPv6(six) ? six : undefined;
  const name = hostname.toLowerCase();
  return isIPv4(name) || isHostName(name) ? name : undefined;
}

function readLogin({
  username,
  password,
}: URL): Pick<ServerUrl, 'username' | 'password'> | undefined {
  try {
    return {
      ...(username !== '' && { username: decodeURIComponent(username) }),
      ...(password !== '' && { password: decodeURIComponent(password) }),
    };
  } catch {
    return undefined;
  }
}

/** Whether others on the network can read the traffic, and answer instead of the server. */
export function isClearText(server: Pick<ServerUrl, 'secure' | 'address'> | SocketUrl): boolean {
  return 'address' in server && !server.secure && !isLoopback(server.address.host);
}
