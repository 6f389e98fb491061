import type { RequestListener } from 'node:http';
import { request } from 'node:https';
import { type HttpsServer, startHttpsServer } from '@sallyport/test-servers/https-server';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import Provider, { type JWKS } from 'oidc-provider';

/** The behaviour says what the provider does with requests. */
export type Behaviour =
  | 'ok'
  | 'fails'
  | 'hangs'
  | 'huge'
  | 'endless'
  | 'redirects'
  | 'breaks off'
  | 'no JSON'
  | 'shows its private keys'
  | 'has keys for encryption alone'
  | 'upgrades';

/** An OpenID provider, whose issuer is its URL. */
export interface TestProvider extends HttpsServer {
  behave(behaviour: Behaviour): void;
  /** Asks for a token for the audience, with the claims of the client. */
  token(client: string, audience?: string): Promise<string>;
  /** Signs with this key from now on, and publishes the others too. */
  rotate(keys: readonly JWK[]): void;
}

export async function newKey(kid: string, alg = 'ES256'): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' };
}

const secret = 'a secret of a client of this test';

/** Starts a provider. @param clients are the claims of the tokens of each client, by its name */
export async function startProvider(
  clients: Readonly<Record<string, object>>,
  keys?: readonly JWK[],
): Promise<TestProvider> {
  let behaviour: Behaviour = 'ok';
  let own = keys ?? [await newKey('first')];
  let handle: RequestListener;
  const server = await startHttpsServer((url) => {
    handle = providerOf(url, clients, own).callback();
    return (incoming, answer) => {
      if (behaviour === 'shows its private keys' && incoming.url === '/jwks')
        answer.end(JSON.stringify({ keys: own }));
      else if (behaviour === 'has keys for encryption alone' && incoming.url === '/jwks')
        answer.end(JSON.stringify({ keys: own.map((key) => ({ ...key, use: 'enc' })) }));
      else if (
        behaviour === 'ok' ||
        behaviour === 'shows its private keys' ||
        behaviour === 'has keys for encryption alone'
      )
        handle(incoming, answer);
      else if (behaviour === 'fails') answer.writeHead(500).end();
      else if (behaviour === 'redirects') answer.writeHead(302, { location: `${url}/jwks` }).end();
      else if (behaviour === 'no JSON') answer.end('<html>');
      else if (behaviour === 'upgrades') incoming.socket.write(switching);
      else if (behaviour === 'huge') answer.end(Buffer.alloc(5_000_000, 32));
      else if (behaviour === 'endless') answer.write('[') && pour(answer);
      else if (behaviour === 'breaks off') answer.write('{', () => incoming.socket.destroy());
    };
  });
  return {
    ...server,
    behave: (next) => {
      behaviour = next;
    },
    token: (client, audience = 'kubernetes') => askForToken(server, client, audience),
    rotate: (next) => {
      own = next;
      handle = providerOf(server.url, clients, own).callback();
    },
    async start() {
      behaviour = 'ok';
      await server.start();
    },
  };
}

const switching = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n';

/** Writes for as long as the client reads. */
function pour(answer: NodeJS.WritableStream): void {
  answer.write(Buffer.alloc(100_000, 32), (error) => {
    if (!error) setImmediate(pour, answer);
  });
}

function providerOf(
  url: string,
  clients: Readonly<Record<string, object>>,
  keys: readonly JWK[],
): Provider {
  const provider = new Provider(url, {
    jwks: { keys: [...keys] } as JWKS,
    clients: Object.keys(clients).map((name) => ({
      client_id: name,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: String(keys[0]?.alg) as 'ES256',
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: resource.replace('urn:audience:', ''),
          accessTokenTTL: 3600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: String(keys[0]?.alg) as 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => ({ ...clients[String(token.clientId)] }),
  });
  provider.proxy = true;
  return provider;
}

/** Asks as OAuth 2.0 demands: RFC 6749 section 4.4, with the resource of RFC 8707. */
function askForToken({ url, ca }: HttpsServer, client: string, audience: string): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    resource: `urn:audience:${audience}`,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const auth = `${client}:${encodeURIComponent(secret)}`;
  return new Promise((resolve, reject) => {
    const call = request(`${url}/token`, {
      method: 'POST',
      ca,
      headers,
      auth,
      agent: false,
    });
    call.on('error', reject).on('response', async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString();
      const { access_token: token } = JSON.parse(text);
      if (typeof token === 'string') resolve(token);
      else reject(new Error(`the provider gave no token: ${text}`));
    });
    call.end(form.toString());
  });
}
