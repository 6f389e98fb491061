import type { ProblemWords } from '../../config/problems.ts';

/**
 * Describes each pair of authenticators whose tokens are taken for each other's. An empty prefix, or one that is not a text, counts as no
 * prefix.
 */
export function sharedTokenPrefixes(
  authenticators: readonly { readonly name: string; readonly tokenPrefix?: unknown }[],
): ProblemWords[] {
  const marked = authenticators.flatMap(({ name, tokenPrefix: prefix }) =>
    typeof prefix === 'string' && prefix !== '' ? [{ name, prefix }] : [],
  );
  return marked.flatMap((first, index) => {
    const others = marked.slice(index + 1).filter(({ prefix }) => {
      return prefix.startsWith(first.prefix) || first.prefix.startsWith(prefix);
    });
    return others.map(({ name, prefix }) => {
      const prefixes =
        first.prefix === prefix
          ? `tokens of both begin with ${prefix}`
          : `their tokens begin with ${first.prefix} and ${prefix}, and one of these begins with the other`;
      return {
        message:
          `${first.name} and ${name}: ${prefixes}, so each token of one is also sent to the other, for nothing; ` +
          `and if ${first.name} refuses tokens that it does not know, ${name} is never asked`,
        fix: 'give each a tokenPrefix of its own',
      };
    });
  });
}

/** Describes each pair of authenticators whose tokens have their records in one place. A store that is not a text counts as no store. */
export function sharedTokenStores(
  authenticators: readonly {
    readonly name: string;
    readonly place: string;
    readonly tokenStore?: unknown;
  }[],
): ProblemWords[] {
  return authenticators.flatMap((first, index) => {
    const { tokenStore } = first;
    if (typeof tokenStore !== 'string' || tokenStore === '') return [];
    const others = authenticators
      .slice(index + 1)
      .filter((other) => other.tokenStore === tokenStore);
    return others.map(({ name, place }) => ({
      message:
        `${first.name} (${first.place}) and ${name} (${place}) store the records of their tokens in one place (${tokenStore}), so ` +
        'token list and revoke for one also show and revoke tokens of the other',
      fix: 'give one of them a place of its own, such as another keyPrefix. Tokens under the old keyPrefix become unknown',
    }));
  });
}
