import { isIP, isIPv6 } from 'node:net';
import { durationText } from '@sallyport/plugin-kit';
import { isObject, type Path, type Problem, valueAt } from './problems.ts';
import type { FileConfig } from './schema.ts';
import { listTexts } from './unexpanded.ts';

/**
 * Finds values that may be meant, but most likely are not.
 *
 * @param file as it is written
 */
export function unlikelyValues(
  { authenticators, login }: Pick<FileConfig, 'authenticators' | 'login'>,
  file: unknown,
): Problem[] {
  return [
    ...textsAt(file, ['server', 'tls', 'clientNames']).flatMap(unlikelyClientName),
    ...textsAt(file, ['login', 'trustedProxies']).flatMap(unlikelyProxies),
    ...textsAt(file, ['server', 'apiAudiences']).flatMap(unlikelyAudience),
    ...unlikelyAudiences(file),
    ...unlikelyLifetimes(login, file),
    ...unlikelyTitle(login),
    ...unlikelyPatterns(authenticators),
    ...unlikelyPrefixes(authenticators),
    ...unlikelyEndpoint(file),
    ...unlikelyQuotes(file),
  ];
}

interface WrittenText {
  readonly text: string;
  readonly path: Path;
}

/** Returns the texts of a list, as they are written. What is not a text is an error, which is reported elsewhere. */
function textsAt(file: unknown, path: Path): readonly WrittenText[] {
  const list = valueAt(file, path);
  const entries = Array.isArray(list) ? [...list.entries()] : [];
  return entries.flatMap(([index, text]) =>
    typeof text === 'string' ? [{ text, path: [...path, index] }] : [],
  );
}

/** Matches a name as openssl and logs show it: `CN = kube-apiserver`, `subject=O = acme, CN = a`, `/O=acme/CN=a`, `DNS:a`. */
const displayed = {
  subject: /^\/?[a-z\d.]+\s*=/i,
  commonName: /(?:^|[,/=]\s*)CN\s*=\s*([^,/]+)/i,
  alternative: /^(?:DNS|URI|email|IP Address):(.+)$/,
};

function unlikelyClientName({ text, path }: WrittenText): Problem[] {
  if (text === '*' || /[\w-]\*|\*[\w-]/.test(text)) {
    const message = `${JSON.stringify(text)} has a *, and names are compared exactly: no pattern matches`;
    return [{ path, message, fix: 'write each name, such as kube-apiserver' }];
  }
  const isSubject = displayed.subject.test(text);
  const [, name] = (isSubject ? displayed.commonName : displayed.alternative).exec(text) ?? [];
  if (!isSubject && name === undefined) return [];
  const message = `${JSON.stringify(text)} is how a name is displayed, and no certificate has that name: names are compared without what is before them`;
  return [
    {
      path,
      message,
      fix: `write ${name?.trim() ?? 'the common name alone, such as kube-apiserver'}`,
    },
  ];
}

/** The bits of the biggest private networks: 10.0.0.0/8 (RFC 1918), fc00::/7 (RFC 4193). */
const minBits = { 4: 8, 6: 7 } as const;

function unlikelyProxies({ text, path }: WrittenText): Problem[] {
  const [address = '', bits = ''] = text.split('/');
  const isMapped = /^::ffff:/i.test(address);
  const min = minBits[isIPv6(address) && !isMapped ? 6 : 4];
  if (isIP(address) === 0 || !/^\d+$/.test(bits) || Number(bits) - (isMapped ? 96 : 0) >= min)
    return [];
  return [
    {
      path,
      message:
        `${JSON.stringify(text)} contains addresses of clients: each of them can choose with X-Forwarded-For the address it is ` +
        'counted under, so login.limits.perAddress does not limit them',
      fix: 'write only the addresses of your proxies',
    },
  ];
}

/** The audience of most API servers: without `--api-audiences`, it is the `--service-account-issuer`, and kubeadm, k3s and RKE2 set this one. */
export const usualAudience = 'https://kubernetes.default.svc.cluster.local';
const usualAudiences: readonly string[] = [usualAudience, 'https://kubernetes.default.svc'];

