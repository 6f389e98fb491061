import type { AuthenticatorPlugin, TokenIssuer } from '@sallyport/authenticator';
import type { AuthenticatorConfig } from '../config/types.ts';
import { type CreateDependencies, makeWithPlugin } from './make-with-plugin.ts';

type Issuing = Required<Pick<AuthenticatorPlugin<unknown>, 'createTokenIssuer'>>;

/** An authenticator whose plugin issues tokens. */
export type IssuingAuthenticator = AuthenticatorConfig & { readonly plugin: Issuing };

export function issuesTokens(authenticator: AuthenticatorConfig): authenticator is IssuingAuthenticator {
  return authenticator.plugin.createTokenIssuer !== undefined;
}

/**
 * Makes what an authenticator's tokens are issued with.
 *
 * @throws Error with what its plugin said, or that it took too long
 */
export async function createTokenIssuer(
  config: IssuingAuthenticator,
  baseDirectory: string,
  dependencies: CreateDependencies,
): Promise<TokenIssuer> {
  const { made } = await makeWithPlugin('createTokenIssuer', config, baseDirectory, dependencies, (context) =>
    config.plugin.createTokenIssuer(config.options, context),
  );
  const functions = [made?.create, made?.list, made?.revoke, made?.close];
  if (functions.some((one) => typeof one !== 'function')) {
    throw new Error('createTokenIssuer() gave no TokenIssuer: it needs the functions create, list, revoke and close');
  }
  return made;
}
