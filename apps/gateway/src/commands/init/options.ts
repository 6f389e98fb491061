import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isLoopback, parseCertificates } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { FixableError } from '../../config/problems.ts';
import { mebibyte, readText } from '../../config/read-text.ts';
import { userPath } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { UsageError } from '../output.ts';
import { isIssuedByAny } from './authority.ts';
import { exists } from './files.ts';
import { hostsOf, parseHost } from './hosts.ts';
import { loginNames, names } from './layout.ts';
import { hasLogin } from './parts.ts';
import { parseRedisUrl } from './redis.ts';
import type { LoginPart, Parts } from './sections.ts';

export interface InitOptions {
  readonly dir: string;
  readonly host?: readonly string[];
  readonly renew?: boolean;
  readonly redis?: string;
  readonly redisCa?: string;
  /** The name of the login server. True: the first of `host`. With `renew`: another name than before. */
  readonly login?: string | true;
}

/** Returns the parts that `--redis` and `--login` ask for. @throws UsageError */
export async function partsOf(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  given: Omit<InitOptions, 'dir'>,
): Promise<Parts> {
  const { redis, redisCa, login } = given;
  if (redis === undefined) {
    if (login === undefined && redisCa === undefined) return {};
    // A config with a login server has its Redis: only the certificate can be missing.
    if (login !== undefined && redisCa === undefined && (await hasLogin(context, folder))) {
      return { login: await loginPart(folder, hosts, login) };
    }
    throw new UsageError(
      `--${login ? 'login' : 'redis-ca'} needs --redis`,
      'add --redis rediss://redis.example.com:6379',
    );
  }
  const url = parseRedisUrl(redis);
  const ca =
    redisCa === undefined
      ? {}
      : { authority: await authorityOfRedis(url, userPath(context, redisCa)) };
  return {
    redis: { url, ...ca },
    ...(login !== undefined && { login: await loginPart(folder, hosts, login) }),
  };
}

async function loginPart(
  folder: string,
  hosts: readonly string[],
  login: string | true,
): Promise<LoginPart> {
  const name =
    login === true ? (hosts[0] ?? (await certifiedHosts(folder))[0]) : parseHost(login, '--login');
  if (name === undefined) throw new UsageError('--login needs a name', writeName);
  if (isLoopback(name)) {
    const given =
      login === true
        ? `--login has no name, so it is the first of --host, ${name}`
        : `--login ${name}`;
    throw new UsageError(`${given}: only programs on this machine can reach that`, writeName);
  }
  return { host: name, certificate: await loginCertificate(folder) };
}

/** Reads the CA of Redis. @throws UsageError for a file that must not be copied to where all may read it, or would do nothing there */
async function authorityOfRedis(url: string, file: string): Promise<string> {
  if (!url.startsWith('rediss://')) {
    throw new UsageError(
      '--redis-ca is for a Redis with TLS',
      'write --redis rediss://…, or leave --redis-ca out',
    );
  }
  const text = await readText(file, mebibyte);
  const problem = problemOfAuthority(text);
  if (problem !== undefined) {
    throw new UsageError(
      `--redis-ca: ${file} ${problem}`,
      'name the file of the CA that signed the certificate of Redis',
    );
  }
  return text;
}

function problemOfAuthority(text: string): string | undefined {
  if (text.includes('PRIVATE KEY-----')) return 'contains a private key';
  try {
    // A certificate that is its own CA may be pinned.
    const isAuthority = ({ ca, subject, issuer }: X509Certificate) => ca || subject === issuer;
    return parseCertificates(Buffer.from(text)).some(isAuthority)
      ? undefined
      : 'contains no CA certificate';
  } catch {
    return 'contains no PEM certificate';
  }
}

const writeName =
  'write the name by which people reach this gateway from their machines: --login login.example.com';

/** Returns the name that `--renew --login HOST` asks for; undefined: the old one. @throws UsageError */
export function newLoginHost(login: InitOptions['login']): string | undefined {
  if (login === undefined) return undefined;
  if (login !== true) return parseHost(login, '--login');
  throw new UsageError(
    '--renew keeps the name of the login server, so --login needs a name',
    'leave --login out, or write another name: --login login.example.com',
  );
}

/** Returns the names of the server's certificate; none if there is no certificate. */
export async function certifiedHosts(folder: string): Promise<readonly string[]> {
  const text = await readText(join(folder, names.server), mebibyte).catch(() => undefined);
  return text === undefined ? [] : hostsOf(new X509Certificate(text));
}

/** Returns who issued the login certificate. @throws Error when one file of the pair exists without the other */
async function loginCertificate(folder: string): Promise<LoginPart['certificate']> {
  const { certificate, key } = loginNames;
  const [one, other] = await Promise.all(
    [certificate, key].map((name) => exists(join(folder, name))),
  );
  if (!one && !other) return 'issue';
  if (one !== other) {
    throw new FixableError(
      `nothing was written: ${printable(folder)} has ${one ? certificate : key} without ${one ? key : certificate}`,
      'put the missing file next to it, or move it away for a new pair',
    );
  }
  const read = (name: string) => readText(join(folder, name), mebibyte).catch(() => '');
  return isIssuedByAny(await read(names.authority), await read(certificate)) ? 'ours' : 'foreign';
}
