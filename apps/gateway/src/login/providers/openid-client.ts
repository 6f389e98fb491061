import type { IdTokenIssuer } from '@sallyport/authenticator';
import {
  authorizationCodeGrantRequest,
  type Client,
  type ClientAuth,
  ClientSecretPost,
  calculatePKCECodeChallenge,
  clockTolerance,
  customFetch,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
  getValidatedIdTokenClaims,
  None,
  processAuthorizationCodeResponse,
  validateAuthResponse,
} from 'oauth4webapi';
import { z } from 'zod';
import { callProvider } from './call-provider.ts';
import { createDiscovery, type DiscoveryDocument } from './discovery.ts';
import { toProviderError } from './provider-answer-error.ts';
import { ProviderError } from './provider-error.ts';

/** These options describe a client of one provider. */
export interface OpenIdClientOptions extends IdTokenIssuer {
  readonly clientId: string;
  /** Undefined: PKCE alone proves that the code is for this client. */
  readonly clientSecret: string | undefined;
  readonly scopes: readonly string[];
  readonly prompt: string | undefined;
  readonly redirectUri: string;
  /** Returns monotonic milliseconds, for the age of the discovery document. */
  readonly now: () => number;
  /** Is called once for each request to the provider. */
  readonly onCall: (call: 'discovery' | 'token', isOk: boolean) => void;
}

/** A Flow is what the answer of a provider is checked against. Only the browser that began the login may have it. */
export interface Flow {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** A ProviderLogin is what a provider says of a login. The signature of its ID token is not checked. */
interface ProviderLogin {
  readonly idToken: string;
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** When the user proved who they are, in milliseconds since 1970. */
  readonly authTime?: number;
}

/** An OpenIdClient logs users in at one OpenID provider, with the authorization code flow and PKCE. */
export interface OpenIdClient {
  /**
   * Begins a login.
   *
   * @param id the id of the attempt, with which `state` begins
   * @param proposed a name for the user, and a `prompt` if the config has none
   * @returns where the browser goes
   * @throws ProviderError
   */
  begin(
    id: string,
    proposed: { readonly loginHint?: string | undefined; readonly prompt?: string },
    signal: AbortSignal,
  ): Promise<{ readonly url: string; readonly flow: Flow }>;
  /**
   * Redeems the code of an answer for an ID token, whose claims it checks. The authenticator checks the signature.
   *
   * @param query what the provider appended to the redirect URI
   * @throws ProviderError
   */
  finish(query: URLSearchParams, flow: Flow, signal: AbortSignal): Promise<ProviderLogin>;
}

/** Creates the client of a provider. It makes no request before the first login. */
export function createOpenIdClient(options: OpenIdClientOptions): OpenIdClient {
  const { clientId, redirectUri } = options;
  const discover = createDiscovery(options);
  return {
    async begin(id, { loginHint, prompt }, signal) {
      const { authorization_endpoint: endpoint } = await discover(signal);
      const flow: Flow = {
        state: `${id}.${generateRandomState()}`,
        nonce: generateRandomNonce(),
        verifier: generateRandomCodeVerifier(),
      };
      const parameters = {
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: options.scopes.join(' '),
        state: flow.state,
        nonce: flow.nonce,
        code_challenge: await calculatePKCECodeChallenge(flow.verifier),
        code_challenge_method: 'S256',
        // What the operator chose is what the provider understands.
        prompt: options.prompt ?? prompt,
        login_hint: loginHint,
      };
      const url = new URL(endpoint);
      for (const [name, value] of Object.entries(parameters))
        if (value !== undefined) url.searchParams.set(name, value);
      return { url: url.href, flow };
    },
    async finish(query, flow, signal) {
      const server = await discover(signal);
      let answer: URLSearchParams;
      try {
        answer = validateAuthResponse(server, makeClient(options), query, flow.state);
      } catch (error) {
        throw toProviderError(error, `the answer of ${server.issuer}`, redirectUri);
      }
      return redeem(options, { server, answer, flow }, signal);
    },
  };
}

/** What a code is redeemed with. */
interface Redemption {
  readonly server: DiscoveryDocument;
  readonly answer: URLSearchParams;
  readonly flow: Flow;
}

async function redeem(
  options: OpenIdClientOptions,
  { server, answer, flow }: Redemption,
  signal: AbortSignal,
): Promise<ProviderLogin> {
  const { clientId, redirectUri } = options;
  const where = server.token_endpoint;
  const client = makeClient(options);
  try {
    const authentication = makeClientAuthentication(server, options.clientSecret);
    const response = await authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      answer,
      redirectUri,
      flow.verifier,
      {
        [customFetch]: (url, { headers, body }) =>
          ask(options, url, { headers, body: `${body}` }, signal),
      },
    );
    const checks = { expectedNonce: flow.nonce, requireIdToken: true };
    const tokens = await processAuthorizationCodeResponse(server, client, response, checks);
    const { id_token: idToken = '' } = tokens;
    const claims = getValidatedIdTokenClaims(tokens);
    // oauth4webapi looks at `azp` only if there are several audiences.
    if (claims?.azp !== undefined && claims.azp !== clientId) throw anotherClient(where);
    return { idToken, ...readClaims(claims) };
  } catch (error) {
    throw toProviderError(error, where, redirectUri);
  }
}

