import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { errorOf } from '@sallyport/test-servers/error-of';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createOpenIdClient, type Flow, type OpenIdClientOptions } from './openid-client.ts';
import { ProviderError } from './provider-error.ts';
import {
  accessToken,
  clientId,
  discoveryPath,
  type ForgedProvider,
  refreshToken,
  signature,
  startForgedProvider,
} from './testing/forged-provider.ts';

const id = 'abcdefghijklmnop';
const clientSecret = 'a-secret_of.this/test+client';
const code = 'the-code-of-this-test';
const bodyText = 'the-body-of-this-test';
const redirectUri = 'https://login.example.com/login/callback/sso';
const { signal } = new AbortController();

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

function createClient(provider: ForgedProvider, changes: Partial<OpenIdClientOptions> = {}) {
  const clock = { now: 1_000_000 };
  const calls: string[] = [];
  const client = createOpenIdClient({
    issuer: provider.issuer,
    audiences: [clientId],
    discoveryUrl: `${provider.issuer}${discoveryPath}`,
    ca: () => provider.ca,
    clientId,
    clientSecret,
    scopes: ['openid', 'email'],
    prompt: undefined,
    redirectUri,
    now: () => clock.now,
    onCall: (call, isOk) => calls.push(`${call} ${isOk ? 'ok' : 'failed'}`),
    ...changes,
  });
  return { client, clock, calls };
}

/** Begins a login, and returns a function that gives the client an answer of the provider. */
async function begin(provider: ForgedProvider, changes: Partial<OpenIdClientOptions> = {}) {
  const { client, clock, calls } = createClient(provider, changes);
  const { url, flow } = await client.begin(id, {}, signal);
  provider.claims.nonce = flow.nonce;
  const finish = (
    query: Readonly<Record<string, string | undefined>> | string = {},
    own: AbortSignal = signal,
  ) =>
    client.finish(
      typeof query === 'string' ? new URLSearchParams(query) : answerOf(flow, query),
      flow,
      own,
    );
  return { client, clock, calls, flow, finish, url: new URL(url) };
}

