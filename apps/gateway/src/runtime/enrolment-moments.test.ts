import { accepted, testWays } from './testing/login-moments.ts';
import { addAppAtTerminal, addAppInBrowser, addPasskeyInBrowser } from './testing/login-ways.ts';

const { factor } = accepted;

/** These let no one add a factor, at whatever moment they come. What was stored is taken back. */
const ends = {
  'block of the user': 'blocked',
  'block of a group': 'blocked',
  'revoke of the user': 'revoked',
  'revoke of all': 'revoked',
};

// A factor gives no rights: each login asks for the password, and for the groups of that moment.
testWays([
  {
    name: 'adding an app at a terminal',
    go: addAppAtTerminal,
    moments: [
      'while the password is checked',
      'after it has begun',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': factor,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': factor,
      },
      'taken group': factor,
      'reset of the factors': {
        'while the password is checked': 'wrong-invitation',
        'after it has begun': 'revoked',
      },
      'removed provider or authenticator': {
        'while the password is checked': 'unknown-user',
        'while the directory answers': factor,
      },
      'lockout of passwords': factor,
      'lockout of codes': factor,
    },
  },
  {
    name: 'adding an app in a browser',
    go: addAppInBrowser,
    moments: [
      'while the password is checked',
      'after the password',
      'after it has begun',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': factor,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': factor,
      },
      'taken group': factor,
      'reset of the factors': {
        'while the password is checked': 'wrong-invitation',
        'after the password': 'revoked',
      },
      'removed provider or authenticator': {
        'while the password is checked': 'unknown-user',
        'while the directory answers': factor,
      },
      'lockout of passwords': factor,
      'lockout of codes': factor,
    },
  },
  {
    name: 'adding a passkey in a browser',
    go: addPasskeyInBrowser,
    moments: [
      'while the password is checked',
      'after the password',
      'while the directory answers',
      'while it is stored',
    ],
    outcomes: {
      ...ends,
      'no event': factor,
      'disabled account': {
        'while the password is checked': 'disabled',
        'while the directory answers': factor,
      },
      'taken group': factor,
      'reset of the factors': {
        'while the password is checked': 'wrong-invitation',
        'after the password': 'revoked',
      },
      'removed provider or authenticator': {
        'while the password is checked': 'unknown-user',
        'while the directory answers': factor,
      },
      'lockout of passwords': factor,
      'lockout of codes': factor,
    },
  },
]);
