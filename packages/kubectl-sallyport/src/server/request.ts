import type { IncomingMessage } from 'node:http';
import { codeOf, exitCodes, Failure, reasonOf } from '../failure.ts';
import type { Target } from '../target.ts';

/** What a request needs to know of the login server. */
export type ServerAddress = Pick<Target, 'url' | 'ca'>;

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Begins with a slash. */
  readonly path: string;
  readonly token?: string;
  readonly body?: object;
  /** Milliseconds for all of it. */
  readonly timeout: number;
}

export type Answer = Awaited<ReturnType<typeof exchange>>;

const longest = 1024 * 1024;

/** Redirections are not followed: a password goes to the server that the user named, or nowhere. @throws Failure without an answer */
export async function send(address: ServerAddress, request: Request): Promise<Answer> {
  try {
    return await exchange(address, request);
  } catch (cause) {
    throw new Failure(explain(address, cause), exitCodes.unavailable, { cause });
  }
}

async function exchange({ url, ca }: ServerAddress, { method, path, token, body, timeout }: Request) {
  const isPlain = url.startsWith('http:');
  // Only what is used is loaded: kubectl waits.
  const { Agent, request } = isPlain ? await import('node:http') : await import('node:https');
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    accept: 'application/json',
    connection: 'close',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  // NODE_TLS_REJECT_UNAUTHORIZED=0 must not send a password to whoever answers.
  // Without TLS the server is on this machine: the agent of Node would take the password to HTTP_PROXY.
  const tls = isPlain ? { agent: new Agent() } : { ca: ca ?? (await systemAuthorities()), rejectUnauthorized: true };
  const signal = AbortSignal.timeout(timeout);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(`${url}${path}`, { method, headers, signal, ...tls }, resolve);
    sent.on('error', reject).end(text);
  });
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > longest) throw new Error(`its answer has more than ${longest} bytes`);
    parts.push(part);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(parts).toString('utf8') };
}

/** The CAs of Node, and those of the system, as other programs of the user trust them. */
async function systemAuthorities(): Promise<string[] | undefined> {
  const { getCACertificates } = await import('node:tls');
  // Node before 22.15 has no such function, and takes its own.
  return getCACertificates && [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** OpenSSL's words for a certificate that no known CA has issued. */
const withoutTrust = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_SIGNATURE_)/;

function explain({ url, ca }: ServerAddress, error: unknown): string {
  const code = codeOf(error);
  if (withoutTrust.test(code)) {
    const reason = ca === undefined ? 'no CA that this machine trusts' : 'none of the CAs that are set for it';
    return (
      `${url}: cannot verify its certificate (${code}): it was issued by ${reason}. ` +
      `Ask your administrator for the file of its CA, then run: kubectl sallyport init ${url} --ca-file FILE`
    );
  }
  const reason = reasonOf(error) || code;
  if (/^(CERT_|ERR_TLS_)/.test(code)) {
    return `${url}: cannot verify its certificate: ${reason}. Ask your administrator`;
  }
  const isLate = error instanceof Error && /^(Timeout|Abort)Error$/.test(error.name);
  return `${url}: cannot reach the login server: ${isLate ? 'it did not answer in time' : reason}. Try again, or ask your administrator`;
}