/** Warns of several audiences in one text: no API server has an audience with a comma. */
function unlikelyAudience({ text, path }: WrittenText): Problem[] {
  if (!text.includes(',')) return [];
  const message = `${JSON.stringify(text)} is one audience with a comma in it, and most likely no API server has it`;
  return [{ path, message, fix: `write ${text.split(/\s*,\s*/).join(', ')} as separate entries` }];
}

/** Warns of times of a session that are longer than any session. Defaults that are longer have no effect on purpose. */
function unlikelyLifetimes(login: FileConfig['login'], file: unknown): Problem[] {
  if (login === undefined) return [];
  const providers = Object.entries(login.providers).map(
    ([name, { ttl }]) => [['providers', name, 'ttl'], ttl] as const,
  );
  const times = [[['idle'], login.idle], [['revalidate'], login.revalidate], ...providers] as const;
  return times.flatMap(([keys, time = 0]) => {
    const path = ['login', ...keys];
    const text = valueAt(file, path);
    if (text === undefined || time <= login.ttl) return [];
    const ttl = valueAt(file, ['login', 'ttl']) ?? durationText(login.ttl);
    const message = `${text} has no effect: each session expires after login.ttl (${ttl})`;
    return [{ path, message, fix: 'lower it, or raise login.ttl' }];
  });
}

/** Warns of HTML, which pages show as it is written. */
function unlikelyTitle(login: FileConfig['login']): Problem[] {
  const { title = '', providers = {} } = login ?? {};
  const titles = [
    { path: ['login', 'title'], title },
    ...Object.entries(providers).map(([name, provider]) => ({
      path: ['login', 'providers', name, 'title'],
      title: provider.title ?? '',
    })),
  ];
  return titles.flatMap(({ path, title }) =>
    /<[a-z/][^>]*>|&[a-z]+;/i.test(title)
      ? [
          {
            path,
            message: 'contains HTML, which pages show as it is written',
            fix: 'write plain text',
          },
        ]
      : [],
  );
}

interface NamedAudience {
  readonly name: string;
  readonly audience: string;
}

/** Warns of the audience of the only cluster if its API server does not ask for it. With several, the API servers ask for different lists. */
function findForeignAudiences(
  audiences: readonly NamedAudience[],
  common: readonly string[],
): Problem[] {
  return audiences.flatMap(({ name, audience }) => {
    if (common.length === 0 || common.includes(audience)) return [];
    return {
      path: ['login', 'clusters', name, 'audience'],
      message: `${JSON.stringify(audience)} is not in server.apiAudiences (${common.join(', ')}): an API server that asks only for these refuses each session for ${name}`,
      fix: 'write an audience of that API server into both: its --service-account-issuer, or one of its --api-audiences',
    };
  });
}

/** Warns of audiences of several clusters that another API server may have: the audience alone binds a session to its cluster. */
function unlikelyAudiences(file: unknown): Problem[] {
  const clusters = valueAt(file, ['login', 'clusters']);
  const audiences: NamedAudience[] = Object.entries(isObject(clusters) ? clusters : {}).map(
    ([name, cluster]) => ({ name, audience: String(valueAt(cluster, ['audience'])) }),
  );
  const common = textsAt(file, ['server', 'apiAudiences']).map(({ text }) => text);
  if (audiences.length < 2) return findForeignAudiences(audiences, common);
  // A list with the audiences of all clusters is not a list of what the clusters have in common.
  const isUnion = audiences.every(
    ({ audience }) => common.includes(audience) || usualAudiences.includes(audience),
  );
  const describeReason = (audience: string) => {
    if (usualAudiences.includes(audience)) return 'most API servers have this audience';
    return common.includes(audience) && !isUnion ? 'it is also in server.apiAudiences' : undefined;
  };
  return audiences.flatMap(({ name, audience }) => {
    const reason = describeReason(audience);
    if (reason === undefined) return [];
    return {
      path: ['login', 'clusters', name, 'audience'],
      message: `${JSON.stringify(audience)}: ${reason}, and in another cluster whose API server has it, a session for ${name} would be valid`,
      fix: `give ${name} an audience of its own, such as https://${name}.example.com, and add it only to the --api-audiences of its kube-apiserver`,
    };
  });
}

