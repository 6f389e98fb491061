import type { Recognizing } from '@sallyport/authenticator';

export const tokenPrefix = 'users_';

export const recognizing: Recognizing = {
  tokenPrefix,
  recognizes: (token) => token.startsWith(tokenPrefix),
  whyUnrecognized: (token) =>
    token.startsWith('users-') ? 'begins with "users-", and not with "users_"' : undefined,
};
