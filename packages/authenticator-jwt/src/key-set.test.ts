import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startHttpsServer } from '@sallyport/test-servers/https-server';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { jwtVerify } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createFetchedKeys, type KeySet, parseKeys } from './key-set.ts';
import type { KeyLimits } from './options.ts';
import { type Behaviour, newKey, startProvider, type TestProvider } from './testing/provider.ts';

let provider: TestProvider;
const first = await newKey('first');
beforeAll(async () => {
  provider = await startProvider({ robot: {} }, [first]);
});
const opened: KeySet[] = [];
afterEach(async () => {
  for (const keys of opened.splice(0)) keys.close();
  // A request that was given up may arrive late. It must not count in the next test.
  await provider.stop();
  provider.rotate([first]);
  await provider.start();
});
afterAll(() => provider?.[Symbol.asyncDispose]());

const usual: KeyLimits = {
  refresh: 600_000,
  cooldown: 30_000,
  staleTtl: 86_400_000,
  // Only an answer that never comes takes longer.
  timeout: 600_000,
  maxSize: 262_144,
  maxKeys: 100,
};
const { signal } = new AbortController();

/** Creates the keys of the provider, with a clock that the test moves, and notes what is reported of them. */
function openKeys(changed: Partial<KeyLimits> = {}, more: object = {}) {
  const clock = { now: 0 };
  const reported = { keys: [] as number[], failures: 0, warnings: [] as unknown[] };
  provider.asked.length = 0;
  const keys = createFetchedKeys({
    issuer: provider.url,
    isOnly: true,
    discoveryUrl: `${provider.url}/.well-known/openid-configuration`,
    limits: { ...usual, ...changed },
    ca: () => readFileSync(provider.caFile),
    logger: { debug() {}, info() {}, error() {}, warn: (fields) => reported.warnings.push(fields) },
    observer: {
      onKeys: ({ length }) => reported.keys.push(length),
      onFailure: () => void reported.failures++,
    },
    now: () => clock.now,
    ...more,
  });
  opened.push(keys);
  return { keys, clock, reported };
}

const isGood = async (token: string, keys: Promise<Awaited<ReturnType<KeySet['newer']>>>) => {
  const find = await keys;
  if (find === undefined) return 'no newer keys';
  return jwtVerify(token, find).then(
    () => 'good',
    (error) => error.code,
  );
};
const reads = () => provider.asked.filter((path) => path === '/jwks').length;
const failure = (code: string, words: string) =>
  expect.objectContaining({
    name: 'AuthenticatorError',
    code,
    message: expect.stringContaining(words),
  });
const unavailable = (words: string) => failure('unavailable', words);

test('the keys are read once for all who ask at the start', async () => {
  const { keys, reported } = openKeys();
  const token = await provider.token('robot');
  const asked = await Promise.all(
    Array.from({ length: 200 }, () => isGood(token, keys.current(signal))),
  );
  expect(new Set(asked)).toEqual(new Set(['good']));
  expect([reads(), reported.keys, reported.failures]).toEqual([1, [1], 0]);
});

test('a new key is found immediately, and invented key ids make one attempt in a cool-down', async () => {
  const { keys, clock } = openKeys();
  await keys.current(signal);
  provider.rotate([await newKey('second'), first]);
  const token = await provider.token('robot');
  expect(await isGood(token, keys.current(signal))).toBe('ERR_JWKS_NO_MATCHING_KEY');
  clock.now = 30_000;
  const found = await Promise.all(
    Array.from({ length: 200 }, () => isGood(token, keys.newer(signal))),
  );
  expect(new Set(found)).toEqual(new Set(['good']));
  expect(reads()).toBe(2);
  clock.now = 59_999;
  for (let time = 0; time < 200; time++) expect(await keys.newer(signal)).toBeUndefined();
  expect(reads()).toBe(2);
  clock.now = 60_000;
  await keys.newer(signal);
  expect(reads()).toBe(3);
});

test('while the issuer is down the last good keys are used for staleTtl, then the answer is unavailable', async () => {
  const { keys, clock, reported } = openKeys();
  const token = await provider.token('robot');
  await keys.current(signal);
  provider.behave('fails');
  clock.now = usual.staleTtl - 1;
  expect(await isGood(token, keys.current(signal))).toBe('good');
  clock.now = usual.staleTtl;
  await expect(keys.current(signal)).rejects.toEqual(unavailable('answers 500'));
  expect(reported.failures).toBe(1);
  provider.behave('ok');
  clock.now += usual.cooldown;
  expect(await isGood(token, keys.current(signal))).toBe('good');
});

test('an issuer that is down is asked once in a cool-down, however many ask', async () => {
  provider.behave('fails');
  const { keys, clock, reported } = openKeys();
  for (let time = 0; time < 200; time++)
    await expect(keys.current(signal)).rejects.toEqual(unavailable('answers 500'));
  for (let time = 0; time < 200; time++)
    await expect(keys.newer(signal)).rejects.toEqual(failure('failed', 'answers 500'));
  expect([provider.asked.length, reported.failures]).toEqual([1, 1]);
  clock.now = usual.cooldown;
  await expect(keys.current(signal)).rejects.toEqual(unavailable('answers 500'));
  expect(provider.asked.length).toBe(2);
});

test('an unknown key is no refusal while the last attempt to read the keys failed', async () => {
  const { keys, clock } = openKeys();
  await keys.current(signal);
  provider.behave('fails');
  clock.now = usual.cooldown;
  await expect(keys.newer(signal)).rejects.toEqual(failure('failed', 'answers 500'));
  await expect(keys.newer(signal)).rejects.toEqual(failure('failed', 'answers 500'));
});

