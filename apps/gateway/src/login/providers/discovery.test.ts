import type { ServerResponse } from 'node:http';
import { errorOf } from '@sallyport/test-servers/error-of';
import { expect, test } from 'vitest';
import { createDiscovery } from './discovery.ts';
import { ProviderError } from './provider-error.ts';
import {
  discoveryPath,
  type ForgedProvider,
  startForgedProvider,
} from './testing/forged-provider.ts';

const { signal } = new AbortController();

function createDiscoveryOf(provider: ForgedProvider) {
  const clock = { now: 1_000_000 };
  const calls: boolean[] = [];
  const { issuer, ca } = provider;
  const discover = createDiscovery({
    issuer,
    discoveryUrl: `${issuer}${discoveryPath}`,
    ca: () => ca,
    now: () => clock.now,
    onCall: (_call, isOk) => calls.push(isOk),
  });
  const fails = () => {
    provider.answers[discoveryPath] = (_request, response) => response.writeHead(500).end();
  };
  return { discover, clock, calls, fails };
}

/** Makes the document wait. @returns the answers that wait, and a promise of the first */
function hold(provider: ForgedProvider) {
  const { promise: asked, resolve } = Promise.withResolvers<ServerResponse>();
  provider.answers[discoveryPath] = (_request, response) => resolve(response);
  return asked;
}

test('reads no document before the first login', async () => {
  await using provider = await startForgedProvider();
  const { calls } = createDiscoveryOf(provider);
  expect([calls, provider.requests]).toEqual([[], []]);
});

test('uses a document for 10 minutes, and then reads it again', async () => {
  await using provider = await startForgedProvider();
  const { discover, clock, calls } = createDiscoveryOf(provider);
  const first = await discover(signal);
  expect(first.token_endpoint).toBe(`${provider.issuer}/token`);
  provider.document.token_endpoint = `${provider.issuer}/moved`;
  clock.now += 599_999;
  expect(await discover(signal)).toBe(first);
  clock.now += 1;
  expect((await discover(signal)).token_endpoint).toBe(`${provider.issuer}/moved`);
  clock.now += 599_999;
  await discover(signal);
  expect(calls).toEqual([true, true]);
});

test('uses the last document while the provider is down, and asks every 5 seconds', async () => {
  await using provider = await startForgedProvider();
  const { discover, clock, calls, fails } = createDiscoveryOf(provider);
  const usual = provider.answers[discoveryPath];
  const first = await discover(signal);
  fails();
  clock.now += 600_000;
  expect(await discover(signal)).toBe(first);
  clock.now += 4999;
  expect(await discover(signal)).toBe(first);
  expect(calls).toEqual([true, false]);
  clock.now += 1;
  expect(await discover(signal)).toBe(first);
  expect(calls).toEqual([true, false, false]);
  if (usual) provider.answers[discoveryPath] = usual;
  clock.now += 5000;
  expect(await discover(signal)).not.toBe(first);
  expect(calls).toEqual([true, false, false, true]);
});

test('fails without a request for 5 seconds after a failure', async () => {
  await using provider = await startForgedProvider();
  const { discover, clock, calls, fails } = createDiscoveryOf(provider);
  fails();
  const first = await errorOf(discover(signal));
  clock.now += 4999;
  expect((await errorOf(discover(signal))).message).toBe(first.message);
  expect(calls).toEqual([false]);
  clock.now += 1;
  await errorOf(discover(signal));
  expect(calls).toEqual([false, false]);
});

test('reads the document once for all logins that need it', async () => {
  await using provider = await startForgedProvider();
  const { discover, clock } = createDiscoveryOf(provider);
  const documents = await Promise.all(Array.from({ length: 20 }, () => discover(signal)));
  expect(new Set(documents).size).toBe(1);
  expect(provider.requests).toHaveLength(1);
  clock.now += 600_000;
  await Promise.all(Array.from({ length: 20 }, () => discover(signal)));
  expect(provider.requests).toHaveLength(2);
});

test('goes on reading for others when the login that asked first ends', async () => {
  await using provider = await startForgedProvider();
  const { discover, calls } = createDiscoveryOf(provider);
  const asked = hold(provider);
  const ending = new AbortController();
  const first = errorOf(discover(ending.signal));
  const second = discover(signal);
  const response = await asked;
  ending.abort();
  expect(await first).toBeInstanceOf(ProviderError);
  response.end(JSON.stringify(provider.document));
  expect((await second).issuer).toBe(provider.issuer);
  expect(calls).toEqual([true]);
  expect(provider.requests).toHaveLength(1);
});

