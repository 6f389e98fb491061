import { testRefusals } from '@sallyport/test-servers/written-options';
import { expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const api = { url: 'https://b.example.com:6443', mode: 'api', bearerFile: 'token' };

test('what is left out has its default', () => {
  expect(settled(writtenOptions())).toEqual({
    url: new URL('https://webhook.example.com/authenticate'),
    recognizes: { prefixes: ['tkt_'], issuers: [] },
    mode: 'webhook',
    version: 'v1',
    audiences: { kind: 'pass' },
    onUnauthenticated: 'no-opinion',
    onUnauthorized: 'no-opinion',
    isUnauthorizedSet: false,
    onError: 'unavailable',
    extra: { drop: [], rename: [], lowercase: true },
    timeout: 2000,
    maxResponseSize: 262_144,
    maxConnections: 100,
    tls: { minVersion: 'TLSv1.2' },
  });
});

test.each([
  {
    url: 'https://b.example.com:6443',
    version: 'v1',
    expected: 'https://b.example.com:6443/apis/authentication.k8s.io/v1/tokenreviews',
  },
  {
    url: 'https://b.example.com/',
    version: 'v1beta1',
    expected: 'https://b.example.com/apis/authentication.k8s.io/v1beta1/tokenreviews',
  },
  {
    url: 'https://r.example.com/k8s/b',
    version: 'v1',
    expected: 'https://r.example.com/k8s/b/apis/authentication.k8s.io/v1/tokenreviews',
  },
])('mode api: $url is asked in $version at $expected', ({ url, version, expected }) => {
  const options = settled(writtenOptions({ ...api, url, version }));
  expect(options.url.href).toBe(expected);
  expect(options).toMatchObject({
    onUnauthorized: 'unavailable',
    extra: { drop: ['authentication.kubernetes.io/*'] },
  });
});

test.each<{ more: object; expected: string }>([
  { more: { bearer: 'x' }, expected: 'unavailable' },
  { more: { bearerFile: 'x' }, expected: 'unavailable' },
  { more: { bearer: 'x', onUnauthorized: 'no-opinion' }, expected: 'no-opinion' },
  { more: { onUnauthorized: 'rejected' }, expected: 'rejected' },
])('$more: 401 means $expected', ({ more, expected }) => {
  expect(settled(writtenOptions(more)).onUnauthorized).toBe(expected);
});

test.each([
  'http://127.0.0.1:1/',
  'http://127.9.9.9/',
  'http://localhost:8080/token',
  'http://[::1]:1/',
])('%s is clear text that stays on this machine', (url) => {
  expect(complaints(writtenOptions({ url }))).toEqual([]);
  expect(complaints(writtenOptions({ url, insecure: true }))).toEqual([
    'insecure: has no effect, since no clear text is used: remove it',
  ]);
});

test.each([
  'http://webhook.example.com',
  'http://10.0.0.1',
  'http://128.0.0.1',
  'http://127.0.0.1.example.com',
  'http://[::2]',
])('%s is refused as clear text, unless the config allows it', (url) => {
  expect(complaints(writtenOptions({ url }))).toEqual([
    expect.stringContaining('url: uses clear text: write https://'),
  ]);
  expect(complaints(writtenOptions({ url, insecure: true }))).toEqual([]);
  expect(complaints(writtenOptions({ url, insecure: true, caFile: 'ca.crt' }))).toEqual([
    'caFile: does nothing: no server is reached with TLS: remove it, or use https://',
  ]);
});

const renamed = [
  { from: 'a', to: 'b' },
  { from: 'a', to: 'c' },
];
testRefusals(
  (more: object) => complaints(writtenOptions(more)),
  [
    [
      { recognizes: undefined },
      'recognizes: must be keys and values: write { prefixes: [k8s-aws-v1.] }',
    ],
    [{ recognizes: {} }, 'recognizes: must say which tokens the peer issues…'],
    [{ recognizes: { prefixes: [] } }, 'recognizes.prefixes: must have 1 to 64 entries…'],
    [
      { recognizes: { prefixes: ['k8s-aws-v1.*'] } },
      'recognizes.prefixes.0: is a pattern, and a prefix is compared as it is: write k8s-aws-v1.',
    ],
    [{ recognizes: { prefixes: [''] } }, 'recognizes.prefixes.0: must be visible ASCII…'],
    [{ recognizes: { issuers: [''] } }, 'recognizes.issuers.0: must not be empty…'],
    [
      { recognizes: { pattern: 'old_*' } },
      'recognizes.pattern: is a glob: as a regular expression, its * repeats only the character before it: write old_.*, or prefixes: [old_] in place of it',
    ],
    [{ recognizes: { pattern: '.*' } }, 'recognizes.pattern: matches an empty string…'],
    [
      { recognizes: { pattern: '(?=a)b' } },
      'recognizes.pattern: is not a regular expression of RE2…',
    ],
    [{ url: 'webhook' }, 'url: must be a URL with https…'],
    [{ url: 'ftp://a' }, 'url: must be a URL with https…'],
    [{ url: 'https://a:b@webhook' }, 'url: must have no name or password in it…'],
    [{ url: 'https://webhook/#a' }, 'url: must have no fragment…'],
    [{ urls: [] }, ': has an unknown key: urls; known here: url, recognizes,…'],
    [{ bearer: 'a\nb' }, 'bearer: must be a token of visible ASCII…'],
    [{ bearer: 'a', bearerFile: 'a' }, 'bearerFile: has no effect next to bearer: remove one…'],
    [{ keyFile: 'a' }, 'certFile: must name the certificate of keyFile…'],
    [{ audiences: 'own' }, 'ownAudiences: must list the audiences of the tokens…'],
    [
      { ownAudiences: ['a'] },
      'ownAudiences: does nothing without audiences: own: write it, or remove this key',
    ],
    [{ extra: { rename: renamed } }, 'extra.rename.1.from: "a" is there twice…'],
    [{ extra: { drop: ['a*b'] } }, 'extra.drop.0: may have * at its end only…'],
    [{ maxResponseSize: '5MiB' }, 'maxResponseSize: "5MiB" is too big…'],
    [{ ...api, bearerFile: undefined }, 'bearerFile: is missing: with mode api…'],
    [
      { ...api, url: 'https://b/apis/x' },
      'url: must be the API server alone, as in a kubeconfig: write https://b…',
    ],
    [{ ...api, url: 'https://b/?a' }, 'url: must be the API server alone…'],
    [{ ...api, onUnauthorized: 'rejected' }, 'onUnauthorized: must be unavailable with mode api…'],
  ],
);
