import { request } from 'node:https';
import type { IdTokenIssuer } from '@sallyport/authenticator';
import {
  AnswerTooBig,
  callHttp,
  durationText,
  explainHttpError,
  type HttpAnswer,
  parseJson,
  within,
} from '@sallyport/plugin-kit';
import { ProviderError } from './provider-error.ts';

const timeout = 5000;
const maxSize = 256 * 1024;

/** A ProviderCall is one request to a provider. */
interface ProviderCall {
  /** Names the endpoint in messages. */
  readonly where: string;
  readonly url: string;
  readonly ca: IdTokenIssuer['ca'];
  /** The statuses whose answers are read. All others are errors. */
  readonly statuses: readonly number[];
  /** The form to send. Left out: the request is a GET. */
  readonly form?: { readonly headers: Readonly<Record<string, string>>; readonly body: string };
}

/**
 * Sends a request to a provider and reads the JSON of its answer. It uses `node:https`, since `fetch` takes no CA, follows no redirect,
 * and asks for no compression.
 *
 * @throws ProviderError `unavailable`
 */
export async function callProvider(
  { where, url, ca, statuses, form }: ProviderCall,
  signal?: AbortSignal,
): Promise<{ readonly status: number; readonly document: unknown }> {
  const fail = (reason: string, fix?: string) =>
    new ProviderError('unavailable', `${where}: ${reason}`, fix);
  const ending = new AbortController();
  const send = () => {
    const headers = {
      ...form?.headers,
      accept: 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'sallyport',
    };
    const method = form === undefined ? 'GET' : 'POST';
    // Left out, NODE_TLS_REJECT_UNAUTHORIZED in the environment would decide.
    const secure = { agent: false, rejectUnauthorized: true, ca: ca() };
    const call = request(url, { ...secure, method, headers, signal: ending.signal });
    return callHttp(call, { statuses, maxSize }, form?.body);
  };
  const bounds = {
    limit: timeout,
    late: () =>
      fail(`no answer within ${durationText(timeout)}`, 'check that the provider is running'),
    signal,
    aborted: () => fail('the login ended before the answer came'),
  };
  const explain = (error: Error): never => {
    if (error instanceof ProviderError) throw error;
    if (error instanceof AnswerTooBig) throw fail(`the answer is bigger than ${maxSize} bytes`);
    const reason = explainHttpError(error, new URL(url).hostname);
    throw fail(reason.replaceAll('caFile', 'certificateAuthorityFile'));
  };
  const answer: HttpAnswer = await within(bounds, send)
    .catch(explain)
    .finally(() => ending.abort());
  const { status, body } = answer;
  if (status >= 300 && status < 400) throw fail('the answer is a redirect, which is not followed');
  if (!statuses.includes(status)) throw fail(`the answer has the status ${status}`);
  const document = parseJson(body);
  if (document === undefined) throw fail('the answer is not JSON', 'check the URL');
  return { status, document };
}
