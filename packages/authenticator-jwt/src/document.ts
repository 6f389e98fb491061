import { request } from 'node:https';
import { AuthenticatorError } from '@sallyport/authenticator';
import { explainTls, isTlsError, oneLine } from '@sallyport/plugin-options';

/** How a document is fetched. */
export interface FetchOptions {
  /** PEM. Undefined: the CAs of Node. */
  readonly ca: Buffer | undefined;
  /** Bytes: a bigger document is refused while it is read. */
  readonly maxSize: number;
  readonly signal: AbortSignal;
}

/**
 * Fetches a JSON document with https. It follows no redirect and asks for no compression.
 *
 * @throws AuthenticatorError `unavailable`, which names the URL, why, and how to fix it
 */
export async function fetchDocument(url: string, options: FetchOptions): Promise<unknown> {
  const fail = (why: string, cause?: unknown) => {
    return new AuthenticatorError('unavailable', `${url}: ${why}`, ...(cause === undefined ? [] : [{ cause }]));
  };
  const body = await fetchBody(url, options, fail);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // The error of JSON.parse quotes the document.
    throw fail('is no JSON document: check the URL');
  }
}

type Fail = (why: string, cause?: unknown) => AuthenticatorError;

/** `https` and not `fetch`, which takes no CA without a dispatcher of the very same undici. */
function fetchBody(url: string, { ca, maxSize, signal }: FetchOptions, fail: Fail): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'sallyport' };
    // Left out, NODE_TLS_REJECT_UNAUTHORIZED in the environment would decide.
    const tls = { rejectUnauthorized: true, ...(ca && { ca }) };
    const call = request(url, { agent: false, headers, signal, ...tls }, (answer) => {
      const refuse = (why: string) => {
        reject(fail(why));
        call.destroy();
      };
      const { statusCode = 0 } = answer;
      if (statusCode >= 300 && statusCode < 400) return refuse('answers with a redirect, which is not followed');
      if (statusCode !== 200) return refuse(`answers ${statusCode}`);
      if ((answer.headers['content-encoding'] ?? 'identity') !== 'identity')
        return refuse('answers compressed, unasked');
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxSize) return refuse(`is bigger than jwks.maxSize (${maxSize} bytes)`);
        chunks.push(chunk);
      });
      answer.on('end', () => resolve(Buffer.concat(chunks, length)));
      answer.on('error', (error) => reject(fail('the connection broke', error)));
      // Node emits neither `end` nor `error` when a server closes in the middle of a body without a length.
      answer.on('close', () => reject(fail('the answer is not whole')));
    });
    // Without this listener, Node emits neither `response` nor `error` for a 101.
    call.on('upgrade', ({ statusCode = 101 }, socket) => {
      socket.destroy();
      reject(fail(`answers ${statusCode}`));
    });
    const noAnswer = () => reject(fail('the connection was closed without an answer'));
    call.on('close', noAnswer);
    // An answer without a length ends after `close`.
    call.on('response', () => call.off('close', noAnswer));
    call.on('error', (error: NodeJS.ErrnoException) => reject(fail(reasonOf(error, url, signal))));
    call.end();
  });
}

function reasonOf(error: NodeJS.ErrnoException, url: string, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time (jwks.timeout)';
  const { code = '' } = error;
  if (isTlsError(error) || /CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
    const peer = { name: new URL(url).hostname, noTls: 'check the port in the URL' };
    return explainTls(error, peer).problem.replaceAll('caFile', 'certificateAuthorityFile');
  }
  const inner = error instanceof AggregateError ? error.errors.map((one: Error) => one.message) : [];
  return oneLine(error.message || inner.join('; ') || code);
}
