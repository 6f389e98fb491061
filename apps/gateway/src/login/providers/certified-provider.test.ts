import { startOpenIdProvider } from '@sallyport/test-servers/oidc-provider';
import { expect, test } from 'vitest';
import { createOpenIdClient, type OpenIdClientOptions } from './openid-client.ts';

const clientSecret = 'a-secret_of.this/test+client ~';
const redirectUri = 'https://login.example.com/login/callback/sso';
const { signal } = new AbortController();
const id = 'abcdefghijklmnop';

const jane = {
  sub: '7',
  login: 'jane',
  password: 'a-password-of-this-test',
  claims: { email: 'jane@example.com', email_verified: true },
  acr: 'urn:two-factors',
  amr: ['pwd', 'otp'],
};

type Method = 'client_secret_basic' | 'none';

async function start(method: Method, alg: 'ES256' | 'RS256' | 'PS256' | 'EdDSA' = 'ES256') {
  const one = { token_endpoint_auth_method: method, redirect_uris: [redirectUri] };
  const secret = method !== 'none' && { client_secret: clientSecret };
  const clients = [{ ...one, ...secret, client_id: 'sallyport' }];
  return startOpenIdProvider({ clients, accounts: [jane], alg });
}

function clientOf(
  { url, ca }: Awaited<ReturnType<typeof start>>,
  changes: Partial<OpenIdClientOptions> = {},
) {
  return createOpenIdClient({
    issuer: url,
    audiences: ['sallyport'],
    discoveryUrl: `${url}/.well-known/openid-configuration`,
    ca: () => ca,
    clientId: 'sallyport',
    clientSecret,
    scopes: ['openid', 'email'],
    prompt: undefined,
    redirectUri,
    now: () => performance.now(),
    onCall: () => {},
    ...changes,
  });
}

test.each([
  { method: 'client_secret_basic', alg: 'ES256' },
  { method: 'client_secret_basic', alg: 'RS256' },
  { method: 'client_secret_basic', alg: 'PS256' },
  { method: 'client_secret_basic', alg: 'EdDSA' },
  { method: 'none', alg: 'ES256' },
] as const)('a user logs in by $method with an ID token of $alg', async ({ method, alg }) => {
  await using provider = await start(method, alg);
  const client = clientOf(provider, method === 'none' ? { clientSecret: undefined } : {});
  const { url, flow } = await client.begin(id, { loginHint: 'jane' }, signal);
  const answer = await provider.logIn(url, jane);
  const { idToken, ...rest } = await client.finish(answer.searchParams, flow, signal);
  const [header, claims] = idToken.split('.').map((part) => Buffer.from(part, 'base64url'));
  expect(JSON.parse(String(header))).toMatchObject({ alg });
  expect(JSON.parse(String(claims))).toMatchObject({ sub: '7', email: 'jane@example.com' });
  expect(rest).toEqual({ acr: jane.acr, amr: jane.amr, authTime: expect.any(Number) });
  expect(Math.abs(Date.now() - (rest.authTime ?? 0))).toBeLessThan(600_000);
});

test('a user who cancels is denied', async () => {
  await using provider = await start('client_secret_basic');
  const client = clientOf(provider);
  const { url, flow } = await client.begin(id, {}, signal);
  const answer = await provider.logIn(url, undefined);
  await expect(client.finish(answer.searchParams, flow, signal)).rejects.toMatchObject({
    kind: 'denied',
    message: `the answer of ${provider.url}: the error access_denied`,
  });
});

test.each([
  { title: 'a wrong secret', changes: { clientSecret: 'another' }, code: 'invalid_client' },
  {
    title: 'another redirect URI',
    changes: { redirectUri: 'https://other.example.com/' },
    code: 'invalid_grant',
  },
])('$title fails', async ({ changes, code }) => {
  await using provider = await start('client_secret_basic');
  const client = clientOf(provider);
  const { url, flow } = await client.begin(id, {}, signal);
  const answer = await provider.logIn(url, jane);
  const work = clientOf(provider, changes).finish(answer.searchParams, flow, signal);
  await expect(work).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringContaining(`${provider.url}/token: the error ${code}`),
  });
});

test('a code is good for one login, and only with the verifier of its own flow', async () => {
  await using provider = await start('client_secret_basic');
  const client = clientOf(provider);
  const { url, flow } = await client.begin(id, {}, signal);
  const { searchParams } = await provider.logIn(url, jane);
  const { verifier } = (await client.begin(id, {}, signal)).flow;
  const refused = { kind: 'failed', message: expect.stringContaining('invalid_grant') };
  const stolen = client.finish(searchParams, { ...flow, verifier }, signal);
  await expect(stolen).rejects.toMatchObject(refused);
  const again = await client.begin(id, {}, signal);
  const other = (await provider.logIn(again.url, jane)).searchParams;
  await client.finish(other, again.flow, signal);
  await expect(client.finish(other, again.flow, signal)).rejects.toMatchObject(refused);
});

test('an answer is for one flow of one provider', async () => {
  await using provider = await start('client_secret_basic');
  await using attacker = await start('client_secret_basic');
  const client = clientOf(provider);
  const { url } = await client.begin(id, {}, signal);
  const { searchParams } = await provider.logIn(url, jane);
  const { flow } = await client.begin(id, {}, signal);
  const otherFlow = client.finish(searchParams, flow, signal);
  await expect(otherFlow).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('state'),
  });
  searchParams.set('state', flow.state);
  const otherNonce = client.finish(searchParams, flow, signal);
  await expect(otherNonce).rejects.toMatchObject({ kind: 'failed' });
  const mixedUp = clientOf(attacker).finish(searchParams, flow, signal);
  await expect(mixedUp).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('iss'),
  });
  expect(attacker.asked).not.toContain('/token');
});
