import type { IncomingMessage } from 'node:http';
import { exitCodes, Failure, readCode, readReason } from '../failure.ts';
import type { Target } from '../target.ts';
import { shellWord } from '../text.ts';

/** A request needs this of the login server. All but `url` and `ca` is for messages alone. */
export interface ServerAddress extends Pick<Target, 'url' | 'ca' | 'account'> {
  readonly cluster?: string | undefined;
  /** The path that `--ca-file` of `init` has. */
  readonly caFile?: string | undefined;
  /** Whether all clusters of this server are meant. */
  readonly isForAll?: boolean;
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** The path begins with a slash. */
  readonly path: string;
  readonly token?: string;
  readonly body?: object;
  /** Milliseconds for the whole request. */
  readonly timeout: number;
  /** Ends the request early. */
  readonly signal?: AbortSignal;
}

export type LoginServerAnswer = Awaited<ReturnType<typeof requestAnswer>>;

/** Bytes of an answer. */
const maxSize = 1024 * 1024;

/**
 * Sends a request. It follows no redirect: a password goes to the server that the user named, or
 * nowhere.
 *
 * @throws Failure without an answer
 */
export async function send(address: ServerAddress, request: Request): Promise<LoginServerAnswer> {
  try {
    return await requestAnswer(address, request);
  } catch (cause) {
    const [problem, fix] = explain(address, cause);
    throw new Failure(problem, fix, { cause, exitCode: exitCodes.unavailable });
  }
}

async function requestAnswer(
  { url, ca }: ServerAddress,
  { method, path, token, body, timeout, signal: early }: Request,
) {
  const isPlain = url.startsWith('http:');
  // Only what is used is loaded: kubectl waits.
  const { Agent, request } = isPlain ? await import('node:http') : await import('node:https');
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    accept: 'application/json',
    connection: 'close',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(text !== undefined && {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    }),
  };
  // NODE_TLS_REJECT_UNAUTHORIZED=0 must not send a password to an unverified server.
  // Without TLS the server is on this machine: the agent of Node would take the password to HTTP_PROXY.
  const tls = isPlain
    ? { agent: new Agent() }
    : { ca: ca ?? (await systemAuthorities()), rejectUnauthorized: true };
  const late = AbortSignal.timeout(timeout);
  const signal = early === undefined ? late : AbortSignal.any([late, early]);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method, headers, signal, ...tls }, resolve);
    outgoing.on('error', reject).end(text);
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxSize) throw new Error(`its answer has more than ${maxSize} bytes`);
    chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}

/** Reads the CAs of Node and of the system: other programs of the user trust them. */
async function systemAuthorities(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

const useGivenUrl =
  'use the URL that your administrator gave you, or ask for it. Another server might have this port: a login server has 8444 by default';

/** OpenSSL reports a certificate that no known CA has issued with one of these codes. */
const withoutTrust = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_SIGNATURE_)/;

/** Explains why there is no answer. @returns the problem, and how to fix it */
export function explain(address: ServerAddress, error: unknown): [problem: string, fix: string] {
  const { url, ca } = address;
  const code = readCode(error);
  if (withoutTrust.test(code)) {
    const reason =
      ca === undefined ? 'no CA that this machine trusts' : 'none of the CAs that are set for it';
    return [
      `${url}: can't verify its certificate (${code}): it was issued by ${reason}`,
      `ask your administrator for its CA file, then run: ${initCommand({ ...address, caFile: 'FILE' })}`,
    ];
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherName(url, error);
  const tlsReason = wordsOfTls(error);
  const reason = tlsReason ?? (readReason(error) || code);
  if (reason.endsWith('alert certificate required')) {
    const cause = 'this port requires a client certificate, as the port for kube-apiserver does';
    return [`${url}: can't reach the login server: ${cause}`, useGivenUrl];
  }
  if (/^(CERT_|ERR_TLS_)/.test(code)) {
    const clock =
      'check the clock of this machine, or ask your administrator for a new certificate';
    const fix = /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/.test(code) ? clock : 'ask your administrator';
    return [`${url}: can't verify its certificate: ${reason}`, fix];
  }
  const isLate = error instanceof Error && /^(Timeout|Abort)Error$/.test(error.name);
  const parsed = new URL(url);
  const { hostname, port, protocol } = parsed;
  const isProxied = process.env.NODE_USE_ENV_PROXY === '1' && protocol === 'https:';
  if (code === 'ENOTFOUND' && !isProxied) {
    const cause = `no host is called ${hostname}`;
    return [`${url}: can't reach the login server: ${cause}`, 'check the spelling, and your VPN'];
  }
  if (code === 'EAI_AGAIN' && !isProxied) {
    const cause = `no DNS server answered which address ${hostname} has`;
    return [`${url}: can't reach the login server: ${cause}`, 'check your network, and your VPN'];
  }
  const problem = `${url}: can't reach the login server: ${isLate ? 'it did not answer in time' : reason}`;
  if (tlsReason !== undefined) return [problem, useGivenUrl];
  if (isProxied)
    return [problem, 'NODE_USE_ENV_PROXY=1 is set: check HTTPS_PROXY, or add the host to NO_PROXY'];
  if (port !== '' || !(isLate || code === 'ECONNREFUSED'))
    return [
      problem,
      'try again, or ask your administrator whether the port is right (8444 by default)',
    ];
  parsed.port = '8444';
  const withPort = initCommand({ ...address, url: parsed.href.replace(/\/$/, '') });
  return [problem, `try again; if the port is missing in the URL, run: ${withPort}`];
}

/** Returns what OpenSSL says, such as `TLS: wrong version number`, without the place in its code. */
function wordsOfTls(error: unknown): string | undefined {
  const [, words] = /:SSL routines:[^:]*:([^:]+):/.exec(readReason(error)) ?? [];
  return words && `TLS: ${words}`;
}

/** Returns the command that adds the clusters of an address to the kubeconfig, for a message. */
export function initCommand({
  url,
  cluster,
  account,
  caFile,
  isForAll = false,
}: ServerAddress): string {
  const words = [
    ...(cluster === undefined ? [] : [shellWord(cluster)]),
    ...(isForAll ? ['--all'] : []),
    ...(account === undefined ? [] : ['--username', shellWord(account)]),
    ...(caFile === undefined ? [] : ['--ca-file', shellWord(caFile)]),
  ];
  return ['kubectl sallyport init', shellWord(url), ...words].join(' ');
}

/** Explains a certificate of a trusted CA that is for another host: Node's own words are for programmers. */
function otherName(url: string, error: unknown): [problem: string, fix: string] {
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: string } };
  const names = [...(cert?.subjectaltname ?? '').matchAll(/(?:DNS|IP Address):([^",]+)/g)].map(
    ([, name]) => name,
  );
  const shown = names.slice(0, 5).join(', ');
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  const valid = shown === '' ? 'does not name a host' : `is for ${shown}`;
  return [`${url}: can't verify its certificate: it ${valid}, and not for ${host}`, useGivenUrl];
}
