import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import { firstRdn } from '../filter/distinguished-name.ts';
import type { AttributeValue } from '../filter/dn-reader.ts';
import type { NameTemplate } from '../filter/name-template.ts';
import { entryDn, onlyText } from './entry-values.ts';
import type { Group } from './group-walk.ts';

/** What the search must ask for to name groups, and never their members. */
export function nameAttributes({ attributes }: NameTemplate): readonly string[] {
  const wanted = attributes.filter((attribute) => attribute !== 'dn');
  // RFC 4511 section 4.5.1.8: no attributes.
  return wanted.length === 0 ? ['1.1'] : wanted;
}

/**
 * A group by its entry. Every group that the search finds must have a name, and one only: a group that is left out, or
 * that goes by one of two names, would give the user other rights than the directory says.
 *
 * @throws AuthenticatorError `failed` naming the group and the mend
 */
export function groupOfEntry(entry: Entry, template: NameTemplate): Group {
  const dn = entryDn(entry, 'a group');
  const name = template.fill((attribute) => (attribute === 'dn' ? dn : onlyText(entry, attribute)));
  if (name !== undefined) return { dn, name };
  const mend = 'correct groups.name, let the service account read it, or leave such groups out by groups.filter';
  const fault = `${template.attributes.join(' or ')} of the group ${dn} is missing or empty`;
  throw new AuthenticatorError('failed', `${fault}: ${mend}`);
}

/**
 * A group by its DN alone, as `memberOf` gives it: its name is made of the first level.
 *
 * @returns undefined when the first level has not the attributes of the name: such an entry is no group of ours
 * @throws AuthenticatorError `failed` when it has two values for one attribute
 */
export function groupOfDn(dn: string, template: NameTemplate): Group | undefined {
  const parts = firstRdn(dn) ?? [];
  const name = template.fill((attribute) => (attribute === 'dn' ? dn : partOf(dn, parts, attribute)));
  return name === undefined ? undefined : { dn, name };
}

function partOf(dn: string, parts: readonly AttributeValue[], attribute: string): string | undefined {
  const values = parts.filter((part) => part.attribute.toLowerCase() === attribute.toLowerCase());
  const entry = { dn, attributes: new Map([[attribute.toLowerCase(), values.map(({ value }) => value)]]) };
  return onlyText(entry, attribute);
}
