import type { AuthenticatorConfig } from '../../config/types.ts';
import { type Findings, warning } from '../finding.ts';

interface CheckedAuthenticator<Ability extends string> {
  readonly config: Pick<AuthenticatorConfig, 'name' | 'problem'>;
  /** Undefined if it could not be made, which is an error already. */
  readonly authenticator?: { readonly [Key in Ability]?: unknown } | undefined;
}

/** Warns of each pair of authenticators whose tokens are taken for each other's. An empty prefix, or one that is not a text, is no prefix. */
export function checkTokenPrefixes(
  chain: readonly CheckedAuthenticator<'tokenPrefix'>[],
): Findings {
  const marked = chain.flatMap(({ config: { name }, authenticator }) => {
    const prefix = authenticator?.tokenPrefix;
    return typeof prefix === 'string' && prefix !== '' ? [{ name, prefix }] : [];
  });
  return marked.flatMap((earlier, index) => {
    const later = marked.slice(index + 1).filter(({ prefix }) => {
      return prefix.startsWith(earlier.prefix) || earlier.prefix.startsWith(prefix);
    });
    return later.flatMap(({ name, prefix }) => {
      const prefixes =
        earlier.prefix === prefix
          ? `tokens of both begin with ${prefix}`
          : `their tokens begin with ${earlier.prefix} and ${prefix}, and one of these begins with the other`;
      return warning(
        'shared-tokens',
        `${earlier.name} and ${name}: ${prefixes}, so each token of one is also sent to the other, for nothing; ` +
          `and if ${earlier.name} refuses tokens that it does not know, ${name} is never asked`,
        'give each a tokenPrefix of its own',
      );
    });
  });
}

/** Warns of each pair of authenticators whose tokens have their records in one place. A store that is not a text is no store. */
export function checkTokenStores(chain: readonly CheckedAuthenticator<'tokenStore'>[]): Findings {
  return chain.flatMap((earlier, index) => {
    const tokenStore = earlier.authenticator?.tokenStore;
    if (typeof tokenStore !== 'string' || tokenStore === '') return [];
    return chain
      .slice(index + 1)
      .filter(({ authenticator }) => authenticator?.tokenStore === tokenStore)
      .flatMap((later) =>
        warning(
          'shared-store',
          `${describe(earlier)} and ${describe(later)} store the records of their tokens in one place (${tokenStore}), so ` +
            'token list and revoke for one also show and revoke tokens of the other',
          'give one of them a place of its own, such as another keyPrefix. Tokens under the old keyPrefix become unknown',
        ),
      );
  });
}

function describe({ config }: CheckedAuthenticator<'tokenStore'>): string {
  const { file, line } = config.problem(undefined);
  return `${config.name} (${file}:${line})`;
}