const anotherClient = (where: string) =>
  new ProviderError(
    'failed',
    `${where}: the ID token is for another client (azp)`,
    'check clientId',
  );

/**
 * The errors that say that this client has no access. Other ones may be about a code that the provider has never issued, which
 * anyone can bring.
 */
const clientErrors: ReadonlySet<unknown> = new Set([
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
]);

/** Sends the request for the tokens. */
async function ask(
  { ca, onCall }: OpenIdClientOptions,
  url: string,
  form: { readonly headers: Record<string, string>; readonly body: string },
  signal: AbortSignal,
): Promise<Response> {
  let isOk = false;
  try {
    // These statuses come with the code of an error: RFC 6749 section 5.2.
    const call = { where: url, url, ca, statuses: [200, 400, 401, 403], form };
    const { status, document } = await callProvider(call, signal);
    const { error } = Object(document);
    const isClientRefused = clientErrors.has(error) || (status !== 400 && error === undefined);
    isOk = status === 200 || !isClientRefused;
    return Response.json(document, { status });
  } finally {
    onCall('token', isOk);
  }
}

function makeClient({ clientId }: OpenIdClientOptions): Client {
  return { client_id: clientId, [clockTolerance]: 30 };
}

/** @throws ProviderError when the provider knows no way to send a secret that we know */
export function makeClientAuthentication(
  server: DiscoveryDocument,
  secret: string | undefined,
): ClientAuth {
  if (secret === undefined) return None();
  const methods = server.token_endpoint_auth_methods_supported;
  if (methods.includes('client_secret_basic')) return clientSecretBasic(secret);
  if (methods.includes('client_secret_post')) return ClientSecretPost(secret);
  throw new ProviderError(
    'failed',
    `${server.token_endpoint}: the provider takes a client secret neither by client_secret_basic nor by client_secret_post`,
    'allow one of them at the provider',
  );
}

/**
 * Sends the secret as RFC 6749 section 2.3.1 says. Unlike `ClientSecretBasic` of oauth4webapi, it leaves `-`, `_` and `.` as they
 * are, so that most secrets work with providers that do not decode them.
 */
function clientSecretBasic(secret: string): ClientAuth {
  const encode = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
  return (_server, client, _body, headers) =>
    headers.set('authorization', `Basic ${btoa(`${encode(client.client_id)}:${encode(secret)}`)}`);
}

const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^\P{C}+$/u);

/** They go into the session and the audit trail, so what is malformed or long is left out. */
const claimsSchema = z.object({
  acr: text(256).optional().catch(undefined),
  amr: z.array(text(64)).max(16).optional().catch(undefined),
  auth_time: z.number().max(8_640_000_000_000).optional().catch(undefined),
});

function readClaims(claims: unknown): Omit<ProviderLogin, 'idToken'> {
  const { acr, amr, auth_time: seconds } = claimsSchema.parse(claims);
  return {
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
    ...(seconds !== undefined && { authTime: Math.round(seconds * 1000) }),
  };
}
