/**
 * Describes each pair of authenticators whose tokens are taken for each other's. An empty prefix, or one that is not a text, counts as no
 * prefix.
 */
export function sharedTokenPrefixes(
  authenticators: readonly { readonly name: string; readonly tokenPrefix?: unknown }[],
): string[] {
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
          : `their tokens begin with ${first.prefix} and ${prefix}, of which one begins with the other`;
      return (
        `${first.name} and ${name}: ${prefixes}, so a token of one is also sent to the other, a request for nothing; ` +
        `and when ${first.name} refuses tokens that it does not know, ${name} is never asked. ` +
        'Give them prefixes of their own'
      );
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
): string[] {
  return authenticators.flatMap((first, index) => {
    const { tokenStore } = first;
    if (typeof tokenStore !== 'string' || tokenStore === '') return [];
    const others = authenticators
      .slice(index + 1)
      .filter((other) => other.tokenStore === tokenStore);
    return others.map(
      ({ name, place }) =>
        `${first.name} (${first.place}) and ${name} (${place}) have the records of their tokens in one place (${tokenStore}), so ` +
        'token list and revoke for one also show and end tokens of the other. Give one of them a place of its own, such as another ' +
        'keyPrefix. Tokens that it has under the old one are unknown then',
    );
  });
}
