import type { DiscoveryDocument } from './discovery.ts';
import { makeClientAuthentication } from './openid-client.ts';
import { ProviderError } from './provider-error.ts';

/**
 * Checks whether a provider supports our logins, by what its discovery document lists.
 *
 * @param secret undefined: PKCE alone
 * @throws ProviderError
 */
export function requireSupport(document: DiscoveryDocument, secret: string | undefined): void {
  const flow = 'the authorization code flow';
  requireListed(document, 'response_types_supported', 'code', flow);
  requireListed(document, 'code_challenge_methods_supported', 'S256', 'PKCE with S256');
  makeClientAuthentication(document, secret);
}

function requireListed(
  document: DiscoveryDocument,
  key: 'response_types_supported' | 'code_challenge_methods_supported',
  value: string,
  feature: string,
): void {
  if (document[key].includes(value)) return;
  throw new ProviderError(
    'failed',
    `${document.issuer} does not support ${feature}: ${key} has no ${value}`,
    `allow ${feature} at the provider`,
  );
}
