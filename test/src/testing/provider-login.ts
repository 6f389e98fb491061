import { randomToken, secret } from '@sallyport/test-servers/tokens';
import type { LoginAnswer } from './ask-login.ts';
import type { BegunLogin, FormBrowser } from './browser-login.ts';
import { type LoginSetup, publicHost } from './login-gateway.ts';

/** The client ID of the login server at each provider. */
export const clientId = 'sallyport';

/** The redirect URI to register at a provider. */
export const redirectUriOf = (name: string): string =>
  `https://${publicHost}/login/callback/${name}`;

/** A provider of `login.providers`, and what the config says of it. */
export interface ConfiguredProvider {
  readonly server: { readonly url: string; readonly caFile: string };
  readonly clientSecret?: string;
  /** Keys of its authenticator, whose name is the name of the provider. */
  readonly entry?: object;
  /** Keys of its issuer in the options of its authenticator. */
  readonly issuer?: object;
  /** Keys of the provider itself. */
  readonly more?: object;
}

/** Makes the keys of a login server with providers, each with an authenticator of the same name. */
export function withProviders(
  providers: Readonly<Record<string, ConfiguredProvider>>,
): Required<Pick<LoginSetup, 'login' | 'files'>> & { readonly others: readonly object[] } {
  const all = Object.entries(providers);
  const others = all.map(([name, { server, entry, issuer }]) => ({
    name,
    use: 'jwt',
    username: { prefix: `${name}:` },
    groups: { prefix: `${name}:` },
    options: {
      issuers: [
        {
          issuer: {
            url: server.url,
            audiences: [clientId],
            certificateAuthorityFile: server.caFile,
          },
          claimMappings: { username: { claim: 'sub' }, groups: { claim: 'groups' } },
          ...issuer,
        },
      ],
    },
    ...entry,
  }));
  const configured = all.map(([name, { clientSecret, more }]) => {
    const file = { file: `secrets/${name}` };
    const base = { authenticator: name, clientId, ...(clientSecret && { clientSecret: file }) };
    return [name, { ...base, ...more }];
  });
  const files = all.map(([name, { clientSecret = randomToken() }]) => [
    `secrets/${name}`,
    secret(clientSecret),
  ]);
  return {
    others,
    login: {
      browser: true,
      limits: { perAddress: '1000/s' },
      providers: Object.fromEntries(configured),
    },
    files: Object.fromEntries(files),
  };
}

/** Follows the link to a provider. @returns where the browser is sent @throws Error unless it is sent there */
export async function goToProvider(
  browser: FormBrowser,
  { path }: Pick<BegunLogin, 'path'>,
  name: string,
): Promise<URL> {
  await browser.get(path);
  const { status, headers } = await browser.get(`${path}/provider/${name}`);
  if (status !== 303) throw new Error(`the link to the provider was answered ${status}`);
  const url = new URL(headers.location ?? '');
  for (const key of ['state', 'nonce', 'code_challenge']) {
    // The state begins with the id of the login, which is no secret.
    secret(url.searchParams.get(key)?.replace(/^[a-z2-7]{16}\./, '') ?? '');
  }
  return url;
}

/** Brings the answer of a provider to the login server, as a browser does that is sent there. */
export function bringAnswer(browser: FormBrowser, answer: URL): Promise<LoginAnswer> {
  secret(answer.searchParams.get('code') ?? randomToken());
  return browser.get(answer.pathname + answer.search, { 'sec-fetch-site': 'cross-site' });
}

/** Logs in at a provider. @param visit goes through its pages @returns the answer to what the provider says */
export async function logInAtProvider(
  browser: FormBrowser,
  login: Pick<BegunLogin, 'path'>,
  name: string,
  visit: (url: string) => Promise<URL>,
): Promise<LoginAnswer> {
  const url = await goToProvider(browser, login, name);
  return bringAnswer(browser, await visit(url.href));
}
