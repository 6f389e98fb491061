import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, type MockInstance, onTestFinished, test, vi } from 'vitest';
import { errorOf } from './error-of.ts';
import { type OpenIdProviderOptions, startOpenIdProvider } from './oidc-provider.ts';
import { beginFlow, discover, readJwt, redirectUri } from './testing/code-flow.ts';
import { visitor } from './visitor.ts';
import { waitFor } from './wait-for.ts';

const newSecret = () => randomBytes(16).toString('hex');

const jane = {
  sub: '7',
  login: 'jane',
  password: newSecret(),
  claims: { email: 'jane@example.com', email_verified: true, name: 'Jane', groups: ['dev', 'ops'] },
  acr: 'urn:two-factors',
  amr: ['pwd', 'otp'],
};
const secret = newSecret();
const clients = [
  { client_id: 'open', token_endpoint_auth_method: 'none' as const, redirect_uris: [redirectUri] },
  {
    client_id: 'closed',
    client_secret: secret,
    token_endpoint_auth_method: 'client_secret_post' as const,
    redirect_uris: [redirectUri],
  },
];

async function start(more: Partial<OpenIdProviderOptions> = {}) {
  const provider = await startOpenIdProvider({ clients, accounts: [jane], ...more });
  onTestFinished(() => provider[Symbol.asyncDispose]());
  return provider;
}

// The library prints what it thinks of its settings.
let outputs: readonly MockInstance[] = [];
beforeEach(() => {
  outputs = (['info', 'warn', 'error'] as const).map((method) => vi.spyOn(console, method));
});
afterEach(() => {
  const printed = outputs.flatMap(({ mock }) => mock.calls);
  for (const output of outputs) output.mockRestore();
  expect(printed).toEqual([]);
});

test('a login ends with an ID token that has what the scopes ask for, and how the person has logged in', async () => {
  const provider = await start();
  const flow = await beginFlow(provider, 'open', { scope: 'openid email groups' });
  const started = Math.floor(Date.now() / 1000);
  const answer = await provider.logIn(flow.url, jane);
  expect(`${answer.origin}${answer.pathname}`).toBe(redirectUri);
  expect(answer.searchParams.get('state')).toBe(flow.state);
  expect(answer.searchParams.get('iss')).toBe(provider.url);
  const { status, body } = await flow.exchange(answer);
  expect(status).toBe(200);
  const { claims, isSigned } = await readJwt(provider, body.id_token);
  expect(isSigned).toBe(true);
  const { email, email_verified, groups } = jane.claims;
  expect(claims).toMatchObject({
    iss: provider.url,
    aud: 'open',
    sub: '7',
    nonce: flow.nonce,
    acr: jane.acr,
    amr: jane.amr,
    ...{ email, email_verified, groups },
  });
  expect(claims).not.toHaveProperty('name');
  expect(claims.auth_time).toBeGreaterThanOrEqual(started);
  expect((await flow.exchange(answer)).body.error).toBe('invalid_grant');
});

test('it says in its discovery document what it supports', async () => {
  const provider = await start();
  expect(await discover(provider)).toMatchObject({
    issuer: provider.url,
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
    id_token_signing_alg_values_supported: expect.arrayContaining(['ES256']),
  });
});

test.each(['RS256', 'PS256', 'EdDSA'] as const)('it signs with %s', async (alg) => {
  const provider = await start({ alg });
  const flow = await beginFlow(provider, 'open');
  const { body } = await flow.exchange(await provider.logIn(flow.url, jane));
  expect(await readJwt(provider, body.id_token)).toMatchObject({
    header: { alg },
    isSigned: true,
  });
});

test('it wants the secret of a client, PKCE, the right verifier, and a known redirect', async () => {
  const provider = await start();
  const errorFor = async (more: Record<string, string>) => {
    const flow = await beginFlow(provider, 'closed');
    const { body } = await flow.exchange(await provider.logIn(flow.url, jane), more);
    return body.error;
  };
  expect(await errorFor({ client_secret: secret })).toBeUndefined();
  expect(await errorFor({ client_secret: newSecret() })).toBe('invalid_client');
  expect(await errorFor({ client_secret: secret, code_verifier: newSecret() + newSecret() })).toBe(
    'invalid_grant',
  );
  const plain = new URL((await beginFlow(provider, 'closed')).url);
  plain.searchParams.delete('code_challenge');
  plain.searchParams.delete('code_challenge_method');
  expect((await provider.logIn(plain.href, jane)).searchParams.get('error')).toBe(
    'invalid_request',
  );
  const elsewhere = await beginFlow(provider, 'closed', { redirect_uri: 'https://else.example' });
  expect(await errorOf(provider.logIn(elsewhere.url, jane))).toMatchObject({
    message: expect.stringContaining('invalid_redirect_uri'),
  });
});

test('a person can cancel at the login and at the consent, and a wrong password shows the form again', async () => {
  const provider = await start({ asksForConsent: true });
  const { url } = await beginFlow(provider, 'open', { login_hint: 'j"&a' });
  const denied = await provider.logIn(url, undefined);
  expect(denied.searchParams.get('error')).toBe('access_denied');
  const { visit } = visitor(provider);
  const login = await visit(url);
  expect(login.body).toContain('name="login" value="j&quot;&amp;a"');
  const post = (at: URL, form: Record<string, string>) => visit(at.href, new URLSearchParams(form));
  const wrong = { login: 'jane', password: newSecret(), answer: 'yes' };
  expect(await post(login.url, wrong)).toMatchObject({ status: 401, body: login.body });
  const consent = await post(login.url, { ...wrong, password: jane.password });
  expect(consent.body).toContain('Allow');
  const refused = await post(consent.url, { answer: 'no' });
  expect(refused.url.searchParams.get('error')).toBe('access_denied');
});

test('with a page of consent, the code comes after it', async () => {
  const provider = await start({ asksForConsent: true });
  const flow = await beginFlow(provider, 'open');
  const answer = await provider.logIn(flow.url, jane);
  expect((await flow.exchange(answer)).status).toBe(200);
});

test('it is down, hangs and recovers at the same address', async () => {
  const provider = await start();
  await provider.stop();
  expect(await errorOf(discover(provider))).toMatchObject({ code: 'ECONNREFUSED' });
  await provider.start();
  provider.hang();
  const before = provider.asked.length;
  const hanging = discover(provider).catch((error: Error) => error.message);
  await waitFor(() => provider.asked.length > before, 'the request');
  await provider.stop();
  expect(await hanging).toBe('socket hang up');
  await provider.start();
  expect(await discover(provider)).toMatchObject({ issuer: provider.url });
});
