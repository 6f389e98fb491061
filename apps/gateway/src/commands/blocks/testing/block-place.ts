import { randomBytes } from 'node:crypto';
import { secret } from '@sallyport/test-servers/tokens';
import { type ConfigFolder, createConfigFolder } from '../../../testing/config-folder.ts';
import type { CommandContext } from '../../context.ts';

/** An entry of `authenticators` with a file of tokens. Only `ada` has one. */
export const staticEntry = { use: 'static', options: { tokensFile: 'tokens.yaml' } };

const tokensFile = `tokens: [{ sha256: ${'a'.repeat(64)}, username: ada }]\n`;

/** An entry of `authenticators` with a directory that is away. */
export const awayEntry = {
  use: 'ldap',
  options: {
    urls: ['ldaps://127.0.0.1:1'],
    bind: { dn: 'cn=sallyport', password: { file: 'directory' } },
    user: { base: 'dc=example,dc=com', filter: '(uid={username})' },
  },
};

/** Makes an entry of `authenticators` that issues tokens. */
export function robotsEntry(url: string, more: object = {}): object {
  return {
    name: 'robots',
    use: 'redis',
    username: { prefix: 'robot:' },
    groups: { prefix: 'team:' },
    timeout: '9s',
    cache: { authenticatedTtl: '5m' },
    options: { url, commandTimeout: '8s' },
    ...more,
  };
}

/** @param url of the cache Redis. Undefined: the config has none */
export function createBlockPlace(
  authenticators: readonly object[],
  url: string | undefined,
  changes: Partial<CommandContext> = {},
): Promise<ConfigFolder> {
  const redis = { url, timeout: '5s', sealingKeys: [{ file: 'sealing-key' }] };
  const files = {
    'tokens.yaml': tokensFile,
    directory: 'password',
    'sealing-key': secret(randomBytes(32).toString('base64')),
  };
  return createConfigFolder(
    { authenticators, ...(url !== undefined && { cache: { redis } }) },
    files,
    changes,
  );
}