function answerOf({ state }: Flow, changes: Readonly<Record<string, string | undefined>> = {}) {
  const all = Object.entries({ code, state, ...changes });
  return new URLSearchParams(
    all.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Returns the kind and the message of the error. No error may show a secret, even to a logger that prints all of it. */
async function failureOf(work: Promise<unknown>, flow?: Flow): Promise<string> {
  const error = await errorOf(work);
  if (!(error instanceof ProviderError)) throw error;
  const shown = inspect(error, { depth: 20, showHidden: true, maxStringLength: null });
  const secrets = [clientSecret, encodeURIComponent(clientSecret), code, bodyText];
  const tokens = [accessToken, refreshToken, signature, ...(flow ? Object.values(flow) : [])];
  for (const secret of [...secrets, ...tokens]) expect(shown).not.toContain(secret);
  expect(error).not.toHaveProperty('cause');
  expect(error.message).toMatch(/^[\x20-\x7e]{1,400}$/);
  return `${error.kind}: ${error.message}`;
}

describe('the URL for the browser', () => {
  test('has all parameters of the code flow', async () => {
    await using provider = await startForgedProvider();
    provider.document.authorization_endpoint = `${provider.issuer}/authorize?tenant=a%20b&state=mine`;
    const { client } = createClient(provider, { prompt: 'select_account' });
    const { url, flow } = await client.begin(id, { loginHint: 'jane@example.com' }, signal);
    const { origin, pathname, searchParams } = new URL(url);
    expect(`${origin}${pathname}`).toBe(`${provider.issuer}/authorize`);
    const digest = await crypto.subtle.digest('SHA-256', Buffer.from(flow.verifier));
    expect([...searchParams].toSorted()).toEqual(
      Object.entries({
        tenant: 'a b',
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: 'openid email',
        state: flow.state,
        nonce: flow.nonce,
        code_challenge: Buffer.from(digest).toString('base64url'),
        code_challenge_method: 'S256',
        prompt: 'select_account',
        login_hint: 'jane@example.com',
      }).toSorted(),
    );
    expect(flow.state).toMatch(/^abcdefghijklmnop\.[\w-]{43}$/);
    expect(flow.nonce).toMatch(/^[\w-]{43}$/);
    expect(flow.verifier).toMatch(/^[\w-]{43}$/);
  });

  test('has secrets of its own in each login, and neither prompt nor hint without them', async () => {
    await using provider = await startForgedProvider();
    const { client } = createClient(provider);
    const one = await client.begin(id, {}, signal);
    const other = await client.begin(id, {}, signal);
    const all = [one.flow, other.flow].flatMap((flow) => Object.values(flow));
    expect(new Set(all).size).toBe(6);
    expect(one.url).not.toMatch(/prompt|login_hint/);
    const asked = await client.begin(id, { prompt: 'login' }, signal);
    expect(new URL(asked.url).searchParams.get('prompt')).toBe('login');
    // The operator knows what the provider understands.
    const chosen = createClient(provider, { prompt: 'select_account' }).client;
    const { searchParams } = new URL((await chosen.begin(id, { prompt: 'login' }, signal)).url);
    expect(searchParams.get('prompt')).toBe('select_account');
  });
});

describe('a login', () => {
  test('returns the ID token alone', async () => {
    await using provider = await startForgedProvider();
    const { finish, calls } = await begin(provider);
    const login = await finish();
    expect(login).toEqual({ idToken: expect.stringMatching(new RegExp(`\\.${signature}$`)) });
    expect(calls).toEqual(['discovery ok', 'token ok']);
  });

  test('sends the code, the verifier and the redirect URI', async () => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    await finish();
    const [, { headers, body } = { headers: {}, body: '' }] = provider.requests;
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      grant_type: 'authorization_code',
      code,
      code_verifier: flow.verifier,
      redirect_uri: redirectUri,
    });
    expect(headers['user-agent']).toBe('sallyport');
    expect(headers['accept-encoding']).toBe('identity');
    expect(headers.connection).toBe('close');
    expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/);
  });

  test.each([
    { title: 'nothing', methods: undefined },
    { title: 'both', methods: ['client_secret_post', 'client_secret_basic'] },
    { title: 'no list', methods: 'client_secret_post' },
  ])('sends the secret in the header when the provider lists $title', async ({ methods }) => {
    await using provider = await startForgedProvider();
    provider.document.token_endpoint_auth_methods_supported = methods;
    const { finish } = await begin(provider);
    await finish();
    const sent = provider.requests[1];
    const credentials = atob(sent?.headers.authorization?.replace('Basic ', '') ?? '');
    expect(credentials).toBe('sallyport:a-secret_of.this%2Ftest%2Bclient');
    expect(sent?.body).not.toContain('client_');
  });

  test('sends the secret in the form when the provider lists only that', async () => {
    await using provider = await startForgedProvider();
    provider.document.token_endpoint_auth_methods_supported = [
      'private_key_jwt',
      'client_secret_post',
    ];
    const { finish } = await begin(provider);
    await finish();
    const sent = provider.requests[1];
    expect(sent?.headers).not.toHaveProperty('authorization');
    const form = new URLSearchParams(sent?.body);
    expect([form.get('client_id'), form.get('client_secret')]).toEqual([clientId, clientSecret]);
  });

  test('sends no secret if there is none', async () => {
    await using provider = await startForgedProvider();
    const { finish } = await begin(provider, { clientSecret: undefined });
    await finish();
    const sent = provider.requests[1];
    expect(sent?.headers).not.toHaveProperty('authorization');
    const form = new URLSearchParams(sent?.body);
    expect([form.get('client_id'), form.get('client_secret')]).toEqual([clientId, null]);
  });

  test('fails without a request when the provider takes no secret that we can send', async () => {
    await using provider = await startForgedProvider();
    provider.document.token_endpoint_auth_methods_supported = ['private_key_jwt'];
    const { finish, flow, calls } = await begin(provider);
    expect(await failureOf(finish(), flow)).toMatch(/^failed: .*\/token: .*client_secret_basic/);
    expect(calls).toEqual(['discovery ok']);
  });

  test('reads the CAs for each request', async () => {
    await using provider = await startForgedProvider();
    let read = 0;
    const { finish } = await begin(provider, {
      ca: () => {
        read += 1;
        return provider.ca;
      },
    });
    await finish();
    expect(read).toBe(2);
  });

  test.each(['RS256', 'PS256', 'ES256', 'ES512', 'EdDSA', 'Ed25519'])(
    'takes an ID token that says %s',
    async (alg) => {
      await using provider = await startForgedProvider();
      provider.header.alg = alg;
      provider.document.id_token_signing_alg_values_supported = [alg];
      const listed = await begin(provider);
      await listed.finish();
      provider.document.id_token_signing_alg_values_supported = undefined;
      const unlisted = await begin(provider);
      await unlisted.finish();
    },
  );
});

