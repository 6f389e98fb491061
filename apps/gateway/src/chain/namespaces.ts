/**
 * Whose a name is, by the prefixes of all authenticators. A name belongs to the longest configured prefix that it
 * starts with: so nested prefixes work, authenticators with equal prefixes share a namespace, and one without a prefix
 * may only give names that start with nobody's.
 *
 * @param own the prefix of the authenticator that gave the name
 * @param all the prefixes of every authenticator, in any order, `own` among them or not
 * @returns the foreign prefix that a name (which starts with `own`) intrudes on, if it does
 */
export function foreignPrefix(own: string, all: readonly string[]): (name: string) => string | undefined {
  const longer = [...new Set(all)].filter((prefix) => prefix.length > own.length);
  return (name) => longer.find((prefix) => name.startsWith(prefix));
}
