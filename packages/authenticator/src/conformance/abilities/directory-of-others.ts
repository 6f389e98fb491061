import { AuthenticatorError, type UserInfo } from '../../decision.ts';
import { describeOutcome } from '../authenticator/outages.ts';
import { wholeUser } from '../authenticator/shapes.ts';
import type { CaseDefinition, Kit } from '../kit.ts';
import { verifySome } from '../samples.ts';
import { type CallResult, verify } from '../verify.ts';
import { lookUpMethod } from './look-up.ts';
import {
  listRefused,
  mustRefuse,
  mustRefuseAsListed,
  mustStay,
  revalidateMethod,
  usersWithOtherUid,
} from './revalidate.ts';
import {
  knownUsers,
  makeUnknownNames,
  quoteName,
  type UserMethod,
  usersCase,
} from './user-directory.ts';

const needs = 'directory';

/** `lookUp` as the gateway calls it with the name that a token of another authenticator carries. */
const lookUpForToken: UserMethod<UserInfo | undefined> = {
  ...lookUpMethod,
  needs,
  call: async (authenticator, { username }, { signal, trace }) =>
    await authenticator.lookUp?.(username, { signal, isJoin: true, ...(trace && { trace }) }),
};

/** `revalidate` as the gateway calls it for a user whose password no one has checked. */
const revalidateWithoutLogin: typeof revalidateMethod = {
  ...revalidateMethod,
  needs,
  call: async (authenticator, { username, uid }, { signal, trace }) =>
    await authenticator.revalidate?.(
      { username, ...(uid !== undefined && { uid }) },
      { signal, ...(trace && { trace }) },
    ),
};

/** Whether a user is the one of a token. What `revalidate` reads next may be left out. */
function isUserOfToken(account: UserInfo, user: UserInfo): boolean {
  const { groups = user.groups, extra = user.extra } = account;
  const completeAccount = { ...account, ...(groups && { groups }), ...(extra && { extra }) };
  return wholeUser(completeAccount) === wholeUser(user);
}

function mustFind(kit: Kit, user: UserInfo, outcome: CallResult<UserInfo | undefined>): void {
  const account = 'value' in outcome ? outcome.value : undefined;
  verify(account !== undefined && isUserOfToken(account, user), () => ({
    expected: `lookUp() of ${quoteName(user)} with isJoin to find ${kit.show(user)}, with these groups or without any`,
    actual: describeOutcome(kit, outcome),
    rationale:
      'The bearer of the token gets the groups of the user who is found, and revalidate() is asked about this name and uid.',
  }));
}

/** Replaces letters by others that compatibility forms, or upper or lower case, turn into them. */
const similarLetters: Readonly<Record<string, string>> = { i: 'ı', k: '\u212a', s: 'ſ' };

/** Returns other Unicode forms of a name, which some backends and string functions treat as the same name. */
function otherForms(name: string): readonly string[] {
  const middle = Math.ceil(name.length / 2);
  const insert = (text: string) => name.slice(0, middle) + text + name.slice(middle);
  return [
    // An acute accent after each letter, and as one character with it.
    name.replace(/[a-z]/gi, '$&\u0301'),
    name.replace(/[a-z]/gi, '$&\u0301').normalize('NFC'),
    name.replace(/[!-~]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0)),
    name.replace(/[iks]/gi, (letter) => similarLetters[letter.toLowerCase()] ?? letter),
    ` ${name}`,
    `${name} `,
    insert(' '),
    name.replaceAll(' ', '  '),
    // A soft hyphen and a zero-width space are invisible.
    insert('\u00ad'),
    insert('\u200b'),
  ];
}

function namesInOtherForms(kit: Kit): readonly { readonly username: string }[] {
  const names = new Set(knownUsers(kit).map(({ username }) => username));
  return [...names]
    .flatMap(otherForms)
    .filter((form) => !names.has(form))
    .map((username) => ({ username }));
}

/** Returns users that the backend has and does not let in. */
function listExistingRefused(kit: Kit) {
  const existing = listRefused(kit).filter(({ reason }) => reason !== 'unknown-user');
  verifySome(existing, 'revalidation.refused with users that exist');
  return existing;
}

export const directoryOfOthersCases: readonly CaseDefinition[] = [
  usersCase(
    lookUpForToken,
    'lookUp() for the token of another authenticator finds the users of valid tokens',
    knownUsers,
    mustFind,
  ),
  usersCase(
    lookUpForToken,
    'lookUp() for the token of another authenticator finds no one by a name that no user has, or throws failed',
    (kit) => [...makeUnknownNames(kit), { username: '' }],
    (kit, askedUser, outcome) => {
      // It looks for no one by a name that no user can have, and who is not looked for is not missing.
      const isFailed = 'error' in outcome && AuthenticatorError.is(outcome.error);
      if (isFailed && outcome.error.code === 'failed') return;
      lookUpForToken.verifyAnswer(kit, askedUser, undefined, outcome);
    },
  ),
  usersCase(
    lookUpForToken,
    'lookUp() for the token of another authenticator finds no one by another Unicode form of a name',
    namesInOtherForms,
    (kit, askedUser, outcome) =>
      verify('error' in outcome || outcome.value === undefined, () => ({
        expected: `lookUp() of ${quoteName(askedUser)} with isJoin to find no one, or to throw`,
        actual: describeOutcome(kit, outcome),
        rationale:
          'The bearer of this other name would get the groups of the user. Compare the name that was found with the one that was asked for.',
      })),
  ),
  usersCase(
    lookUpForToken,
    'lookUp() for the token of another authenticator finds users that the backend does not let in, or throws',
    listExistingRefused,
    (kit, askedUser, outcome) =>
      verify('error' in outcome || outcome.value !== undefined, () => ({
        expected: `lookUp() of ${quoteName(askedUser)} with isJoin to find the user, or to throw`,
        actual: describeOutcome(kit, outcome),
        rationale:
          'With `missing: accept`, a user who is not found is let in, and revalidate() is never asked whether the account is disabled.',
      })),
  ),
  usersCase(
    revalidateWithoutLogin,
    'revalidate() without the time of a login authenticates the users of valid tokens, as their tokens give them',
    knownUsers,
    mustStay,
  ),
  usersCase(
    revalidateWithoutLogin,
    'revalidate() without the time of a login refuses users that the backend does not let in, with the reason',
    listRefused,
    mustRefuseAsListed(
      'A token of another authenticator stays valid after the account is disabled, so only this answer shuts the user out.',
    ),
  ),
  usersCase(
    revalidateWithoutLogin,
    'revalidate() without the time of a login refuses a user with another uid as unknown-user',
    usersWithOtherUid,
    mustRefuse(
      'unknown-user',
      'The name was given to another person after lookUp() found it, and the token must not get the groups of that person.',
    ),
  ),
];
