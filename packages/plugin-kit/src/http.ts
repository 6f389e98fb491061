import type { ClientRequest } from 'node:http';
import { explainTls, isTlsError } from './tls/tls-problem.ts';
import { oneLine } from './values/text.ts';

/** The answer of a server to a request over HTTP. */
export interface HttpAnswer {
  readonly status: number;
  /** The body is empty unless its status is one of `statuses`. */
  readonly body: Buffer;
}

/** This is thrown for an answer with more bytes than are read. */
export class AnswerTooBig extends Error {
  override readonly name = 'AnswerTooBig';
}

/** These options say how an answer is read. */
export interface AnswerOptions {
  /**
   * The statuses whose body is returned. Other bodies are read and dropped, so that the connection
   * can be used again.
   */
  readonly statuses: readonly number[];
  /** Bytes of a body. A bigger answer ends the connection while it is read. */
  readonly maxSize: number;
}

/**
 * Sends a request that `node:http` or `node:https` has made, and reads its answer.
 *
 * @param body is the body of the request
 * @throws AnswerTooBig
 * @throws the error of Node, or our own error when an answer is compressed or not whole. None quotes the answer in its message
 */
export function callHttp(
  call: ClientRequest,
  { statuses, maxSize }: AnswerOptions,
  body?: string,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) => {
      reject(error);
      call.destroy();
    };
    call.on('error', reject);
    // Without this listener, Node emits neither `response` nor `error` for a 101.
    call.on('upgrade', ({ statusCode: status = 101 }, socket) => {
      socket.destroy();
      resolve({ status, body: Buffer.alloc(0) });
    });
    const noAnswer = () => reject(new Error('the connection was closed without an answer'));
    call.on('close', noAnswer);
    call.on('response', (answer) => {
      // An answer without a length ends after `close`.
      call.off('close', noAnswer);
      const { statusCode: status = 0, headers } = answer;
      const isReturned = statuses.includes(status);
      if (!isReturned) resolve({ status, body: Buffer.alloc(0) });
      else if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
        return refuse(new Error('it answers compressed, unasked'));
      }
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxSize) refuse(new AnswerTooBig());
        else if (isReturned) chunks.push(chunk);
      });
      answer.on('end', () => resolve({ status, body: Buffer.concat(chunks, length) }));
      // Node says only "aborted". It emits no `end` and no `error` for some connections that end in the middle of a body.
      const notWhole = () => reject(new Error('the answer is not whole'));
      answer.on('error', notWhole).on('close', notWhole);
    });
    call.end(body);
  });
}

/** The directory and Redis plugins use the same words. */
const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: is it running, and is this its port?',
  ENOTFOUND: 'DNS does not know the name: check the host in the URL',
  EAI_AGAIN: 'DNS does not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to its network',
};

/** Explains why a request over HTTP failed, and how to fix it. @param name must be in the certificate */
export function explainHttpError(error: NodeJS.ErrnoException, name: string): string {
  const { code = '' } = error;
  if (isTlsError(error) || /CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return explainTls(error, { name, noTls: 'check the port in the URL' }).problem;
  }
  const problem = Object.hasOwn(byCode, code) ? byCode[code] : undefined;
  if (problem !== undefined) return problem;
  const inner =
    error instanceof AggregateError ? error.errors.map((cause: Error) => cause.message) : [];
  return oneLine(error.message || inner.join('; ') || code);
}

/** Parses JSON. @returns undefined for what is not JSON, or not UTF-8: the error of JSON.parse would quote it */
export function parseJson(json: string | Uint8Array): unknown {
  try {
    return JSON.parse(
      typeof json === 'string' ? json : new TextDecoder('utf-8', { fatal: true }).decode(json),
    );
  } catch {
    return undefined;
  }
}
