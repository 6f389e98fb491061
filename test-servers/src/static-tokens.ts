import { sha256 } from './tokens.ts';

/** Makes a tokens file of the static authenticator. @param users usernames by their tokens */
export function tokensFile(users: Readonly<Record<string, string>>): string {
  const entries = Object.entries(users).map(
    ([token, username]) =>
      `  - sha256: ${sha256(token)}\n    username: ${JSON.stringify(username)}\n`,
  );
  return `tokens:${entries.length === 0 ? ' []' : ''}\n${entries.join('')}`;
}

/** An entry of `authenticators` that reads it. */
export const staticAuthenticator: Record<string, unknown> = {
  name: 'robots',
  use: 'static',
  options: { tokensFile: 'tokens.yaml' },
};
