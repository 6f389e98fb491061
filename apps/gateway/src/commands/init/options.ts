import type { X509Certificate } from 'node:crypto';
import { isLoopback, parseCertificates } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { describeError } from '../../config/problems.ts';
import { mebibyte, readText } from '../../config/read-text.ts';
import { usualAudience } from '../../config/unlikely.ts';
import { userPath } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { UsageError } from '../output.ts';
import { parseHost } from './hosts.ts';
import { parseRedisUrl } from './redis.ts';
import type { Parts } from './sections.ts';

export interface InitOptions {
  readonly dir: string;
  readonly host?: readonly string[];
  readonly renew?: boolean;
  readonly redis?: string;
  readonly redisCa?: string;
  /** The name of the login server. True: the first of `host`. With `renew`: another name than before. */
  readonly login?: string | true;
  readonly serviceAccountIssuer?: string;
}

/** Returns the parts that `--redis` and `--login` ask for. @throws UsageError */
export async function readParts(
  context: CommandContext,
  hosts: readonly string[],
  { redis, redisCa, login, serviceAccountIssuer = usualAudience }: Omit<InitOptions, 'dir'>,
): Promise<Parts> {
  const audience = parseIssuer(serviceAccountIssuer);
  if (redis === undefined) {
    if (login === undefined && redisCa === undefined) return { audience };
    throw new UsageError(
      `--${login ? 'login' : 'redis-ca'} needs --redis`,
      'add --redis rediss://redis.example.com:6379',
    );
  }
  const url = parseRedisUrl(redis);
  const authority =
    redisCa === undefined ? undefined : await readRedisAuthority(url, userPath(context, redisCa));
  return {
    audience,
    redis: { url, ...(authority && { authority }) },
    ...(login !== undefined && { login: readLoginHost(hosts, login) }),
  };
}

/** Requires text that can be one of the audiences in the flags of kube-apiserver, which a comma separates. @throws UsageError */
function parseIssuer(text: string): string {
  if (/^[^\s,\p{Cc}]{1,256}$/u.test(text)) return text;
  throw new UsageError(
    `--service-account-issuer: ${printable(JSON.stringify(text))} is not the issuer of one API server`,
    `write its first --service-account-issuer, such as ${usualAudience}`,
  );
}

/** Returns the name of the login server. @throws UsageError for a name that people can't reach */
function readLoginHost(hosts: readonly string[], login: string | true): string {
  const name = login === true ? hosts[0] : parseHost(login, '--login');
  if (name === undefined) throw new UsageError('--login needs a name', writeName);
  if (isLoopback(name)) {
    const origin =
      login === true
        ? `--login has no name, so it is the first of --host, ${name}`
        : `--login ${name}`;
    throw new UsageError(
      `${origin}: only programs on this machine can reach that`,
      `${writeName}. To try a login on this machine alone, use examples/login of a checkout: docs/login.md`,
    );
  }
  return name;
}

/** Reads the CA of Redis. @throws UsageError for a file that must not be copied to where all may read it, or would do nothing there */
async function readRedisAuthority(url: string, file: string) {
  if (!url.startsWith('rediss://')) {
    throw new UsageError(
      '--redis-ca is for a Redis with TLS',
      'write --redis rediss://…, or leave --redis-ca out',
    );
  }
  const text = await readText(file, mebibyte).catch((error: unknown) => {
    const { message } = describeError(error);
    throw new UsageError(`--redis-ca: ${message}`, nameAuthority, { cause: error });
  });
  const problem = findAuthorityProblem(text);
  if (problem !== undefined) {
    throw new UsageError(`--redis-ca: ${file} ${problem}`, nameAuthority);
  }
  return { file, text };
}

const nameAuthority = 'name the file of the CA that signed the certificate of Redis';

function findAuthorityProblem(text: string): string | undefined {
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
