import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import { attributeText } from './attribute-text.ts';

/**
 * The DN by which the directory itself knows the entry, never re-spelled.
 *
 * @throws AuthenticatorError `failed` when it is empty (a bind with it would be anonymous) or not UTF-8
 */
export function entryDn({ dn }: Entry, what: string): string {
  if (dn !== undefined && dn !== '') return dn;
  const fault = dn === '' ? 'an empty DN' : 'a DN that is not UTF-8';
  throw new AuthenticatorError('failed', `the directory gave ${fault} for ${what}: look at the entry there`);
}

/**
 * The values of an attribute, none if the entry does not show it.
 *
 * @param attribute in any case, options such as `;binary` included
 * @throws AuthenticatorError `failed` when the server gave a part of them only, as Active Directory does beyond 1,500
 *   (`member;range=0-1499`, MS-ADTS section 3.1.1.3.1.3.3): what is left out would be missing without a word
 */
export function valuesOf(entry: Entry, attribute: string): readonly Buffer[] {
  const key = attribute.toLowerCase();
  const values = entry.attributes.get(key);
  if (values !== undefined && values.length > 0) return values;
  const isCut = [...entry.attributes.keys()].some((other) => other.startsWith(`${key};range=`));
  if (!isCut) return [];
  const mend = 'the entry has more of them than the server shows at once; for groups, search for them by groups.filter';
  throw new AuthenticatorError(
    'failed',
    `the server gave a part of the attribute ${attribute} of ${entry.dn}: ${mend}`,
  );
}

/** The same as text. @throws AuthenticatorError `failed`, also when a value is no text */
export function textsOf(entry: Entry, attribute: string): readonly string[] {
  return valuesOf(entry, attribute).map((value) => textOf(entry, attribute, value));
}

/**
 * The only value. Several have no order, so none of them can be chosen.
 *
 * @returns undefined when there is none, or it is empty
 * @throws AuthenticatorError `failed` when there are several
 */
export function onlyText(entry: Entry, attribute: string): string | undefined {
  const [text, ...more] = textsOf(entry, attribute);
  if (more.length === 0) return text || undefined;
  const fault = `${entry.dn} has ${more.length + 1} values of the attribute ${attribute}, which must have one`;
  throw new AuthenticatorError('failed', `${fault}: name an attribute with a single value, or mend the entry`);
}

/** @throws AuthenticatorError `failed`, which quotes nothing of the value */
function textOf({ dn }: Entry, attribute: string, value: Buffer): string {
  try {
    return attributeText(attribute, value);
  } catch (error) {
    const fault = error instanceof Error ? error.message : 'a value is no text';
    throw new AuthenticatorError('failed', `${fault}: look at the entry ${dn}`, { cause: error });
  }
}