describe('what the ID token says of the login', () => {
  test('is returned', async () => {
    await using provider = await startForgedProvider();
    Object.assign(provider.claims, { acr: 'a'.repeat(256), amr: ['pwd', 'otp'], auth_time: 1.5 });
    const { finish } = await begin(provider);
    const { idToken: _, ...rest } = await finish();
    expect(rest).toEqual({ acr: 'a'.repeat(256), amr: ['pwd', 'otp'], authTime: 1500 });
  });

  test.each([
    { acr: 1 },
    { acr: '' },
    { acr: 'a'.repeat(257) },
    { acr: 'a\nb' },
    { acr: '\u202egold' },
    { amr: 'pwd' },
    { amr: ['pwd', 1] },
    { amr: ['a'.repeat(65)] },
    { amr: Array(17).fill('pwd') },
    { auth_time: 1e300 },
  ])('is left out when it is malformed or too long: %j', async (claims) => {
    await using provider = await startForgedProvider();
    Object.assign(provider.claims, claims);
    const { finish } = await begin(provider);
    expect(Object.keys(await finish())).toEqual(['idToken']);
  });
});

describe('an answer of the provider', () => {
  test.each([
    { title: 'of another state', query: { state: `${id}.another` }, said: 'state' },
    { title: 'without a state', query: { state: undefined }, said: 'state' },
    { title: 'of another provider', query: { iss: 'https://other.example.com' }, said: 'iss' },
    { title: 'without a code', query: { code: undefined }, said: 'code' },
    { title: 'with an empty code', query: { code: '' }, said: 'code' },
    { title: 'with a JARM response', query: { response: 'x' }, said: 'JARM' },
    { title: 'with an ID token', query: { id_token: 'x' }, said: 'hybrid' },
    {
      title: 'with an error of another state',
      query: { state: 'x', error: 'access_denied' },
      said: 'state',
    },
    {
      title: 'with an error of another provider',
      query: { iss: 'https://x', error: 'access_denied' },
      said: 'iss',
    },
  ])('$title fails before the code is sent', async ({ query, said }) => {
    await using provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    const failure = await failureOf(finish(query), flow);
    expect(failure).toMatch(/^failed: /);
    expect(failure).toContain(said);
    expect(calls).toEqual(['discovery ok']);
  });

  test.each(['code', 'state', 'iss', 'error'])('with %s twice fails', async (name) => {
    await using provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    const query = answerOf(flow, { iss: provider.issuer });
    if (name === 'error') query.append(name, 'access_denied');
    query.append(name, query.get(name) ?? '');
    expect(await failureOf(finish(query.toString()), flow)).toMatch(/^failed: .*only once/);
    expect(calls).toEqual(['discovery ok']);
  });

  test('without iss fails if the provider promises it', async () => {
    await using provider = await startForgedProvider();
    provider.document.authorization_response_iss_parameter_supported = true;
    const { finish, flow } = await begin(provider);
    expect(await failureOf(finish(), flow)).toMatch(/^failed: .*"iss" \(issuer\) missing/);
    await finish({ iss: provider.issuer });
  });

  test.each([
    { error: 'access_denied', kind: 'denied' },
    { error: 'login_required', kind: 'denied' },
    { error: 'consent_required', kind: 'denied' },
    { error: 'interaction_required', kind: 'denied' },
    { error: 'account_selection_required', kind: 'denied' },
    // The browser has brought it: anyone could have written it.
    { error: 'server_error', kind: 'failed' },
    { error: 'temporarily_unavailable', kind: 'failed' },
    { error: 'invalid_request', kind: 'failed' },
    { error: 'unauthorized_client', kind: 'failed' },
    { error: 'invalid_scope', kind: 'failed' },
    { error: 'unsupported_response_type', kind: 'failed' },
  ])('with the error $error is $kind', async ({ error, kind }) => {
    await using provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    const query = { code: undefined, error, error_description: bodyText, error_uri: bodyText };
    const failure = await failureOf(finish(query), flow);
    expect(failure).toMatch(new RegExp(`^${kind}: the answer of .*: the error ${error}`));
    expect(calls).toEqual(['discovery ok']);
  });

  test.each([bodyText, '__proto__', 'a\nb'])('with another error is not quoted', async (error) => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    const failure = await failureOf(finish({ error }), flow);
    expect(failure).toMatch(/^failed: .*unknown code/);
    expect(failure).not.toContain(error);
  });
});

