import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { sharedAuthority } from '@sallyport/test-servers/certificates';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on loopback that answers as each test says: no real provider gives wrong answers. */
export interface ForgedProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly ca: string;
  /** What was sent, in its order. */
  readonly requests: {
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }[];
  /** The discovery document. A test may change it. */
  readonly document: Record<string, unknown>;
  /** The answers by path. Those of the discovery document and of `/token` are there. */
  readonly answers: Record<string, Answer>;
  /** The claims of the next ID token. */
  readonly claims: Record<string, unknown>;
  readonly header: Record<string, unknown>;
  /** What else the answer of `/token` has, and what replaces it. */
  readonly tokens: Record<string, unknown>;
}

export const discoveryPath = '/.well-known/openid-configuration';

export const accessToken = 'the-access-token-of-this-test';
export const refreshToken = 'the-refresh-token-of-this-test';

/** The signature is not checked by the client of the provider. */
export const signature = 'c2lnbmF0dXJlLW9mLXRoaXMtdGVzdA';

export const clientId = 'sallyport';

export async function startForgedProvider(): Promise<ForgedProvider> {
  const authority = await sharedAuthority();
  const { certificate, key } = await authority.sharedServer();
  const server = createServer({ cert: certificate, key });
  await once(server.listen(0, 'localhost'), 'listening');
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const seconds = Math.floor(Date.now() / 1000);
  const provider: ForgedProvider = {
    issuer,
    ca: authority.certificate,
    requests: [],
    document: {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
    },
    claims: { iss: issuer, aud: clientId, sub: 'jane', iat: seconds, exp: seconds + 60 },
    header: { alg: 'RS256' },
    tokens: { access_token: accessToken, refresh_token: refreshToken, token_type: 'Bearer' },
    answers: {
      [discoveryPath]: (_request, response) => response.end(JSON.stringify(provider.document)),
      '/token': (_request, response) => {
        const { header, claims, tokens } = provider;
        const idToken = [encode(header), encode(claims), signature].join('.');
        response.end(JSON.stringify({ id_token: idToken, ...tokens }));
      },
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  server.on('request', async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const path = request.url ?? '';
    provider.requests.push({ path, headers: request.headers, body });
    provider.answers[path]?.(request, response);
  });
  return provider;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
