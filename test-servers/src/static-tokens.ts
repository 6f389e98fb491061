import { sha256 } from './tokens.ts';

/** Makes a tokens file of the static authenticator. @param users usernames by their tokens */
export function tokensFile(users: Readonly<Record<string, string>>): string {
  const tokens = Object.entries(users).map(([token, username]) => ({
    sha256: sha256(token),
    username,
  }));
  // JSON is YAML.
  return JSON.stringify({ tokens });
}

/** An entry of `authenticators` that reads it. */
export const staticAuthenticator: Record<string, unknown> = {
  name: 'robots',
  use: 'static',
  options: { tokensFile: 'tokens.yaml' },
};
