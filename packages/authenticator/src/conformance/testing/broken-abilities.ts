import type { AttemptOutcome, Attempts, IdTokenIssuer } from '../../index.ts';
import {
  type Break,
  type BrokenPlugins,
  withAttempts,
  withAuthenticator,
} from './broken-plugin.ts';

const checked = 'check() resolves while the backend is up and rejects while it is stopped';

const denialObeyed = 'a denied attempt is a refusal with the reason of the denial';

const unrecognized =
  'whyUnrecognized() answers any string that is not recognized with words or nothing, and quotes no token';

const claimedNames =
  'claimedName() answers any string with a name or nothing, the same one each time, and quickly';

const loginTokens =
  'loginToken() writes a token of its own that carries the name, or nothing, for any name and password';

const readableCas = 'ca() of each issuer returns PEM or nothing, without waiting';

const brokenRecognition: BrokenPlugins = {
  'recognizes() is true for every token of its own': {
    'does not know a token of its own by its shape': [
      withAuthenticator(() => ({
        recognizes: (token) => /^mem_\w{30,}$/.test(token.replaceAll('-', '0')),
      })),
      'refused tokens are rejected with their reason',
      loginTokens,
    ],
  },
  'recognizes() answers any string with a boolean, and the same one each time': {
    'answers the empty token with the empty string': withAuthenticator(({ recognizes }) => ({
      recognizes: (token) => (token && recognizes?.(token)) as boolean,
    })),
  },
  'recognizes() is quick, however the token is made': {
    'takes long to look at a crafted token': withAuthenticator(({ recognizes }) => ({
      recognizes(token) {
        const end = process.threadCpuUsage().user + (token.endsWith('a!') ? 110_000 : 0);
        while (process.threadCpuUsage().user < end);
        return recognizes?.(token) === true;
      },
    })),
  },
  'tokenPrefix begins every token of its own, or is left out': {
    'has a prefix that its tokens do not have': withAuthenticator(() => ({
      tokenPrefix: 'other_',
    })),
  },
  [unrecognized]: {
    'quotes a token that is cut off': withAuthenticator(({ recognizes }) => ({
      whyUnrecognized: (token) =>
        recognizes?.(token) ? undefined : `${token.slice(0, 500)} is not mine`,
    })),
    'throws where it knows no reason': withAuthenticator(() => ({
      whyUnrecognized() {
        throw new Error('no reason');
      },
    })),
  },
};

/** Makes a check that works, and returns this instead of a list of strings. */
const withWarnings = (warnings: unknown) =>
  withAuthenticator(({ check }) => ({
    async check(signal) {
      await check?.(signal);
      return warnings as never;
    },
  }));

const brokenChecks: BrokenPlugins = {
  [checked]: {
    'always says that it is healthy': withAuthenticator(() => ({ check: async () => {} })),
    'returns a warning that is not a list': withWarnings('one of two servers is down'),
    'returns a warning without words': withWarnings(['']),
  },
  'tokenStore is a string without a secret, or left out': {
    'names its store by a number': withAuthenticator(() => ({ tokenStore: 7 as never })),
  },
  'create() gives an authenticator with its methods': {
    'has a check that is not a function': [
      withAuthenticator(() => ({ check: true as never })),
      checked,
    ],
  },
};

const brokenLogins: BrokenPlugins = {
  [claimedNames]: {
    'claims another name at each look': [
      (parts) => {
        let looks = 0;
        return withAuthenticator(() => ({ claimedName: () => `name ${looks++}` }))(parts);
      },
      loginTokens,
    ],
    'throws on a token that claims no name': withAuthenticator(({ claimedName }) => ({
      claimedName(token) {
        const name = claimedName?.(token);
        if (name === undefined) throw new Error('no name in it');
        return name;
      },
    })),
  },
  'claimedName() gives the name, and no password, of every valid token of a plugin that sends passwords':
    {
      'gives the whole login for the name': [
        withAuthenticator(() => ({
          claimedName: (token) =>
            Buffer.from(token.slice('mem_'.length), 'base64url').toString() || undefined,
        })),
        loginTokens,
      ],
    },
  [loginTokens]: {
    'lets a colon in a name begin the password': withAuthenticator(() => ({
      loginToken: (name, password) =>
        `mem_${Buffer.from(`${name}:${password}`).toString('base64url')}`,
    })),
    'throws for a name that it cannot write': withAuthenticator(({ loginToken }) => ({
      loginToken(name, password) {
        const token = loginToken?.(name, password);
        if (token === undefined) throw new Error('no login');
        return token;
      },
    })),
  },
};

/** Admits every attempt, without the lockout guard. */
const unguarded: Attempts = { admit: async () => ({ admitted: true, settle: async () => {} }) };

const forgetting =
  (forgotten: AttemptOutcome) =>
  (attempts: Attempts): Attempts => ({
    async admit(subject, secret) {
      const attempt = await attempts.admit(subject, secret);
      if (!attempt.admitted) return attempt;
      return {
        admitted: true,
        settle: async (outcome) => (outcome === forgotten ? undefined : attempt.settle(outcome)),
      };
    },
  });

