import { accepted, testWays } from './testing/login-moments.ts';
import {
  atProvider,
  atTerminal,
  atTerminalWithCode,
  inBrowser,
  inBrowserWithCode,
  inBrowserWithPasskey,
} from './testing/login-ways.ts';

const { session, withoutGroup, laterWithoutGroup, refused, laterRefused } = accepted;

/** These end a login at each moment. */
const ends = {
  'block of the user': 'blocked',
  'block of a group': 'blocked',
  'revoke of the user': 'revoked',
  'revoke of all': 'revoked',
};

// A session follows its user: a review asks the directory whether the account is disabled, and for its groups. At a terminal, the
// first review does. In a browser, the redemption has asked already, and reviews use its answer for `login.revalidate`. A lockout ends
// guesses, and no login whose password was right: else anyone could end the logins of others.
testWays([
  {
    name: 'a login at a terminal with a password',
    go: atTerminal,
    moments: ['while the password is checked', 'while it is stored'],
    outcomes: {
      ...ends,
      'no event': session,
      'disabled account': refused,
      'taken group': withoutGroup,
      'reset of the factors': 'revoked',
      // The request goes on with the config from before. A session that it makes is refused.
      'removed provider or authenticator': refused,
      'lockout of passwords': session,
    },
  },
  {
    name: 'a login at a terminal with a code',
    go: atTerminalWithCode,
    moments: ['while the password is checked', 'while the code is checked', 'while it is stored'],
    outcomes: {
      ...ends,
      'no event': session,
      'disabled account': refused,
      'taken group': withoutGroup,
      'reset of the factors': {
        'while the password is checked': 'no-second-factor',
        'while the code is checked': 'revoked',
      },
      'removed provider or authenticator': refused,
      'lockout of passwords': session,
      'lockout of codes': {
        'while the password is checked': 'second-factor-throttled',
        'while the code is checked': session,
      },
    },
  },
  {
    name: 'a login in a browser with a password',
    go: inBrowser,
    moments: [
      'while the password is checked',
      'after the password',
      'after the confirmation',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': session,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': laterRefused,
      },
      'taken group': {
        'while the password is checked': withoutGroup,
        'while the directory answers': laterWithoutGroup,
      },
      'reset of the factors': 'revoked',
      'removed provider or authenticator': {
        'while the password is checked': 'unknown-user',
        'while the directory answers': refused,
      },
      'lockout of passwords': session,
    },
  },
  {
    name: 'a login in a browser with a code',
    go: inBrowserWithCode,
    moments: [
      'while the password is checked',
      'after the password',
      'while the code is checked',
      'after the second factor',
      'after the confirmation',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': session,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': laterRefused,
      },
      'taken group': {
        'while the password is checked': withoutGroup,
        'while the directory answers': laterWithoutGroup,
      },
      'reset of the factors': {
        'while the password is checked': 'revoked',
        'after the password': 'no-second-factor',
        'while the code is checked': 'revoked',
      },
      'removed provider or authenticator': {
        'while the password is checked': 'no-second-factor',
        'while the code is checked': 'unknown-user',
        'while the directory answers': refused,
      },
      'lockout of passwords': session,
      'lockout of codes': {
        'while the password is checked': 'second-factor-throttled',
        'while the code is checked': session,
      },
    },
  },
  {
    name: 'a login in a browser with a passkey',
    go: inBrowserWithPasskey,
    moments: [
      'while the password is checked',
      'after the password',
      'after the second factor',
      'after the confirmation',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': session,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': laterRefused,
      },
      'taken group': {
        'while the password is checked': withoutGroup,
        'while the directory answers': laterWithoutGroup,
      },
      'reset of the factors': {
        'while the password is checked': 'revoked',
        'after the password': 'no-second-factor',
        'after the second factor': 'revoked',
      },
      'removed provider or authenticator': {
        'while the password is checked': 'no-second-factor',
        'after the second factor': 'unknown-user',
        'while the directory answers': refused,
      },
      'lockout of passwords': session,
      // No one can guess a passkey.
      'lockout of codes': session,
    },
  },
  {
    name: 'a login at a provider',
    go: atProvider,
    moments: [
      'at the provider',
      'while the directory answers',
      'after the answer of the provider',
      'after the confirmation',
      'while it is stored',
    ],
    outcomes: {
      'no event': session,
      'block of the user of the provider': 'blocked',
      'block of a group': 'blocked',
      'block of the ID token': 'blocked',
      'block of its jti': 'blocked',
      'block of its sid': 'blocked',
      'revoke of the user of the provider': 'revoked',
      'revoke of all': 'revoked',
      // The account in the directory, which each review asks.
      'block of the user': {
        'at the provider': 'blocked',
        'while it is stored': refused,
      },
      'disabled account': {
        'at the provider': 'disabled',
        'while the directory answers': laterRefused,
      },
      'taken group': {
        'at the provider': withoutGroup,
        'while the directory answers': laterWithoutGroup,
      },
      'removed provider or authenticator': {
        'at the provider': 'not-found',
        'while the directory answers': 'unknown-user',
        'while it is stored': refused,
      },
      'lockout of passwords': session,
    },
  },
]);
