import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { HttpsServer } from './https-server.ts';

interface Page {
  /** Where the redirects ended. The page of another server is not read: its status is 0. */
  readonly url: URL;
  readonly status: number;
  readonly body: string;
}

/** A visitor follows redirects within one server and keeps its cookies, as a browser does. */
export interface Visitor {
  readonly origin: string;
  /** @param form is posted. Left out: the page is read */
  visit(url: string, form?: URLSearchParams): Promise<Page>;
}

export function visitor({ url: origin, ca }: Pick<HttpsServer, 'url' | 'ca'>): Visitor {
  const cookies = new Map<string, string>();

  async function visit(at: string, form?: URLSearchParams): Promise<Page> {
    const url = new URL(at);
    if (url.origin !== origin) return { url, status: 0, body: '' };
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const type = form && { 'content-type': 'application/x-www-form-urlencoded' };
    const call = request(url, {
      ca,
      agent: false,
      method: form ? 'POST' : 'GET',
      headers: { cookie, ...type },
    }).end(form?.toString());
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    call.once('response', resolve).once('error', reject);
    const answer = await promise;
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const body = await text(answer);
    const { location } = answer.headers;
    if (location !== undefined) return visit(new URL(location, url).href);
    return { url, status: answer.statusCode ?? 0, body };
  }

  return { origin, visit };
}
