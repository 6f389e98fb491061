import { isIP, isIPv6 } from 'node:net';
import { type Path, type Problem, valueAt } from './problems.ts';
import type { FileConfig } from './schema.ts';

/**
 * Finds values that may be meant, but most likely are not.
 *
 * @param written the file as it is written
 * @param places the index in the file of each of `authenticators`
 */
export function unlikelyValues(
  { authenticators }: Pick<FileConfig, 'authenticators'>,
  places: readonly number[],
  written: unknown,
): Problem[] {
  return [
    ...entries(written, ['server', 'tls', 'clientNames']).flatMap(judgeClientName),
    ...entries(written, ['login', 'trustedProxies']).flatMap(judgeProxies),
    ...unlikelyPatterns(authenticators, places),
  ];
}

interface WrittenText {
  readonly text: string;
  readonly path: Path;
}

/** The texts of a list, as they are written. What is no text is an error, which is reported elsewhere. */
function entries(written: unknown, path: Path): readonly WrittenText[] {
  const list = valueAt(written, path);
  const all = Array.isArray(list) ? [...list.entries()] : [];
  return all.flatMap(([index, text]) => (typeof text === 'string' ? [{ text, path: [...path, index] }] : []));
}

/** A name as openssl and logs show it: `CN = kube-apiserver`, `subject=O = acme, CN = a`, `/O=acme/CN=a`, `DNS:a`. */
const displayed = {
  subject: /^\/?[a-z\d.]+\s*=/i,
  commonName: /(?:^|[,/=]\s*)CN\s*=\s*([^,/]+)/i,
  alternative: /^(?:DNS|URI|email|IP Address):(.+)$/,
};

function judgeClientName(written: WrittenText): Problem[] {
  const { text, path } = written;
  const isSubject = displayed.subject.test(text);
  const [, name] = (isSubject ? displayed.commonName : displayed.alternative).exec(text) ?? [];
  if (!isSubject && name === undefined) return judgePattern(written);
  const message = `${JSON.stringify(text)} is how a name is displayed, and no certificate has that name: names are compared without what is before them`;
  return [{ path, message, fix: `write ${name?.trim() ?? 'the common name alone, such as kube-apiserver'}` }];
}

/** A wildcard certificate has a name such as `*.example.com`, to the letter. */
function judgePattern({ text, path }: WrittenText): Problem[] {
  if (!/(?!^)\*|^\*(?!\.)/.test(text)) return [];
  return [
    {
      path,
      message: `${JSON.stringify(text)} is compared as it is, and no certificate has that name: a client name is no pattern`,
      fix:
        'write the common name of the client certificate of kube-apiserver, such as kube-apiserver. To let in any client, ' +
        'remove clientCAFile and clientNames, and write clientAuth: none',
    },
  ];
}

/** No private network is bigger: 10.0.0.0/8 (RFC 1918), fc00::/7 (RFC 4193). */
const fewestBits = { 4: 8, 6: 7 } as const;

function judgeProxies({ text, path }: WrittenText): Problem[] {
  const [address = '', bits = ''] = text.split('/');
  const isMapped = /^::ffff:/i.test(address);
  const fewest = fewestBits[isIPv6(address) && !isMapped ? 6 : 4];
  if (isIP(address) === 0 || !/^\d+$/.test(bits) || Number(bits) - (isMapped ? 96 : 0) >= fewest) return [];
  return [
    {
      path,
      message:
        `${JSON.stringify(text)} has addresses of clients: each of them chooses with X-Forwarded-For the address it is ` +
        'counted under, so that login.limits.perAddress does not hold',
      fix: 'write the addresses of your proxies alone',
    },
  ];
}

/** Patterns of groups with the prefix that only Kubernetes sees most likely let nothing pass. */
function unlikelyPatterns(authenticators: FileConfig['authenticators'], places: readonly number[]): Problem[] {
  return authenticators.flatMap(({ groups: { prefix, allow = [] } }, position) => {
    const wrong = [...allow.entries()].filter(([, pattern]) => prefix !== '' && pattern.startsWith(prefix));
    return wrong.map(([index, pattern]) => ({
      path: ['authenticators', places[position] ?? position, 'groups', 'allow', index],
      message: `"${pattern}" begins with groups.prefix, and is compared with the names of the backend, which come before the prefix`,
      fix:
        pattern === prefix
          ? 'write the name of a group there'
          : `write ${JSON.stringify(pattern.slice(prefix.length))}`,
    }));
  });
}
