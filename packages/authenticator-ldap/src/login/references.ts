import { firstRdn, isBelow, parseDn } from '../filter/distinguished-name.ts';

/** The partitions in which Active Directory has no users (MS-ADTS section 6.1.1.1), by the first part of their DN. */
const withoutUsers = /^(?:dc=(?:domaindnszones|forestdnszones)|cn=configuration)$/i;

/**
 * Whether a reference of a search leads to a place where users may be. Active Directory refers to the partitions of its own
 * domain at each search below that domain.
 *
 * @param url as the server sent it (RFC 4516)
 * @param base where the search began
 */
export function mayHaveUsers(url: string, base: string): boolean {
  const dn = readUrlDn(url);
  const [attributeValue, ...surplus] = (dn !== undefined && firstRdn(dn)) || [];
  if (dn === undefined || attributeValue === undefined || surplus.length > 0) return true;
  const isDirectlyBelow =
    isBelow(dn, base) && parseDn(dn)?.length === (parseDn(base)?.length ?? 0) + 1;
  return (
    !isDirectlyBelow || !withoutUsers.test(`${attributeValue.attribute}=${attributeValue.value}`)
  );
}

function readUrlDn(url: string): string | undefined {
  const [, dn] = /^ldaps?:\/\/[^/?]*\/([^?]*)/i.exec(url) ?? [];
  try {
    return dn && decodeURIComponent(dn);
  } catch {
    return undefined;
  }
}