describe('an ID token', () => {
  const seconds = Math.floor(Date.now() / 1000);
  test.each([
    { title: 'of another issuer', claims: { iss: 'https://other.example.com' }, said: 'iss' },
    { title: 'for another client', claims: { aud: 'other' }, said: 'aud.*: check clientId' },
    { title: 'for no client', claims: { aud: [] }, said: 'aud' },
    { title: 'for several clients', claims: { aud: [clientId, 'other'] }, said: 'aud' },
    {
      title: 'for several, one of which asked',
      claims: { aud: [clientId, 'other'], azp: 'other' },
      said: 'azp',
    },
    {
      title: 'that another client asked for',
      claims: { azp: 'other' },
      said: 'azp.*: check clientId',
    },
    { title: 'that has expired', claims: { exp: seconds - 31 }, said: 'exp.*check the clocks' },
    {
      title: 'that is not valid yet',
      claims: { nbf: seconds + 120 },
      said: 'nbf.*check the clocks',
    },
    { title: 'without an expiry', claims: { exp: undefined }, said: 'exp' },
    { title: 'without a time', claims: { iat: undefined }, said: 'iat' },
    { title: 'without a subject', claims: { sub: undefined }, said: 'sub' },
    { title: 'of another login', claims: { nonce: 'other' }, said: 'nonce' },
    { title: 'without a nonce', claims: { nonce: undefined }, said: 'nonce' },
  ])('$title fails', async ({ claims, said }) => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    Object.assign(provider.claims, claims);
    expect(await failureOf(finish(), flow)).toMatch(new RegExp(`^failed: .*/token: .*${said}`));
  });

  test('is accepted within 30 seconds of its end, and for several clients if this one asked', async () => {
    await using provider = await startForgedProvider();
    const now = Math.floor(Date.now() / 1000);
    Object.assign(provider.claims, { exp: now - 10, aud: [clientId, 'other'], azp: clientId });
    const { finish } = await begin(provider);
    await finish();
  });

  test.each(['none', 'HS256', 'NONE', undefined])('with alg %s fails', async (alg) => {
    await using provider = await startForgedProvider();
    provider.header.alg = alg;
    const { finish, flow } = await begin(provider);
    expect(await failureOf(finish(), flow)).toMatch(/^failed: .*"alg"/);
  });

  test.each([
    { title: 'missing', idToken: undefined, said: 'scope openid' },
    { title: 'a number', idToken: 1, said: 'scope openid' },
    { title: 'encrypted', idToken: 'a.b.c.d.e', said: 'unencrypted' },
    { title: 'not a JWT', idToken: bodyText, said: 'JWT' },
    { title: 'not JSON', idToken: `${bodyText}.${bodyText}.${bodyText}`, said: 'JWT' },
  ])('that is $title fails', async ({ idToken, said }) => {
    await using provider = await startForgedProvider();
    provider.tokens.id_token = idToken;
    const { finish, flow } = await begin(provider);
    const failure = await failureOf(finish(), flow);
    expect(failure).toMatch(/^failed: /);
    expect(failure).toContain(said);
  });
});