const brokenAttempts: BrokenPlugins = {
  'context.attempts is asked before a password goes out, and only then': {
    'sends passwords without asking': [withAttempts(() => unguarded), denialObeyed],
  },
  'every attempt that is admitted is settled with what came of it': {
    'does not report that a password was refused': withAttempts(forgetting('refused')),
  },
  'an attempt during an outage is settled as unavailable or unanswered': {
    'does not free the slot of an attempt during an outage': withAttempts(
      forgetting('unavailable'),
    ),
  },
  [denialObeyed]: {
    'sends the password although the attempt was denied': withAttempts((attempts) => ({
      async admit(subject, secret) {
        const attempt = await attempts.admit(subject, secret);
        return attempt.admitted ? attempt : await unguarded.admit(subject, secret);
      },
    })),
  },
};

const brokenLists: BrokenPlugins = {
  'knownUsers() lists users in the shape that Kubernetes takes': {
    'lists names instead of users': withAuthenticator(() => ({
      knownUsers: () => ['alice'] as never,
    })),
    'lists a user without a name': withAuthenticator(() => ({
      knownUsers: () => [{ username: '' }],
    })),
    'throws where it knows no users': withAuthenticator(() => ({
      knownUsers() {
        throw new Error('no users');
      },
    })),
  },
};

const goodIssuer: IdTokenIssuer = {
  issuer: 'https://idp.example.com',
  audiences: ['kubernetes'],
  discoveryUrl: 'https://idp.example.com/.well-known/openid-configuration',
  ca: () => undefined,
};

const withIssuers = (...issuers: readonly unknown[]) =>
  withAuthenticator(() => ({ idTokenIssuers: () => issuers as IdTokenIssuer[] }));

const withIssuer = (changed: Readonly<Partial<Record<keyof IdTokenIssuer, unknown>>>) =>
  withIssuers({ ...goodIssuer, ...changed });

const brokenIssuers: BrokenPlugins = {
  'idTokenIssuers() lists each issuer once, with https URLs and its audiences, the same ones each time':
    {
      'lists an issuer without TLS': withIssuer({ issuer: 'http://idp.example.com' }),
      'lists a discovery document with a password in its URL': withIssuer({
        discoveryUrl: 'https://user:word@idp.example.com/discovery',
      }),
      'lists an issuer without an audience': withIssuer({ audiences: [] }),
      'lists an issuer with an empty audience': withIssuer({ audiences: [''] }),
      'lists one issuer twice': withIssuers(goodIssuer, goodIssuer),
      'lists other issuers at each call': (parts) => {
        let calls = 0;
        const issuers = () => [{ ...goodIssuer, issuer: `https://${calls++}.example.com` }];
        return withAuthenticator(() => ({ idTokenIssuers: issuers }))(parts);
      },
      'lists the password of its service account': ({ good }) => ({
        ...good,
        async create(options, context) {
          const issuer = { ...goodIssuer, audiences: [options.password] };
          return { ...(await good.create(options, context)), idTokenIssuers: () => [issuer] };
        },
      }),
      'lists the CAs in place of a call that returns them': [
        withIssuer({ ca: 'PEM' }),
        readableCas,
      ],
      'promises its issuers': [
        withAuthenticator(() => ({ idTokenIssuers: async () => [goodIssuer] }) as never),
        readableCas,
      ],
      'throws where it knows no issuer': [
        withAuthenticator(() => ({
          idTokenIssuers() {
            throw new Error('no issuer');
          },
        })),
        readableCas,
      ],
    },
  [readableCas]: {
    'returns CAs that are not PEM': withIssuer({ ca: () => Buffer.from('not PEM') }),
    'promises its CAs': withIssuer({ ca: async () => undefined }),
    'throws where it has no CAs': withIssuer({
      ca() {
        throw new Error('no CAs');
      },
    }),
  },
};

const withVersion = (answersVersion: (count: number) => unknown): Break =>
  withAuthenticator(() => {
    let count = 0;
    return { answersVersion: () => answersVersion(count++) as string };
  });

const brokenVersions: BrokenPlugins = {
  'answersVersion() returns a string, the same one until something changes': {
    'counts its calls': withVersion((count) => String(count)),
    'promises its version': withVersion(async () => 'one'),
    'throws where it has no version': withVersion(() => {
      throw new Error('no version');
    }),
    'uses the password of its service account': ({ good }) => ({
      ...good,
      async create(options, context) {
        return {
          ...(await good.create(options, context)),
          answersVersion: () => options.password,
        };
      },
    }),
  },
};

export const brokenAbilities: readonly BrokenPlugins[] = [
  brokenRecognition,
  brokenChecks,
  brokenLogins,
  brokenAttempts,
  brokenLists,
  brokenIssuers,
  brokenVersions,
];
