import type { Authenticator, IdTokenIssuer } from '@sallyport/authenticator';
import type { ConfigProblem } from '../config/problems.ts';
import type {
  AuthenticatorConfig,
  GatewayConfig,
  LoginConfig,
  ProviderConfig,
} from '../config/types.ts';
import { createUserNaming } from '../engine/chain/identity-policy.ts';
import { createDirectoryJoin } from '../engine/directory/with-directory.ts';
import { answerForProviderUser, type SessionUsers } from '../engine/sessions/session-user.ts';
import type { LoginProvider } from '../login/login-service.ts';
import type { OpenIdClient, OpenIdClientOptions } from '../login/providers/openid-client.ts';
import type { CreatedAuthenticator } from './authenticators.ts';
import { assembleLoginLayers, type LoginLayersOptions } from './login-layers.ts';

interface AssembleProviderOptions extends LoginLayersOptions, Pick<OpenIdClientOptions, 'onCall'> {
  readonly login: LoginConfig;
}

/** Milliseconds that a session lasts at most if no one finds out about a disabled account. */
const uncheckedLifetime = 8 * 3_600_000;

/** Returns the milliseconds that a session of a provider lasts at most. */
export function providerLifetime(
  { ttl }: Pick<ProviderConfig, 'ttl'>,
  login: Pick<LoginConfig, 'ttl'>,
  { directory }: Pick<AuthenticatorConfig, 'directory'>,
): number {
  return Math.min(login.ttl, ttl ?? (directory ? login.ttl : uncheckedLifetime));
}

/**
 * Stacks the layers for people who log in at a provider: those of {@link assembleLoginLayers} for their ID token, and
 * directory(policy) for their sessions, in which the ID token is not there any more.
 */
export function assembleProvider(
  name: string,
  provider: ProviderConfig,
  options: AssembleProviderOptions,
): LoginProvider {
  const { config, authenticator, directory, login, prefixes, clocks, policyLog } = options;
  const issuer = findIssuer(provider, authenticator);
  // requireAbilities refuses such a config.
  if (issuer === undefined) throw new Error(`login.providers.${name} has no issuer`);
  const keyPrefix = options.provenance?.keyPrefix;
  const named = createUserNaming(config, prefixes, policyLog, keyPrefix);
  const joinDirectory = directory && createDirectoryJoin(directory, config.username.prefix);
  const ttl = providerLifetime(provider, login, config);
  const users: SessionUsers = (session, context) => {
    // The lifetime may have been shortened since the login, or the directory removed.
    if (session.since + ttl <= clocks.wall())
      return { kind: 'rejected', reason: 'expired', subject: session.username };
    const namedUser = named(answerForProviderUser(session), context);
    return joinDirectory ? joinDirectory(namedUser, context) : namedUser;
  };
  const client = createClient({
    ...issuer,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    scopes: provider.scopes,
    prompt: provider.prompt,
    redirectUri: redirectUri(login, name),
    now: clocks.monotonic,
    onCall: options.onCall,
  });
  return {
    name,
    title: provider.title ?? name,
    authenticator: config.name,
    issuer: issuer.issuer,
    clientId: provider.clientId,
    ttl,
    client,
    users,
    logIn: assembleLoginLayers(options),
  };
}

/** Makes the client of a provider at the first login: its library takes 6 MB, and most gateways have no provider. */
function createClient(options: OpenIdClientOptions): OpenIdClient {
  let client: Promise<OpenIdClient> | undefined;
  const openClient = () => {
    client ??= import('../login/providers/openid-client.ts').then(({ createOpenIdClient }) =>
      createOpenIdClient(options),
    );
    return client;
  };
  return {
    begin: async (...args) => (await openClient()).begin(...args),
    finish: async (...args) => (await openClient()).finish(...args),
  };
}

/** Returns the URL to register at a provider, to which it sends people back. */
export function redirectUri({ publicUrl }: Pick<LoginConfig, 'publicUrl'>, name: string): string {
  return `${publicUrl}/login/callback/${name}`;
}

/** Finds the issuer of a provider among the issuers of its authenticator. Undefined: it has none that fits. */
export function findIssuer(
  { issuer }: Pick<ProviderConfig, 'issuer'>,
  authenticator: Authenticator,
): IdTokenIssuer | undefined {
  const issuers = [...(authenticator.idTokenIssuers?.() ?? [])];
  if (issuer === undefined) return issuers.length === 1 ? issuers[0] : undefined;
  return issuers.find((candidate) => candidate.issuer === issuer);
}

/** Finds the providers whose authenticator can't check their ID tokens. */
export function providerProblems(
  { login }: Pick<GatewayConfig, 'login'>,
  created: readonly Pick<CreatedAuthenticator, 'config' | 'authenticator'>[],
): readonly ConfigProblem[] {
  return Object.entries(login?.providers ?? {}).flatMap(([name, provider]) => {
    const authenticator = created.find(({ config }) => config.name === provider.authenticator);
    return (authenticator && findProviderProblem(name, provider, authenticator)) ?? [];
  });
}

function findProviderProblem(
  name: string,
  provider: ProviderConfig,
  { config, authenticator }: Pick<CreatedAuthenticator, 'config' | 'authenticator'>,
): ConfigProblem | undefined {
  if (typeof authenticator.idTokenIssuers !== 'function') {
    return config.providerProblem(
      name,
      'authenticator',
      "can't check ID tokens (its plugin has no idTokenIssuers)",
      'write the name of an authenticator that checks ID tokens, such as one with use: jwt',
    );
  }
  const urls = [...authenticator.idTokenIssuers()].map(({ issuer }) => issuer);
  const issuer = findIssuer(provider, authenticator);
  if (issuer === undefined) {
    const key = provider.issuer === undefined ? 'authenticator' : 'issuer';
    const issuersText =
      urls.length === 0
        ? 'has no issuer whose keys are fetched'
        : `has the issuers ${urls.join(', ')}`;
    const fix =
      urls.length === 0
        ? 'replace jwksFile in its options'
        : 'write one of them into issuer of this provider';
    return config.providerProblem(name, key, issuersText, fix);
  }
  if (issuer.audiences.includes(provider.clientId)) return undefined;
  return config.providerProblem(
    name,
    'clientId',
    `accepts tokens of ${issuer.issuer} for ${issuer.audiences.join(', ')} only, so it would refuse the ID tokens of this client`,
    'add clientId to the audiences of that issuer',
  );
}
