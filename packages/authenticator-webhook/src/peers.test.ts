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

const good = 'tkt_jane:1';
const jane = { username: 'jane', groups: ['dev'] };
const users: Users = { [good]: jane };
const noOpinion = { kind: 'no-opinion' };
const rejected = { kind: 'rejected', reason: 'invalid-credentials' };
const ofAws = {
  'sts.example.com/arn': ['arn:aws:sts::1:assumed-role/jane/s'],
  canonicalarn: ['arn:aws:iam::1:role/jane'],
  principalid: ['AROA'],
  sessionname: ['s'],
};
const extraOfAws = { drop: ['accessKeyId'], rename: [{ from: 'arn', to: 'sts.example.com/arn' }] };

/** The peers with their options, what they add to the user, and the outcome of tokens that they refuse. */
test.each<{
  name: string;
  peer: (users: Users) => Behaviour;
  options: object;
  more: object;
  others: Readonly<Record<string, object>>;
}>([
  {
    name: 'guard, asked in v1beta1: it answers in v1, and 401',
    peer: guard,
    options: { version: 'v1beta1' },
    more: {},
    others: { tkt_bad: noOpinion },
  },
  {
    name: 'aws-iam-authenticator: no apiVersion, keys of extra in mixed case, 403, 429 when throttled',
    peer: awsIamAuthenticator,
    options: { extra: extraOfAws },
    more: { uid: 'aws-iam-authenticator:1:AROA', extra: ofAws },
    others: {
      tkt_bad: noOpinion,
      tkt_throttled: { code: 'unavailable', message: expect.stringContaining('the status 429') },
    },
  },
  {
    name: 'rancher: JSON as text/plain, 400 and 401',
    peer: rancher,
    options: { onUnauthorized: 'rejected' },
    more: {},
    others: { tkt_bad: rejected, 'tkt_jane:2': rejected },
  },
  {
    name: 'k8s-ldap-auth: the review comes back, 400 in plain text',
    peer: k8sLdapAuth,
    options: {},
    more: { uid: 'uid=jane' },
    others: { tkt_bad: noOpinion },
  },
  {
    name: 'pinniped: v1beta1 alone, 400 without a body',
    peer: pinniped,
    options: { version: 'v1beta1' },
    more: {},
    others: { tkt_bad: noOpinion, 'tkt_jane:2': noOpinion },
  },
  {
    name: 'oidc-webhook-authenticator: JSON as text/plain, the review comes back, false for everything else',
    peer: oidcWebhookAuthenticator,
    options: {},
    more: { extra: { 'gardener.cloud/authenticator/name': ['idp'] } },
    others: { tkt_bad: noOpinion },
  },
])('$name', async ({ peer, options, more, others }) => {
  const server = await serve(peer(users));
  const { ask, failure } = await open(optionsFor(server, options));
  expect(await ask(good)).toEqual({ kind: 'authenticated', user: { ...jane, ...more } });
  for (const [token, expected] of Object.entries(others)) {
    expect(await ('code' in expected ? failure(token) : ask(token))).toEqual(expected);
  }
});

describe('the TokenReview API of a cluster', () => {
  const cluster = { users, bearer: 'of-the-gateway', audiences: ['https://b.example.com'] };
  const options = { mode: 'api', bearer: 'of-the-gateway' };
  const startApi = async (more: object = {}) => {
    const server = await serve(kubeApiServer(cluster));
    return {
      server,
      ...(await open(optionsFor(server, { ...options, url: server.url, ...more }))),
    };
  };
  const groups = ['system:serviceaccounts', 'dev', 'system:authenticated'];

  test.each(['v1', 'v1beta1'])(
    'answers 201, with keys of Kubernetes that are left out (%s)',
    async (version) => {
      const { ask, server } = await startApi({ version });
      expect(await ask(good, { audiences: cluster.audiences })).toEqual({
        kind: 'authenticated',
        user: { username: 'jane', groups },
        credential: { jti: '1' },
        audiences: cluster.audiences,
      });
      expect(server.received[0]?.path).toBe(`/apis/authentication.k8s.io/${version}/tokenreviews`);
    },
  );

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
    expect(await ask(`tkt_says:${error}`)).toEqual({
      kind: 'rejected',
      reason: 'invalid-credentials',
    });
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
    { name: 'a wrong credential', more: { bearer: 'another' }, status: '401' },
    {
      name: 'no right to ask',
      more: { bearer: undefined, certFile: 'client', keyFile: 'client' },
      status: '403',
    },
  ])('means the gateway itself by its refusal: $name', async ({ more, status }) => {
    const server = await serve(kubeApiServer(cluster));
    const client = await server.authority.issueClient('gateway');
    const files =
      'certFile' in more ? { certFile: client.certificateFile, keyFile: client.keyFile } : {};
    const { failure } = await open(
      optionsFor(server, { ...options, url: server.url, ...more, ...files }),
    );
    expect(await failure(good)).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`status ${status}: check the gateway's own credential`),
    });
  });
});
