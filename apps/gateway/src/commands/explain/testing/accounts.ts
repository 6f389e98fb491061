import { sha256 } from '@sallyport/test-servers/tokens';
import type { Accounts, AccountsOptions } from './accounts-plugin.ts';

const plugin = new URL('accounts-plugin.ts', import.meta.url).href;

/** An authenticator that finds the accounts of `accounts.json`, next to the config. */
export function accounts(
  name: string,
  more: object = {},
  options: Partial<AccountsOptions> = {},
): object {
  return {
    name,
    use: './accounts.mjs',
    options: { file: 'accounts.json', ...options },
    username: { prefix: `${name}:` },
    groups: { prefix: `${name}:` },
    ...more,
  };
}

/** An authenticator with the tokens of `tokens.yaml`, whose users are looked up in `corp`. */
export function tokensOfUsers(name: string, directory: object = {}, more: object = {}): object {
  return {
    name,
    use: 'static',
    options: { tokensFile: 'tokens.yaml' },
    username: { prefix: `${name}:` },
    directory: { authenticator: 'corp', ...directory },
    ...more,
  };
}

/** Makes the files that both read. @param users the users of tokens, by token */
export function accountFiles(
  users: Readonly<Record<string, object>>,
  found: Accounts,
): Readonly<Record<string, string>> {
  const tokens = Object.entries(users).map(([token, user]) => ({ sha256: sha256(token), ...user }));
  return {
    'accounts.mjs': `export { default } from ${JSON.stringify(plugin)};\n`,
    'accounts.json': JSON.stringify(found),
    'tokens.yaml': JSON.stringify({ tokens }),
  };
}
