import type { LdapEntry } from '../connection/types.ts';
import { comparedAttributes, isExactly, isSameButForCase } from '../filter/comparison.ts';
import type { Filter } from '../filter/filter.ts';
import { loginError } from '../login-error.ts';
import type { UserOptions } from '../options/types.ts';
import { attributeValue, readTexts } from './entry-values.ts';

/** How the user of another authenticator is found. */
export interface Join {
  readonly option: 'user.lookUpFilter' | 'user.filter' | 'user.dnTemplate';
  /** The attributes that are compared with the name. */
  readonly attributes: readonly string[];
  /**
   * Makes the filter of the search. Left out: the DN is made from the name.
   *
   * @returns undefined when no entry can match
   */
  readonly fill?: (username: string) => Filter | undefined;
  /** @throws AuthenticatorError `failed` when the entry has another name, for which the directory only took it */
  check(entry: LdapEntry, username: string): void;
}

/** @throws AuthenticatorError `failed` when `user.filter` compares names in a way that can't be checked */
export function createJoin({ find, attributes }: UserOptions): Join {
  if (find.by === 'dn') {
    // `revalidate` makes the DN from this attribute again.
    const name = attributes.username;
    return join('user.dnTemplate', [name], (username, values) =>
      values(name).some((value) => isSameButForCase(value, username)),
    );
  }
  const { filter, lookUpFilter } = find;
  const [option, template] =
    lookUpFilter === undefined
      ? (['user.filter', filter] as const)
      : (['user.lookUpFilter', lookUpFilter] as const);
  const { comparison } = template;
  if (comparison === undefined) throw loginError(noComparison);
  return {
    ...join(option, comparedAttributes(comparison), (username, values) =>
      isExactly(comparison, username, values),
    ),
    fill: (username) =>
      template.fill(
        () => [username],
        (attribute, value) => valueInAnyCase(attribute, value.toString()),
      ),
  };
}

/** Finds the value of a text in whichever case: a GUID is written in lowercase, and a SID in uppercase. */
function valueInAnyCase(attribute: string, text: string): Buffer | undefined {
  return (
    attributeValue(attribute, text) ??
    attributeValue(attribute, text.toLowerCase()) ??
    attributeValue(attribute, text.toUpperCase())
  );
}

export const noComparison =
  "user.filter can't find users of other authenticators, because it compares {username} in another way than by equality: " +
  'set user.lookUpFilter, such as (uid={username})';

type Values = (attribute: string) => readonly string[];

function join(
  option: Join['option'],
  attributes: readonly string[],
  isExact: (username: string, values: Values) => boolean,
): Join {
  return {
    option,
    attributes,
    check(entry, username) {
      const values: Values = (attribute) => readTexts(entry, attribute);
      if (isExact(username, values)) return;
      const names = attributes.join(' or ');
      const subject = `the lookup of "${shown(username)}" found ${entry.dn}`;
      throw loginError(
        attributes.every((attribute) => values(attribute).length === 0)
          ? `${subject}, which shows no ${names}: let the service account read it, and name it in ${option} as the directory does`
          : `${subject}, whose ${names} has another value, because the directory compares loosely: ` +
              'write both names in the same way (case is ignored), or look users up by another attribute',
      );
    },
  };
}

/** The limit in characters for a name in a message. */
const maxShown = 64;

/** Writes characters that no one sees as numbers. */
export function shown(name: string): string {
  const characters = [...name];
  const visible = characters
    .slice(0, maxShown)
    .map((character) =>
      /[\p{C}\p{Z}\p{M}\p{Default_Ignorable_Code_Point}"\\]/u.test(character) && character !== ' '
        ? `\\u{${character.codePointAt(0)?.toString(16)}}`
        : character,
    );
  return `${visible.join('')}${characters.length > maxShown ? '...' : ''}`;
}
