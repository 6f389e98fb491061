import { testRefusals } from '@sallyport/test-servers/written-options';
import { expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const issuer = { url: 'https://idp.example.com', audiences: ['kubernetes'] };

test('what is left out has its default', () => {
  expect(settled(writtenOptions()).issuers).toEqual([
    {
      url: 'https://idp.example.com',
      audiences: ['kubernetes'],
      apiAudiences: [],
      algorithms: ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'],
      clockTolerance: 30_000,
      rules: [],
      mappings: { username: { claim: 'sub', prefix: '' }, extra: [] },
      credentialId: false,
      keys: {
        discoveryUrl: 'https://idp.example.com/.well-known/openid-configuration',
        limits: {
          refresh: 600_000,
          cooldown: 30_000,
          staleTtl: 86_400_000,
          timeout: 5_000,
          maxSize: 262_144,
          maxKeys: 100,
        },
      },
    },
  ]);
});

test.each([
  {
    url: 'https://idp.example.com/realms/a/',
    discoveryUrl: 'https://idp.example.com/realms/a/.well-known/openid-configuration',
  },
  {
    url: 'https://idp.example.com/a//',
    discoveryUrl: 'https://idp.example.com/a//.well-known/openid-configuration',
  },
])(
  'the discovery document of $url: one slash is trimmed, for this address alone',
  ({ url, discoveryUrl }) => {
    const [one] = settled(writtenOptions({ issuer: { ...issuer, url } })).issuers;
    expect(one).toMatchObject({ url, keys: { discoveryUrl } });
  },
);

test('keys are found by a discovery document elsewhere, or in a file', () => {
  const discoveryURL = 'https://inside.example.com/discovery';
  const [elsewhere] = settled(writtenOptions({ issuer: { ...issuer, discoveryURL } })).issuers;
  expect(elsewhere).toMatchObject({ url: issuer.url, keys: { discoveryUrl: discoveryURL } });
  const [file] = settled(writtenOptions({ issuer: { ...issuer, jwksFile: 'keys.json' } })).issuers;
  expect(file?.keys).toEqual({ file: 'keys.json' });
});

const ofIssuer = (changed: object) => ({ issuer: { ...issuer, ...changed } });
const username = { claim: 'a' };
const extra = (...rows: object[]) => ({ claimMappings: { username, extra: rows } });

testRefusals(
  (changed: object) =>
    complaints(writtenOptions(changed)).map((complaint) => complaint.replace('issuers.0.', '')),
  [
    [
      ofIssuer({ url: 'http://idp.example.com' }),
      'issuer.url: uses clear text: anyone on the network path could let in any user: write https…',
    ],
    [
      ofIssuer({ url: 'https://a:b@idp.example.com' }),
      'issuer.url: must have no name or password…',
    ],
    [ofIssuer({ url: 'https://idp.example.com/?' }), 'issuer.url: must have no query…'],
    [
      ofIssuer({ url: 'https://idp.example.com/#' }),
      'issuer.url: must have no query and no fragment…',
    ],
    [
      ofIssuer({ url: 'https://a/b/.well-known/openid-configuration' }),
      'issuer.url: is the address of the discovery document, which names the issuer: write https://a/b, as…',
    ],
    [ofIssuer({ url: 'accounts.google.com' }), 'issuer.url: must be a URL with https…'],
    [ofIssuer({ audiences: [] }), 'issuer.audiences: must have 1 to 64 entries…'],
    [ofIssuer({ audiences: ['*'] }), 'issuer.audiences.0: is not a pattern: no token is for *…'],
    [ofIssuer({ audienceMatchPolicy: 'All' }), 'issuer.audienceMatchPolicy: must be MatchAny…'],
    [
      ofIssuer({ jwksFile: 'a', discoveryURL: 'https://x' }),
      'issuer.discoveryURL: has no effect next to jwksFile…',
    ],
    [
      ofIssuer({ url: 'https://idp.example.com ' }),
      'issuer.url: contains spaces or line breaks: write https://idp.example.com',
    ],
    [
      ofIssuer({ url: 'https://ada:pass word@idp.example.com' }),
      'issuer.url: must have no name or password in it: write https://idp.example.com',
    ],
    [{ algorithms: ['HS256'] }, 'algorithms.0: must be RS256 or…'],
    [{ algorithms: ['none'] }, 'algorithms.0: must be RS256 or…'],
    [{ algorithms: [] }, 'algorithms: must not be empty…'],
    [{ clockTolerance: '3m' }, 'clockTolerance: "3m" is too long…'],
    [{ jwks: { refresh: '1h', staleTtl: '1h' } }, 'jwks.staleTtl: must be longer than refresh…'],
    [
      { claimMappings: { username: { claim: 'a', expression: 'claims.a' } } },
      'claimMappings.username.expression: is not supported: CEL…',
    ],
    [
      { claimValidationRules: [{ claim: 'a', requiredValue: 7 }] },
      'claimValidationRules.0.requiredValue: must be a string, true or false: write it in quotes, with each digit that the claim has',
    ],
    [
      { claimValidationRules: [{ claim: 'a', expression: 'true' }] },
      'claimValidationRules.0.expression: is not supported: CEL…',
    ],
    [
      extra({ key: 'x.io/a', claim: 'a', valueExpression: 'a' }),
      'claimMappings.extra.0.valueExpression: is not supported: CEL…',
    ],
    [
      { claimMappings: { username: { claim: 'claims.email' } } },
      'claimMappings.username.claim: is an expression, and CEL is not evaluated here: write the name of one claim, such as email',
    ],
    [
      { claimMappings: { username: { claim: '$.sub' } } },
      'claimMappings.username.claim: is an expression, and CEL is not evaluated here: write the name of one claim, such as sub',
    ],
    [
      { claimMappings: { username: { claim: "claims.email.split('@')[0]" } } },
      'claimMappings.username.claim: is an expression…',
    ],
    [
      { claimMappings: { username, groups: { claim: 'realm_access.roles' } } },
      'claimMappings.groups.claim: is inside another claim…',
    ],
    [
      { userValidationRules: [{ expression: 'true' }] },
      'userValidationRules: is not supported: CEL…',
    ],
    [extra({ key: 'tenant', claim: 'a' }), 'claimMappings.extra.0.key: must be a domain…'],
    [extra({ key: 'x.io/Tenant', claim: 'a' }), 'claimMappings.extra.0.key: must be a domain…'],
    [
      extra({ key: 'x.io/a', claim: 'a' }, { key: 'x.io/a', claim: 'b' }),
      'claimMappings.extra.1.key: "x.io/a" is there twice…',
    ],
  ],
);

test('an issuer is there once, compared byte for byte', () => {
  const [one] = writtenOptions().issuers;
  expect(complaints({ issuers: [one, one] })).toEqual([
    'issuers.1.issuer.url: is the issuer of issuers[0] too: join them',
  ]);
  const slash = writtenOptions({ issuer: { ...issuer, url: `${issuer.url}/` } }).issuers;
  expect(complaints({ issuers: [one, ...slash] })).toEqual([]);
});

test('without any issuer the options are refused', () => {
  expect(complaints({ issuers: [] })).toEqual([
    'issuers: must not be empty: write [{ issuer: …, claimMappings: … }]',
  ]);
});
