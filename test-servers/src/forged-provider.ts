import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { type HttpsServer, startHttpsServer } from './https-server.ts';
import { extend } from './tcp-server.ts';
import { visitor } from './visitor.ts';

type Members = Readonly<Record<string, unknown>>;

interface ForgedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A forgery changes the right answers of a provider. What it leaves out stays right. */
export interface Forgery {
  /** Changes the discovery document. */
  readonly discovery?: (document: Members) => Members;
  /** Changes the query that the browser brings to the client: `code`, `state` and `iss`. */
  readonly redirect?: (query: Readonly<Record<string, string>>) => Record<string, string>;
  /** Changes the claims of the ID token: `iss`, `sub`, `aud`, `nonce`, `iat` and `exp`. */
  readonly claims?: (claims: Members) => Members;
  /** Changes the header of the ID token. With `alg: 'none'`, it has no signature. */
  readonly header?: (header: Members) => Members;
  /** Whether the ID token is signed with a key that the provider does not publish. */
  readonly isForeignKey?: boolean;
  /** Changes what the token endpoint returns: `access_token`, `token_type` and `id_token`. */
  readonly tokens?: (tokens: Members) => Members;
  /** Changes any answer, last of all: a status, a redirect to another place, or a body that is not JSON. */
  readonly answer?: (path: string, answer: ForgedAnswer) => ForgedAnswer;
}

/** A hostile OpenID provider, for tests of its clients. It asks no person, and checks neither clients nor PKCE. */
export interface ForgedProvider extends HttpsServer {
  /** The forms that were posted to its token endpoint, in their order. */
  readonly tokenRequests: readonly URLSearchParams[];
  /** Forges its answers so from now on. */
  forge(forgery: Forgery): void;
  /** Requests an authorization, and returns the URL of the client to which the browser is sent. */
  visit(url: string): Promise<URL>;
}

/** Starts a provider that answers rightly until `forge` is called. Its ID tokens are signed with ES256. */
export async function startForgedProvider(): Promise<ForgedProvider> {
  const [own, foreign] = [newKeys(), newKeys()];
  /** The authorization requests by their codes. */
  const requests = new Map<string, URLSearchParams>();
  const tokenRequests: URLSearchParams[] = [];
  let forgery: Forgery = {};

  function authorize(issuer: string, asked: URLSearchParams): ForgedAnswer {
    const code = randomBytes(16).toString('base64url');
    requests.set(code, asked);
    const query = { code, state: asked.get('state') ?? '', iss: issuer };
    const location = new URL(asked.get('redirect_uri') ?? '');
    location.search = String(new URLSearchParams(forgery.redirect?.(query) ?? query));
    return { status: 303, headers: { location: location.href }, body: '' };
  }

  async function exchange(issuer: string, request: IncomingMessage): Promise<ForgedAnswer> {
    const form = new URLSearchParams(await text(request));
    tokenRequests.push(form);
    const asked = requests.get(form.get('code') ?? '');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: 'jane',
      aud: asked?.get('client_id'),
      nonce: asked?.get('nonce'),
      iat: now,
      exp: now + 300,
    };
    const { privateKey } = forgery.isForeignKey ? foreign : own;
    const tokens = {
      access_token: randomBytes(16).toString('base64url'),
      token_type: 'Bearer',
      id_token: signed(
        forgery.header?.(header) ?? header,
        forgery.claims?.(claims) ?? claims,
        privateKey,
      ),
    };
    return json(forgery.tokens?.(tokens) ?? tokens);
  }

  const answers: Readonly<
    Record<
      string,
      (issuer: string, request: IncomingMessage) => ForgedAnswer | Promise<ForgedAnswer>
    >
  > = {
    '/.well-known/openid-configuration': (issuer) => {
      const document = discoveryOf(issuer);
      return json(forgery.discovery?.(document) ?? document);
    },
    '/jwks': () => json({ keys: [{ ...own.publicKey.export({ format: 'jwk' }), ...published }] }),
    '/authorize': (issuer, { url = '' }) => authorize(issuer, new URL(url, issuer).searchParams),
    '/token': exchange,
  };

  const server = await startHttpsServer((issuer) => async (request, response) => {
    const { pathname } = new URL(request.url ?? '', issuer);
    const right = (await answers[pathname]?.(issuer, request)) ?? notFound;
    const { status, headers, body } = forgery.answer?.(pathname, right) ?? right;
    response.writeHead(status, { ...headers }).end(body);
  });
  return extend(server, {
    tokenRequests,
    forge: (next: Forgery) => {
      forgery = next;
    },
    visit: async (url: string) => (await visitor(server).visit(url)).url,
  });
}

const notFound: ForgedAnswer = { status: 404, headers: {}, body: '' };

const header = { alg: 'ES256', kid: 'one', typ: 'JWT' };

const published = { kid: 'one', alg: 'ES256', use: 'sig' };

function json(members: Members): ForgedAnswer {
  const headers = { 'content-type': 'application/json' };
  return { status: 200, headers, body: JSON.stringify(members) };
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** The document of OpenID Connect Discovery 1.0 section 3, with RFC 9207. */
function discoveryOf(issuer: string): Members {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  };
}

/** Signs a JWT with ES256, whatever the header says: RFC 7518 section 3.4. */
function signed(protectedHeader: Members, claims: Members, key: KeyObject): string {
  const parts = [protectedHeader, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const input = parts.join('.');
  if (protectedHeader.alg === 'none') return `${input}.`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}