/** Matches what only a regular expression has. Directories have groups with dots, backslashes and parentheses. */
const regularExpression = /^\^|\$$|\([^)]*\|[^)]*\)|\[[^\]]+\][*+]/;

/** Warns of patterns of groups that begin with the prefix, which only Kubernetes sees: most likely they let nothing pass. */
function unlikelyPatterns(authenticators: FileConfig['authenticators']): Problem[] {
  return authenticators.flatMap(({ groups: { prefix, allow = [] } }, position) =>
    [...allow.entries()].flatMap(([index, pattern]) => {
      const path = ['authenticators', position, 'groups', 'allow', index];
      if (regularExpression.test(pattern)) {
        const message = `${JSON.stringify(pattern)} is a regular expression, and these are globs, in which only * is special: most likely no group has that name`;
        return { path, message, fix: 'write a glob such as k8s-*, one entry for each alternative' };
      }
      if (pattern.startsWith('!')) {
        const message = `${JSON.stringify(pattern)} begins with !, and these globs exclude nothing: it lets groups pass whose name begins so`;
        return { path, message, fix: 'remove it, and list only the groups that may pass' };
      }
      if (prefix === '' || !pattern.startsWith(prefix)) return [];
      const name = pattern.slice(prefix.length);
      return {
        path,
        message: `${JSON.stringify(pattern)} begins with groups.prefix, and is compared with the names of the backend, which come before the prefix`,
        fix: name === '' ? 'write the name of a group' : `write ${JSON.stringify(name)}`,
      };
    }),
  );
}

/** Warns of prefixes that are templates, and that run into the name: with `corp`, jane is `corpjane`, and the name of another user may begin so. */
function unlikelyPrefixes(authenticators: FileConfig['authenticators']): Problem[] {
  return authenticators.flatMap(({ username, groups }, position) =>
    Object.entries({ username, groups }).flatMap(([key, { prefix }]) => {
      const path = ['authenticators', position, key, 'prefix'];
      if (prefix === '-') {
        const message =
          '"-" is a prefix here, and not the absence of one: the name jane becomes -jane';
        return { path, message, fix: 'remove the key for names without a prefix' };
      }
      const [, text, template] = /^([^{}]*)(\{.*\})/.exec(prefix) ?? [];
      if (template !== undefined) {
        const message = `${JSON.stringify(prefix)} is not a template: the name jane becomes ${prefix}jane`;
        return { path, message, fix: `write ${JSON.stringify(text || 'corp:')}` };
      }
      if (!/[A-Za-z0-9]$/.test(prefix)) return [];
      return {
        path,
        message: `${JSON.stringify(prefix)} has no separator at its end: the name jane becomes ${prefix}jane`,
        fix: `write ${JSON.stringify(`${prefix}:`)}`,
      };
    }),
  );
}

/** Warns of an endpoint at which collectors take no OTLP/HTTP: 4317 is the port of OTLP/gRPC, and traces have a path of their own. */
function unlikelyEndpoint(file: unknown): Problem[] {
  const path = ['tracing', 'endpoint'];
  const url = URL.parse(String(valueAt(file, path)));
  if (url === null) return [];
  const signal = /\/v1\/(metrics|logs)$/.exec(url.pathname)?.[1];
  if (url.port !== '4317' && url.pathname !== '/' && signal === undefined) return [];
  const place = signal === undefined ? 'has no path' : `has the path for ${signal}`;
  const message =
    url.port === '4317'
      ? 'has the port of OTLP/gRPC, and spans are sent by OTLP/HTTP'
      : `${place}, and collectors take spans at /v1/traces`;
  if (url.port === '4317') url.port = '4318';
  if (url.pathname === '/') url.pathname = '/v1/traces';
  url.pathname = url.pathname.replace(/(metrics|logs)$/, 'traces');
  return [{ path, message, fix: `write ${url.href}` }];
}

/** Warns of quotes of a word processor, which YAML takes for a part of the value. It quotes nothing, since that may be a secret. */
function unlikelyQuotes(value: unknown): Problem[] {
  const message = 'is in typographic quotes, which are a part of the value';
  return listTexts(value).flatMap(({ path, text }) =>
    /^[“”„‘’].*[“”‘’]$/s.test(text) ? [{ path, message, fix: 'write " in their place' }] : [],
  );
}
