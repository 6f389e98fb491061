import type { Authenticator, IdTokenIssuer } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import type {
  AuthenticatorConfig,
  DirectoryConfig,
  LoginConfig,
  ProviderConfig,
} from '../../config/types.ts';
import {
  discoveryPath,
  type ForgedProvider,
  startForgedProvider,
} from '../../login/providers/testing/forged-provider.ts';
import { runCheck, wholeDetail } from '../finding.ts';
import { checkProviders } from './check-providers.ts';

const hour = 3_600_000;

interface SetUp {
  readonly provider?: Partial<ProviderConfig>;
  readonly publicUrl?: string;
  readonly directory?: boolean;
  readonly audiences?: readonly string[];
}

/** Checks the provider `okta`, whose ID tokens `oidc` checks. */
async function check({ issuer, ca }: ForgedProvider, given: SetUp = {}) {
  const { directory = true, audiences = ['sallyport'], provider } = given;
  const written = {
    authenticator: 'oidc',
    clientId: 'sallyport',
    clientSecret: undefined,
    scopes: ['openid'],
    ...provider,
  };
  const login = {
    publicUrl: given.publicUrl ?? 'https://login.example.com',
    ttl: 24 * hour,
    providers: { okta: written },
  } as unknown as LoginConfig;
  const accepted: IdTokenIssuer = {
    issuer,
    audiences,
    discoveryUrl: issuer + discoveryPath,
    ca: () => ca,
  };
  const config = {
    name: 'oidc',
    ...(directory && { directory: { authenticator: 'corp' } as DirectoryConfig }),
    providerProblem: (name: string, key: string, message: string, fix: string) => ({
      file: 'gateway.yaml',
      path: `login.providers.${name}.${key}`,
      message,
      fix,
    }),
  } as unknown as AuthenticatorConfig;
  const authenticator = { idTokenIssuers: () => [accepted] } as unknown as Authenticator;
  const findings = await runCheck('login', () =>
    checkProviders({ login }, [{ config, authenticator }]),
  );
  return findings.map((finding) => `${finding.result} ${finding.check}: ${wholeDetail(finding)}`);
}

test('a provider that answers is told with the redirect URI to register', async () => {
  await using provider = await startForgedProvider();
  expect(await check(provider)).toEqual([
    `ok login provider okta: ${provider.issuer} answers. Register https://login.example.com/login/callback/okta there as a redirect URI`,
  ]);
});

test.each<{
  name: string;
  document: Record<string, unknown>;
  provider: Partial<ProviderConfig>;
  message: string;
}>([
  {
    name: 'the code flow',
    document: { response_types_supported: ['id_token'] },
    provider: {},
    message:
      'does not support the authorization code flow: response_types_supported has no code: allow the authorization code flow at the provider',
  },
  {
    name: 'S256',
    document: { code_challenge_methods_supported: ['plain'] },
    provider: {},
    message:
      'does not support PKCE with S256: code_challenge_methods_supported has no S256: allow PKCE with S256 at the provider',
  },
  {
    name: 'a way to send the secret',
    document: { token_endpoint_auth_methods_supported: ['private_key_jwt'] },
    provider: { clientSecret: 's3cret' },
    message:
      '/token: the provider takes a client secret neither by client_secret_basic nor by client_secret_post: allow one of them at the provider',
  },
])('a provider without $name is an error', async ({ document, provider, message }) => {
  await using server = await startForgedProvider();
  Object.assign(server.document, document);
  const [finding, ...others] = await check(server, { provider });
  expect(finding).toMatch(/^error login provider okta: /);
  expect(finding).toContain(message);
  expect(others).toEqual([]);
});

test('a provider that is down is an error, which says why', async () => {
  await using provider = await startForgedProvider();
  provider.answers[discoveryPath] = (_request, response) => response.writeHead(502).end();
  expect(await check(provider)).toEqual([
    `error login provider okta: ${provider.issuer}${discoveryPath}: the answer has the status 502`,
  ]);
});

test.each([
  { provider: {}, lifetime: '8h' },
  { provider: { ttl: 2 * hour }, lifetime: '2h' },
  { provider: { ttl: 48 * hour }, lifetime: '24h' },
])(
  'without a directory, it warns that a disabled account keeps access for $lifetime',
  async ({ provider, lifetime }) => {
    await using server = await startForgedProvider();
    const [reached, warning] = await check(server, { directory: false, provider });
    expect(reached).toMatch(/^ok /);
    expect(warning).toBe(
      `warning login provider okta: authenticator oidc has no directory, so users who log in at okta are not looked up again: a disabled account keeps access for up to ${lifetime}: ` +
        'add directory to authenticator oidc, or lower login.providers.okta.ttl; to end access now, use block',
    );
  },
);

test('an authenticator that would refuse its ID tokens is an error at its place', async () => {
  await using server = await startForgedProvider();
  const [error] = await check(server, { audiences: ['kubernetes'] });
  expect(error).toBe(
    `error login: gateway.yaml: login.providers.okta.clientId: accepts tokens of ${server.issuer} for kubernetes only, so it would refuse the ID tokens of this client: add clientId to the audiences of that issuer`,
  );
});

test.each([
  {
    publicUrl: 'https://192.0.2.7:8444',
    warnings: [
      'warning login: login.publicUrl: some providers accept no redirect URI with an address such as 192.0.2.7: give the login server a DNS name',
    ],
  },
  {
    publicUrl: 'https://[2001:db8::1]',
    warnings: [
      'warning login: login.publicUrl: some providers accept no redirect URI with an address such as 2001:db8::1: give the login server a DNS name',
    ],
  },
  { publicUrl: 'http://127.0.0.1:8444', warnings: [] },
])(
  'publicUrl $publicUrl gets the warnings that its address needs',
  async ({ publicUrl, warnings }) => {
    await using server = await startForgedProvider();
    const findings = await check(server, { publicUrl });
    expect(findings.filter((one) => one.startsWith('warning'))).toEqual(warnings);
  },
);