describe('the token endpoint', () => {
  test.each([
    {
      status: 401,
      error: 'invalid_client',
      kind: 'failed',
      said: 'check clientId and clientSecret, and',
    },
    {
      status: 400,
      error: 'invalid_client',
      kind: 'failed',
      said: 'check clientId and clientSecret, and',
    },
    { status: 400, error: 'invalid_grant', kind: 'failed', said: `register ${redirectUri}` },
    { status: 400, error: 'invalid_request', kind: 'failed', said: `register ${redirectUri}` },
    {
      status: 400,
      error: 'unauthorized_client',
      kind: 'failed',
      said: 'allow the authorization code flow',
    },
    { status: 403, error: 'access_denied', kind: 'denied', said: 'access_denied' },
    {
      status: 400,
      error: 'temporarily_unavailable',
      kind: 'unavailable',
      said: 'temporarily_unavailable',
    },
    { status: 400, error: bodyText, kind: 'failed', said: 'unknown code' },
  ])('answers $status $error', async ({ status, error, kind, said }) => {
    await using provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    provider.answers['/token'] = (_request, response) => {
      response.writeHead(status, { 'www-authenticate': `Basic realm="${bodyText}"` });
      response.end(JSON.stringify({ error, error_description: `${bodyText} ${code}` }));
    };
    const failure = await failureOf(finish(), flow);
    expect(failure).toMatch(new RegExp(`^${kind}: ${provider.issuer}/token: `));
    expect(failure).toContain(said);
    // The others may be about a code that no provider has issued, which anyone can bring.
    const isOurs = ['invalid_client', 'unauthorized_client'].includes(error);
    expect(calls).toEqual(['discovery ok', isOurs ? 'token failed' : 'token ok']);
  });

  test('that refuses this client without a word is an error of it', async () => {
    await using provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    provider.answers['/token'] = (_request, response) => response.writeHead(403).end('{}');
    expect(await failureOf(finish(), flow)).toMatch(/^unavailable: .*an error without a code/);
    expect(calls).toEqual(['discovery ok', 'token failed']);
  });

  test.each([
    {
      title: 'an error without a code',
      status: 400,
      document: { message: bodyText },
      kind: 'unavailable',
      said: 'an error without',
    },
    {
      title: 'no access token',
      status: 200,
      document: { id_token: bodyText },
      kind: 'failed',
      said: '.*access_token',
    },
    {
      title: 'another type of token',
      status: 200,
      document: { token_type: bodyText },
      kind: 'failed',
      said: '.*token_type',
    },
    { title: 'a list', status: 200, document: [bodyText], kind: 'failed', said: '.*object' },
    {
      title: 'an object in place of a number',
      status: 200,
      document: { expires_in: { toString: 1 } },
      kind: 'failed',
      said: 'a malformed answer',
    },
  ])('answers $title', async ({ title, status, document, kind, said }) => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    const usual = title.startsWith('an') ? provider.tokens : {};
    provider.answers['/token'] = (_request, response) => {
      const body = Array.isArray(document) ? document : { ...usual, ...document };
      response.writeHead(status).end(JSON.stringify(body));
    };
    expect(await failureOf(finish(), flow)).toMatch(new RegExp(`^${kind}: .*/token: ${said}`));
  });
});

type Answer = (response: ServerResponse) => void;

