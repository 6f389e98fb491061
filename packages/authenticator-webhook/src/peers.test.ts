import { describe, expect, test } from 'vitest';
import { open } from './testing/open.ts';
import {
  awsIamAuthenticator,
  guard,
  k8sLdapAuth,
  kubeApiServer,
  oidcWebhookAuthenticator,
  pinniped,
  rancher,
  type Users,
} from './testing/peers.ts';
import { type Behaviour, serve } from './testing/server.ts';
import { optionsFor } from './testing/written-options.ts';

const users: Users = { 'tkt_jane:1': { username: 'jane', groups: ['dev'] } };
const good = 'tkt_jane:1';
const noOpinion = { kind: 'no-opinion' };
const jane = { username: 'jane', groups: ['dev'] };

async function start(behaviour: Behaviour, more: object = {}) {
  const server = await serve(behaviour);
  return { server, ...(await open(optionsFor(server, more))) };
}

test('guard, asked in v1beta1: it answers in v1, and 401 to a bad token', async () => {
  const { ask } = await start(guard(users), { version: 'v1beta1' });
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: jane });
  expect(await ask('tkt_bad')).toEqual(noOpinion);
});

test('aws-iam-authenticator: no apiVersion, keys of extra in mixed case, 403 to a bad token, 429 when throttled', async () => {
  const { ask, failure, server } = await start(awsIamAuthenticator(users), {
    extra: { drop: ['accessKeyId'], rename: [{ from: 'arn', to: 'sts.example.com/arn' }] },
  });
  expect(await ask(good)).toEqual({
    kind: 'authenticated',
    user: {
      ...jane,
      uid: 'aws-iam-authenticator:1:AROA',
      extra: {
        'sts.example.com/arn': ['arn:aws:sts::1:assumed-role/jane/s'],
        canonicalarn: ['arn:aws:iam::1:role/jane'],
        principalid: ['AROA'],
        sessionname: ['s'],
      },
    },
  });
  expect(await ask('tkt_bad')).toEqual(noOpinion);
  expect(await failure('tkt_throttled')).toEqual({
    code: 'unavailable',
    message: `${server.url}/authenticate: it answers with the status 429`,
  });
});

test('rancher: JSON as text/plain, 400 and 401 to bad tokens', async () => {
  const { ask } = await start(rancher(users), { onUnauthorized: 'rejected' });
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: jane });
  expect(await ask('tkt_bad')).toEqual({ kind: 'rejected', reason: 'invalid-credentials' });
  expect(await ask('tkt_jane:2')).toEqual({ kind: 'rejected', reason: 'invalid-credentials' });
});

test('k8s-ldap-auth: the review comes back, 400 in plain text to a bad token', async () => {
  const { ask } = await start(k8sLdapAuth(users));
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: { ...jane, uid: 'uid=jane' } });
  expect(await ask('tkt_bad')).toEqual(noOpinion);
});

test('pinniped: v1beta1 alone, 400 without a body', async () => {
  const { ask, server } = await start(pinniped(users), { version: 'v1beta1' });
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: jane });
  expect(await ask('tkt_jane:2')).toEqual(noOpinion);
  expect(await ask('tkt_bad')).toEqual(noOpinion);
  const elsewhere = await open(optionsFor(server, { url: `${server.url}/elsewhere` }));
  expect(await elsewhere.failure(good)).toMatchObject({ code: 'unavailable' });
});

test('oidc-webhook-authenticator: JSON as text/plain, the review comes back, false for everything else', async () => {
  const { ask } = await start(oidcWebhookAuthenticator(users));
  const extra = { 'gardener.cloud/authenticator/name': ['idp'] };
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: { ...jane, extra } });
  expect(await ask('tkt_bad')).toEqual(noOpinion);
});

describe('the TokenReview API of a cluster', () => {
  const cluster = { users, bearer: 'of-the-gateway', audiences: ['https://b.example.com'] };
  const options = { mode: 'api', bearer: 'of-the-gateway' };
  const startApi = async (more: object = {}) => {
    const server = await serve(kubeApiServer(cluster));
    return { server, ...(await open(optionsFor(server, { ...options, url: server.url, ...more }))) };
  };
  const groups = ['system:serviceaccounts', 'dev', 'system:authenticated'];

  test.each(['v1', 'v1beta1'])('answers 201, with keys of Kubernetes that are left out (%s)', async (version) => {
    const { ask, server } = await startApi({ version });
    expect(await ask(good, { audiences: cluster.audiences })).toEqual({
      kind: 'authenticated',
      user: { username: 'jane', groups },
      credential: { jti: '1' },
      audiences: cluster.audiences,
    });
    expect(server.received[0]?.path).toBe(`/apis/authentication.k8s.io/${version}/tokenreviews`);
  });

  test('gives keys of Kubernetes if the config says so', async () => {
    const { ask } = await startApi({
      extra: { drop: ['authentication.kubernetes.io/pod-name'] },
    });
    const key = 'authentication.kubernetes.io/credential-id';
    expect(await ask(good)).toMatchObject({ user: { extra: { [key]: ['JTI=1'] } } });
  });

  test.each([
    'invalid bearer token',
    '[invalid bearer token, service account token has expired]',
    'invalid bearer token, service account token has been invalidated',
    'service account token is not valid yet',
    '[invalid bearer token, serviceaccounts "ci" not found]',
    'service account ns/ci has been deleted',
    'service account UID (1-2) does not match claim (3-4)',
    'pod UID () does not match service account pod ref claim (1-2)',
    'token audiences ["a" "b"] is invalid for the target audiences ["c"]',
  ])('refuses a token by the error "%s"', async (error) => {
    const { ask } = await startApi({ onUnauthenticated: 'rejected' });
    expect(await ask(`tkt_says:${error}`)).toEqual({ kind: 'rejected', reason: 'invalid-credentials' });
  });

  test.each([
    '[invalid bearer token, Post "https://webhook/": dial tcp: connection refused]',
    'invalid bearer token, context deadline exceeded',
    'etcdserver: request timed out',
    'serviceaccounts "ci" is forbidden',
    'not an invalid bearer token',
    '[]',
  ])('could not check a token if it gives the error "%s"', async (error) => {
    const { failure } = await startApi({ onUnauthenticated: 'rejected' });
    expect(await failure(`tkt_says:${error}`)).toMatchObject({ code: 'failed' });
  });

  test('has no opinion of a token that none of its authenticators knows', async () => {
    const { ask } = await startApi();
    expect(await ask('tkt_bad')).toEqual(noOpinion);
  });

  test.each([
    ['a wrong credential', { bearer: 'another' }, '401'],
    ['no right to ask', { bearer: undefined, certFile: 'client', keyFile: 'client' }, '403'],
  ])('means the gateway itself by its refusal: %s', async (_name, more, status) => {
    const server = await serve(kubeApiServer(cluster));
    const client = await server.authority.issueClient('gateway');
    const files = 'certFile' in more ? { certFile: client.certificateFile, keyFile: client.keyFile } : {};
    const { failure } = await open(optionsFor(server, { ...options, url: server.url, ...more, ...files }));
    expect(await failure(good)).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`status ${status}: check the gateway's own credential`),
    });
  });
});
