import { isIP, isIPv6 } from 'node:net';
import { isObject, type Path, type Problem, valueAt } from './problems.ts';
import type { FileConfig } from './schema.ts';

/**
 * Finds values that may be meant, but most likely are not.
 *
 * @param written the file as it is written
 */
export function unlikelyValues(
  { authenticators }: Pick<FileConfig, 'authenticators'>,
  written: unknown,
): Problem[] {
  return [
    ...entries(written, ['server', 'tls', 'clientNames']).flatMap(unlikelyClientName),
    ...entries(written, ['login', 'trustedProxies']).flatMap(unlikelyProxies),
    ...unlikelyAudiences(written),
    ...unlikelyPatterns(authenticators),
  ];
}

interface WrittenText {
  readonly text: string;
  readonly path: Path;
}

/** Returns the texts of a list, as they are written. What is not a text is an error, which is reported elsewhere. */
function entries(written: unknown, path: Path): readonly WrittenText[] {
  const list = valueAt(written, path);
  const all = Array.isArray(list) ? [...list.entries()] : [];
  return all.flatMap(([index, text]) =>
    typeof text === 'string' ? [{ text, path: [...path, index] }] : [],
  );
}

/** Matches a name as openssl and logs show it: `CN = kube-apiserver`, `subject=O = acme, CN = a`, `/O=acme/CN=a`, `DNS:a`. */
const displayed = {
  subject: /^\/?[a-z\d.]+\s*=/i,
  commonName: /(?:^|[,/=]\s*)CN\s*=\s*([^,/]+)/i,
  alternative: /^(?:DNS|URI|email|IP Address):(.+)$/,
};

function unlikelyClientName(written: WrittenText): Problem[] {
  const { text, path } = written;
  const isSubject = displayed.subject.test(text);
  const [, name] = (isSubject ? displayed.commonName : displayed.alternative).exec(text) ?? [];
  if (!isSubject && name === undefined) return unlikelyWildcard(written);
  const message = `${JSON.stringify(text)} is how a name is displayed, and no certificate has that name: names are compared without what is before them`;
  return [
    {
      path,
      message,
      fix: `write ${name?.trim() ?? 'the common name alone, such as kube-apiserver'}`,
    },
  ];
}

/** A wildcard certificate has a name such as `*.example.com`, to the letter. */
function unlikelyWildcard({ text, path }: WrittenText): Problem[] {
  if (!/(?!^)\*|^\*(?!\.)/.test(text)) return [];
  return [
    {
      path,
      message: `${JSON.stringify(text)} is compared as it is, and no certificate has that name: a client name is not a pattern`,
      fix:
        'write the common name of the client certificate of kube-apiserver, such as kube-apiserver. To let in any client, ' +
        'remove clientCAFile and clientNames, and write clientAuth: none',
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

/** The audiences that kubeadm and most others set. Without `--api-audiences`, that of an API server is its `--service-account-issuer`. */
const usualAudiences: readonly string[] = [
  'https://kubernetes.default.svc.cluster.local',
  'https://kubernetes.default.svc',
];

/** Warns of audiences of several clusters that another API server may have: the audience alone binds a session to its cluster. */
function unlikelyAudiences(written: unknown): Problem[] {
  const clusters = valueAt(written, ['login', 'clusters']);
  const all = Object.entries(isObject(clusters) ? clusters : {}).map(([name, one]) => ({
    name,
    audience: String(valueAt(one, ['audience'])),
  }));
  if (all.length < 2) return [];
  const common = entries(written, ['server', 'apiAudiences']).map(({ text }) => text);
  // A list with the audiences of all clusters is not a list of what the clusters have in common.
  const isUnion = all.every(
    ({ audience }) => common.includes(audience) || usualAudiences.includes(audience),
  );
  const why = (audience: string) => {
    if (usualAudiences.includes(audience)) return 'most API servers have this audience';
    return common.includes(audience) && !isUnion ? 'it is also in server.apiAudiences' : undefined;
  };
  return all.flatMap(({ name, audience }) => {
    const reason = why(audience);
    if (reason === undefined) return [];
    return {
      path: ['login', 'clusters', name, 'audience'],
      message: `${JSON.stringify(audience)}: ${reason}, and in another cluster whose API server has it, a session for ${name} would be valid`,
      fix: `give ${name} an audience of its own, such as https://${name}.example.com, and add it only to the --api-audiences of its kube-apiserver`,
    };
  });
}

/** Warns of patterns of groups that most likely let nothing pass. */
function unlikelyPatterns(authenticators: FileConfig['authenticators']): Problem[] {
  return authenticators.flatMap(({ groups: { prefix, allow = [] } }, position) =>
    [...allow.entries()].flatMap(([index, pattern]) => {
      const path = ['authenticators', position, 'groups', 'allow', index];
      const [why, better] = whyUnlikely(pattern, prefix) ?? [];
      if (why === undefined) return [];
      const fix = better ? `write ${JSON.stringify(better)}` : 'write the name of a group';
      return { path, message: `${JSON.stringify(pattern)} ${why}`, fix };
    }),
  );
}

/** Returns why a pattern lets nothing pass, and what was meant. */
function whyUnlikely(pattern: string, prefix: string): [string, string] | undefined {
  // Only Kubernetes sees the prefix.
  if (prefix !== '' && pattern.startsWith(prefix)) {
    const why =
      'begins with groups.prefix, and is compared with the names of the backend, which come before the prefix';
    return [why, pattern.slice(prefix.length)];
  }
  if (pattern !== pattern.trim())
    return ['begins or ends with a blank, and most likely no group does', pattern.trim()];
  // In `team.*` the dot may be a dot.
  if (!/^\^|\$$|(^|\W)\.\*/.test(pattern)) return undefined;
  const why =
    'looks like a regular expression, and is compared as it is: only * stands for other characters';
  return [why, pattern.replace(/^\^|\$$/g, '').replaceAll('.*', '*')];
}