const troubles: readonly { name: string; answer: Answer; said: string }[] = [
  { name: 'HTML', answer: (response) => response.end(`<html>${bodyText}`), said: 'not JSON' },
  {
    name: 'half of a document',
    answer: (response) => response.end(`{"issuer":"${bodyText}`),
    said: 'not JSON',
  },
  {
    name: 'Latin-1',
    answer: (response) => response.end(Buffer.from('{"a":"\xe9"}', 'latin1')),
    said: 'not JSON',
  },
  { name: 'nothing', answer: (response) => response.end(), said: 'not JSON' },
  {
    name: 'too much',
    answer: (response) => response.end(Buffer.alloc(262_145, 32)),
    said: 'bigger than 262144 bytes',
  },
  {
    name: 'a redirect',
    answer: (response) => response.writeHead(307, { location: `/elsewhere?${bodyText}` }).end(),
    said: 'redirect',
  },
  {
    name: 'compressed',
    answer: (response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
    said: 'compressed',
  },
  { name: '500', answer: (response) => response.writeHead(500).end(bodyText), said: 'status 500' },
  { name: '429', answer: (response) => response.writeHead(429).end(bodyText), said: 'status 429' },
  { name: '404', answer: (response) => response.writeHead(404).end(bodyText), said: 'status 404' },
  {
    name: 'a part',
    answer: (response) => response.write('{', () => response.destroy()),
    said: 'not whole',
  },
  { name: 'by hanging up', answer: (response) => response.destroy(), said: 'hang up' },
];

describe.each([
  { title: 'the discovery document', path: discoveryPath },
  { title: 'the token endpoint', path: '/token' },
])('$title', ({ path }) => {
  test.each(troubles)('that answers $name is unavailable', async ({ answer, said }) => {
    await using provider = await startForgedProvider();
    const { finish, flow, clock, calls } = await begin(provider);
    const { client } = createClient(provider);
    provider.answers[path] = (_request, response) => answer(response);
    clock.now += 600_000;
    const work = path === '/token' ? finish() : client.begin(id, {}, signal);
    const failure = await failureOf(work, flow);
    expect(failure).toMatch(new RegExp(`^unavailable: ${provider.issuer}${path}: `));
    expect(failure).toContain(said);
    if (path === '/token') expect(calls).toEqual(['discovery ok', 'discovery ok', 'token failed']);
    expect(provider.requests.map((request) => request.path)).not.toContain('/elsewhere');
  });

  test('that does not answer is unavailable after 5 seconds', async () => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    const { client } = createClient(provider);
    const [asked, hang] = hanging();
    provider.answers[path] = (_request, response) => hang(response);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const work = path === '/token' ? finish() : client.begin(id, {}, signal);
    const failure = failureOf(work, flow);
    const gone = once(await asked, 'close');
    vi.advanceTimersByTime(4999);
    expect(await soFar(failure)).toBe('');
    vi.advanceTimersByTime(1);
    expect(await soFar(failure)).toMatch(
      new RegExp(`^unavailable: .*${path}: no answer within 5s`),
    );
    await gone;
  });

  test('that does not answer is left when the login ends', async () => {
    await using provider = await startForgedProvider();
    const { finish, flow } = await begin(provider);
    const { client } = createClient(provider);
    const [asked, hang] = hanging();
    provider.answers[path] = (_request, response) => hang(response);
    const ending = new AbortController();
    const work =
      path === '/token' ? finish({}, ending.signal) : client.begin(id, {}, ending.signal);
    const failure = failureOf(work, flow);
    await asked;
    ending.abort(new Error(bodyText));
    expect(await failure).toMatch(new RegExp(`^unavailable: .*${path}: the login ended`));
  });
});

/** What a promise has come to without I/O. */
function soFar(work: Promise<string>): Promise<string> {
  return Promise.race([work, new Promise<string>((resolve) => setImmediate(resolve, ''))]);
}

/** A promise of the first answer that hangs, and what makes it hang. */
function hanging(): [Promise<ServerResponse>, Answer] {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  return [promise, resolve];
}

describe('a connection', () => {
  test('that is refused is unavailable', async () => {
    const provider = await startForgedProvider();
    const { finish, flow, calls } = await begin(provider);
    await provider[Symbol.asyncDispose]();
    expect(await failureOf(finish(), flow)).toMatch(/^unavailable: .*\/token: .*refused/);
    expect(calls).toEqual(['discovery ok', 'token failed']);
    const { client } = createClient(provider);
    const failure = await failureOf(client.begin(id, {}, signal));
    expect(failure).toMatch(/^unavailable: .*openid-configuration: .*refused/);
  });

  test.each([
    { title: 'another CA', create: () => createAuthority(), said: 'certificateAuthorityFile' },
    {
      title: 'no CA',
      create: () => ({ certificate: undefined }),
      said: 'certificateAuthorityFile',
    },
    {
      title: 'a CA that is not PEM',
      create: () => ({ certificate: bodyText }),
      said: 'openid-configuration: ',
    },
  ])('with $title is unavailable, whatever the environment says', async ({ create, said }) => {
    await using provider = await startForgedProvider();
    const { certificate } = await create();
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const { client, calls } = createClient(provider, { ca: () => certificate });
    const failure = await failureOf(client.begin(id, {}, signal));
    expect(failure).toMatch(/^unavailable: /);
    expect(failure).toContain(said);
    expect(calls).toEqual(['discovery failed']);
    expect(provider.requests).toEqual([]);
  });

  test('with CAs that can not be read is unavailable', async () => {
    await using provider = await startForgedProvider();
    const { client } = createClient(provider, {
      ca: () => {
        throw new Error('ca.crt: no such file');
      },
    });
    expect(await failureOf(client.begin(id, {}, signal))).toMatch(/^unavailable: .*ca\.crt/);
  });
});
