import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';

/** The host name by which people reach the login server. Tests connect to its address with this name. */
export const publicHost = 'login.example.com';

export interface LoginAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body. It is undefined if the body is not JSON. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

export interface LoginRequest {
  readonly method?: string;
  readonly path?: string;
  readonly token?: string;
  /** The body, which is sent as JSON, or unchanged if it is a text. */
  readonly body?: object | string;
  /** Headers besides the usual ones. With undefined, a usual one is left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly localAddress?: string;
  /** The CA of a server with TLS. */
  readonly ca?: string;
}

/** Sends one request on a connection of its own. */
export function askLogin(url: string, asked: LoginRequest): Promise<LoginAnswer> {
  const {
    method = 'POST',
    path = '/v1/sessions',
    token,
    body,
    headers = {},
    localAddress,
    ca,
  } = asked;
  const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const all = {
    host: publicHost,
    ...(content !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(content)),
    }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...headers,
  };
  const sent = Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      headers: sent,
      agent: false as const,
      ...(localAddress && { localAddress }),
      ...(ca && { ca }),
    };
    const outgoing = (ca ? httpsRequest : httpRequest)(new URL(path, url), options);
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      text(incoming).then((answer) => {
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: answer,
          json: parsed(answer),
        });
      }, reject);
    });
    outgoing.end(content);
  });
}

function parsed(answer: string): LoginAnswer['json'] {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}

/** The clusters of the config. */
export const clusters = {
  prod: { audience: 'https://prod.example.com', server: 'https://prod.example.com:6443' },
  staging: { audience: 'https://staging.example.com', server: 'https://staging.example.com:6443' },
};
