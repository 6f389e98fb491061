/** Whose tokens begin with what. */
export interface PrefixedTokens {
  readonly name: string;
  /** Empty is none, and so is what is no text: it comes from a plugin. */
  readonly tokenPrefix?: unknown;
}

/**
 * Says of each two authenticators whose tokens are taken for each other's, by what they begin with, and how to mend it.
 *
 * @param authenticators in the order they are asked
 */
export function sharedTokenPrefixes(authenticators: readonly PrefixedTokens[]): string[] {
  const marked = authenticators.flatMap(({ name, tokenPrefix }) =>
    typeof tokenPrefix === 'string' && tokenPrefix !== '' ? [{ name, prefix: tokenPrefix }] : [],
  );
  return marked.flatMap((first, index) =>
    marked
      .slice(index + 1)
      .filter(({ prefix }) => prefix.startsWith(first.prefix) || first.prefix.startsWith(prefix))
      .map((second) => wording(first, second)),
  );
}

interface Marked {
  readonly name: string;
  readonly prefix: string;
}

function wording(first: Marked, second: Marked): string {
  const prefixes =
    first.prefix === second.prefix
      ? `tokens of both begin with ${first.prefix}`
      : `their tokens begin with ${first.prefix} and ${second.prefix}, of which one begins with the other`;
  return (
    `${first.name} and ${second.name}: ${prefixes}, so a token of the one is also asked of the other, a trip for nothing; ` +
    `and when ${first.name} refuses tokens that it does not know, ${second.name} is never asked. ` +
    'Give them prefixes of their own'
  );
}
