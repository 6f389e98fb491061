import { expect, onTestFinished, test } from 'vitest';
import { type Forgery, startForgedProvider } from './forged-provider.ts';
import { beginFlow, discover, readJwt, redirectUri } from './testing/code-flow.ts';
import { visitor } from './visitor.ts';

async function start(forgery: Forgery = {}) {
  const provider = await startForgedProvider();
  onTestFinished(() => provider[Symbol.asyncDispose]());
  provider.forge(forgery);
  return provider;
}

/** Goes through a flow with forged answers, and reads its ID token. */
async function idTokenOf(forgery: Forgery) {
  const provider = await start(forgery);
  const flow = await beginFlow(provider, 'client');
  const { body } = await flow.exchange(await provider.visit(flow.url));
  return {
    provider,
    flow,
    token: body.id_token ?? '',
    jwt: await readJwt(provider, body.id_token),
  };
}

test('without a forgery, the flow is right', async () => {
  const provider = await start();
  const flow = await beginFlow(provider, 'client');
  const answer = await provider.visit(flow.url);
  expect(`${answer.origin}${answer.pathname}`).toBe(redirectUri);
  expect(Object.fromEntries(answer.searchParams)).toEqual({
    code: expect.any(String),
    state: flow.state,
    iss: provider.url,
  });
  const { body } = await flow.exchange(answer);
  expect(await readJwt(provider, body.id_token)).toEqual({
    header: { alg: 'ES256', kid: 'one', typ: 'JWT' },
    claims: {
      iss: provider.url,
      sub: 'jane',
      aud: 'client',
      nonce: flow.nonce,
      iat: expect.any(Number),
      exp: expect.any(Number),
    },
    isSigned: true,
  });
  expect(provider.tokenRequests.map((form) => form.get('code'))).toEqual([
    answer.searchParams.get('code'),
  ]);
  expect(provider.asked.filter((path) => path === '/token')).toHaveLength(1);
});

test('the claims and the header of the ID token are forged, and it is signed all the same', async () => {
  const { provider, jwt } = await idTokenOf({
    claims: ({ nonce: _, ...claims }) => ({ ...claims, aud: ['other'], azp: 'other', exp: 1 }),
    header: (header) => ({ ...header, kid: 'two' }),
  });
  expect(jwt).toMatchObject({
    header: { kid: 'two' },
    claims: { iss: provider.url, aud: ['other'], azp: 'other', exp: 1 },
    isSigned: true,
  });
  expect(jwt.claims).not.toHaveProperty('nonce');
});

test('the ID token has no signature, or a signature by a key that is not published', async () => {
  const unsigned = await idTokenOf({ header: (header) => ({ ...header, alg: 'none' }) });
  expect(unsigned.token.split('.')[2]).toBe('');
  expect((await idTokenOf({ isForeignKey: true })).jwt).toMatchObject({
    claims: { sub: 'jane' },
    isSigned: false,
  });
});

test('the discovery document, the redirect and the tokens are forged', async () => {
  const provider = await start({
    discovery: (document) => ({ ...document, issuer: 'https://else.example' }),
    redirect: ({ state: _, ...query }) => ({ ...query, iss: 'https://else.example' }),
    tokens: ({ id_token: _, ...tokens }) => tokens,
  });
  expect(await discover(provider)).toMatchObject({
    issuer: 'https://else.example',
    token_endpoint: `${provider.url}/token`,
  });
  const flow = await beginFlow(provider, 'client');
  const answer = await provider.visit(flow.url);
  expect(Object.fromEntries(answer.searchParams)).toEqual({
    code: expect.any(String),
    iss: 'https://else.example',
  });
  expect(Object.keys((await flow.exchange(answer)).body)).toEqual(['access_token', 'token_type']);
});

test('any answer is forged: its status, its headers and its body', async () => {
  const provider = await start({
    answer: (path, answer) => (path === '/token' ? { ...answer, status: 502, body: '"' } : answer),
  });
  const { visit } = visitor(provider);
  expect(await visit(`${provider.url}/token`)).toMatchObject({ status: 502, body: '"' });
  expect(await visit(`${provider.url}/jwks`)).toMatchObject({ status: 200 });
  provider.forge({
    answer: (_path, answer) => ({ ...answer, headers: { location: redirectUri } }),
  });
  expect((await provider.visit(`${provider.url}/jwks`)).href).toBe(redirectUri);
});