test('makes no request for a login that has ended', async () => {
  await using provider = await startForgedProvider();
  const { discover, calls } = createDiscoveryOf(provider);
  const error = await errorOf(discover(AbortSignal.abort()));
  expect(error).toBeInstanceOf(ProviderError);
  expect([calls, provider.requests]).toEqual([[], []]);
});

test.each([
  { title: 'another issuer', changes: { issuer: 'https://other.example.com' }, said: 'issuer' },
  { title: 'an issuer with one more slash', changes: 'slash', said: 'issuer' },
  { title: 'no issuer', changes: { issuer: undefined }, said: 'issuer' },
  {
    title: 'no authorization endpoint',
    changes: { authorization_endpoint: undefined },
    said: 'authorization_endpoint',
  },
  { title: 'no token endpoint', changes: { token_endpoint: null }, said: 'token_endpoint' },
  {
    title: 'an endpoint without TLS',
    changes: { token_endpoint: 'http://localhost/token' },
    said: 'token_endpoint',
  },
  {
    title: 'a script as endpoint',
    changes: { authorization_endpoint: 'javascript:x' },
    said: 'authorization_endpoint',
  },
  {
    title: 'a relative endpoint',
    changes: { authorization_endpoint: '/authorize' },
    said: 'authorization_endpoint',
  },
  {
    title: 'a user in an endpoint',
    changes: { token_endpoint: 'https://user@localhost/token' },
    said: 'token_endpoint',
  },
  {
    title: 'a password in an endpoint',
    changes: { token_endpoint: 'https://:secret@localhost/' },
    said: 'token_endpoint',
  },
  {
    title: 'a fragment',
    changes: { authorization_endpoint: 'https://localhost/#a' },
    said: 'authorization_endpoint',
  },
  {
    title: 'a huge endpoint',
    changes: { token_endpoint: `https://a/${'a'.repeat(2048)}` },
    said: 'token_endpoint',
  },
  {
    title: 'a promise of iss that is not a boolean',
    changes: { authorization_response_iss_parameter_supported: 'yes' },
    said: 'authorization_response_iss_parameter_supported',
  },
])('refuses a document with $title', async ({ changes, said }) => {
  await using provider = await startForgedProvider();
  const slash = { issuer: `${provider.issuer}/` };
  Object.assign(provider.document, changes === 'slash' ? slash : changes);
  const { discover, calls } = createDiscoveryOf(provider);
  const error = await errorOf(discover(signal));
  expect(error).toMatchObject({ name: 'ProviderError', kind: 'unavailable' });
  expect(error.message).toContain(`${provider.issuer}${discoveryPath}: its ${said}`);
  expect(error.message).not.toContain('secret');
  expect(calls).toEqual([false]);
});

test.each(['[]', '"text"', 'null', '1'])('refuses a document that is %s', async (text) => {
  await using provider = await startForgedProvider();
  provider.answers[discoveryPath] = (_request, response) => response.end(text);
  const { discover } = createDiscoveryOf(provider);
  expect((await errorOf(discover(signal))).message).toMatch(/: its document /);
});

test('keeps the last document when the next one is not valid', async () => {
  await using provider = await startForgedProvider();
  const { discover, clock, calls } = createDiscoveryOf(provider);
  const first = await discover(signal);
  provider.document.issuer = 'https://other.example.com';
  clock.now += 600_000;
  expect(await discover(signal)).toBe(first);
  expect(calls).toEqual([true, false]);
});

test('takes a document with malformed lists as one without them', async () => {
  await using provider = await startForgedProvider();
  provider.document.token_endpoint_auth_methods_supported = 'client_secret_post';
  provider.document.id_token_signing_alg_values_supported = null;
  const { discover } = createDiscoveryOf(provider);
  const document = await discover(signal);
  expect(document.token_endpoint_auth_methods_supported).toEqual(['client_secret_basic']);
  expect(document.id_token_signing_alg_values_supported).toContain('ES256');
  expect(document.id_token_signing_alg_values_supported).not.toContain('HS256');
});

test('writes endpoints on one line, as they are in the log', async () => {
  await using provider = await startForgedProvider();
  provider.document.token_endpoint = `${provider.issuer}/to\nken\u202e`;
  const { discover } = createDiscoveryOf(provider);
  const document = await discover(signal);
  expect(document.token_endpoint).toBe(`${provider.issuer}/token%E2%80%AE`);
});
