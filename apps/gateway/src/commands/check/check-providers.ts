import { isIP } from 'node:net';
import { durationText, isLoopback } from '@sallyport/plugin-kit';
import type { GatewayConfig, LoginConfig, ProviderConfig } from '../../config/types.ts';
import { readDocument } from '../../login/providers/discovery.ts';
import { requireSupport } from '../../login/providers/require-support.ts';
import {
  findIssuer,
  providerLifetime,
  providerProblems,
  redirectUri,
} from '../../runtime/assemble-provider.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { type Finding, type Findings, ok, runCheck, toPlacedError, warning } from '../finding.ts';

type CheckedAuthenticator = Pick<CreatedAuthenticator, 'config' | 'authenticator'>;

/**
 * Checks `login.providers`: whether their authenticators can check ID tokens, as `serve` does; and whether each provider answers.
 *
 * @param created including closed ones. Each that could not be made is an error already
 */
export async function checkProviders(
  config: Pick<GatewayConfig, 'login'>,
  created: readonly CheckedAuthenticator[],
): Promise<Findings> {
  const { login } = config;
  if (login === undefined) return [];
  const problems = providerProblems(config, created).map((problem) => toPlacedError(problem));
  const answers = Object.entries(login.providers).map(([name, provider]) => {
    const link = created.find(({ config: { name } }) => name === provider.authenticator);
    return link === undefined ? [] : checkProvider(name, provider, link, login);
  });
  return [...problems, ...addressWarning(login), ...(await Promise.all(answers)).flat()];
}

async function checkProvider(
  name: string,
  provider: ProviderConfig,
  { config, authenticator }: CheckedAuthenticator,
  login: LoginConfig,
): Promise<Findings> {
  const issuer = findIssuer(provider, authenticator);
  if (issuer === undefined) return [];
  const check = `login provider ${name}`;
  const reached = await runCheck(check, async () => {
    requireSupport(await readDocument(issuer), provider.clientSecret);
    return ok(
      `${issuer.issuer} answers. Register ${redirectUri(login, name)} there as a redirect URI`,
    );
  });
  if (config.directory !== undefined) return reached;
  const lifetime = durationText(providerLifetime(provider, login, config));
  const unchecked: Finding = {
    check,
    result: 'warning',
    name: 'no-directory',
    detail: `authenticator ${config.name} has no directory, so users who log in at ${name} are not looked up again: a disabled account keeps access for up to ${lifetime}`,
    fix: `add directory to authenticator ${config.name}, or lower login.providers.${name}.ttl; to end access now, use block`,
  };
  return [...reached, unchecked];
}

/** Some providers, such as Google, let no one register an address. A loopback address is for trying it out. */
function addressWarning({ publicUrl, providers }: LoginConfig): Findings {
  const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  if (Object.keys(providers).length === 0 || isIP(host) === 0 || isLoopback(host)) return [];
  return warning(
    'login-address',
    `login.publicUrl: some providers accept no redirect URI with an address such as ${host}`,
    'give the login server a DNS name',
  );
}