test('one issuer of several that is down is no outage of the authenticator', async () => {
  provider.behave('fails');
  const { keys } = openKeys({}, { isOnly: false });
  await expect(keys.current(signal)).rejects.toEqual(failure('failed', 'answers 500'));
});

test('the keys are read again in the background', async () => {
  openKeys({ refresh: 5 });
  await waitFor(() => reads() >= 3, 'the keys to be read three times');
});

test('after a failure they are read again after the cool-down', async () => {
  provider.behave('fails');
  const { reported } = openKeys({ cooldown: 5 });
  await waitFor(() => reported.failures >= 2, 'a second attempt');
  provider.behave('ok');
  await waitFor(() => reported.keys.length > 0, 'the keys to be read');
});

test('a caller who gives up waits no longer', async () => {
  provider.behave('hangs');
  const { keys } = openKeys();
  const controller = new AbortController();
  const waiting = keys.current(controller.signal);
  controller.abort(new Error('the deadline has passed'));
  await expect(waiting).rejects.toThrow('the deadline has passed');
});

test.each<{ behaviour: Behaviour; words: string }>([
  { behaviour: 'hangs', words: 'no answer in time (jwks.timeout)' },
  { behaviour: 'fails', words: 'answers 500' },
  { behaviour: 'redirects', words: 'answers with a redirect, which is not followed' },
  { behaviour: 'huge', words: 'is bigger than jwks.maxSize (262144 bytes)' },
  { behaviour: 'endless', words: 'is bigger than jwks.maxSize (262144 bytes)' },
  { behaviour: 'breaks off', words: '' },
  { behaviour: 'no JSON', words: 'is not a JSON document' },
  { behaviour: 'upgrades', words: 'answers 101' },
])('an issuer that $behaviour', async ({ behaviour, words }) => {
  provider.behave(behaviour);
  const { keys, reported } = openKeys(behaviour === 'hangs' ? { timeout: 100 } : {});
  await expect(keys.current(signal)).rejects.toEqual(unavailable(words));
  expect(reported).toMatchObject({ failures: 1, warnings: [{ issuer: provider.url }] });
  // Nothing was followed, and the keys were not asked for. Before a short timeout, a busy machine may not even ask.
  const discovery = ['/.well-known/openid-configuration'];
  expect(provider.asked).toEqual(
    behaviour === 'hangs' ? discovery.slice(0, provider.asked.length) : discovery,
  );
});

test('an issuer that is stopped, or whose certificate is of another CA, is unavailable', async () => {
  const { keys } = openKeys({}, { ca: () => undefined });
  await expect(keys.current(signal)).rejects.toEqual(unavailable('certificateAuthorityFile'));
  await provider.stop();
  await expect(openKeys().keys.current(signal)).rejects.toEqual(
    unavailable('the connection was refused: is it running'),
  );
});

test('an issuer whose port speaks no TLS is unavailable, and the error says so', async () => {
  const server = createServer((_asked, answer) => answer.end());
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { keys } = openKeys({}, { discoveryUrl: `https://localhost:${port}/` });
  await expect(keys.current(signal)).rejects.toEqual(
    unavailable('the server answers, but not in TLS: check the port in the URL'),
  );
});

test('a certificate is checked, whatever the environment says', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { keys } = openKeys({}, { ca: () => undefined });
  await expect(keys.current(signal)).rejects.toEqual(unavailable('certificateAuthorityFile'));
  expect(provider.asked).toEqual([]);
});

test('a discovery document of another issuer, or with more keys than allowed, is not used', async () => {
  const other = openKeys({}, { issuer: `${provider.url}/` });
  await expect(other.keys.current(signal)).rejects.toEqual(
    unavailable(`names the issuer "${provider.url}"`),
  );
  provider.rotate([first, await newKey('second')]);
  const { keys } = openKeys({ maxKeys: 1 });
  await expect(keys.current(signal)).rejects.toEqual(
    unavailable('has 2 keys, more than jwks.maxKeys (1)'),
  );
});

describe('keys at another place', () => {
  /** Serves the discovery document of an issuer whose keys are there. */
  async function openWith(jwksUri: string) {
    const server = await startHttpsServer((url) => (_asked, answer) => {
      answer.end(JSON.stringify({ issuer: url, jwks_uri: jwksUri }));
    });
    onTestFinished(() => server[Symbol.asyncDispose]());
    const discoveryUrl = `${server.url}/.well-known/openid-configuration`;
    const { keys } = openKeys({}, { issuer: server.url, discoveryUrl });
    return { keys, server };
  }

  test('are read over TLS, since many issuers have them at another host', async () => {
    const { keys } = await openWith(`${provider.url}/jwks`);
    await keys.current(signal);
    expect(provider.asked).toEqual(['/jwks']);
  });

  test.each([
    'http://127.0.0.1/jwks',
    'http://169.254.169.254/latest/meta-data',
    'https://user:word@127.0.0.1/jwks',
    'file:///etc/passwd',
    'ftp://127.0.0.1/jwks',
    'data:application/json,{"keys":[]}',
    '/jwks',
    '',
  ])('%j are not read', async (jwksUri) => {
    const { keys, server } = await openWith(jwksUri);
    await expect(keys.current(signal)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('its jwks_uri must be a URL with https'),
    });
    expect(server.asked).toEqual(['/.well-known/openid-configuration']);
  });
});

test('of a JWK set only public members of asymmetric keys are kept', () => {
  const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'symmetric' };
  const [read, ...others] = parseKeys(
    { keys: [secret, { ...first, x5u: 'https://elsewhere' }] },
    2,
  );
  expect(others).toEqual([]);
  expect(Object.keys(read ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
});

test.each([{}, [], { keys: 7 }, { keys: [7] }, null])('%j is not a JWK set', (document) => {
  expect(() => parseKeys(document, 10)).toThrow('is not a JWK set');
});
