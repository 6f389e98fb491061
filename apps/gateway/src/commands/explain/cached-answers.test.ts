import { expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { minute } from '../../engine/cache/testing/cached-replica.ts';
import { maxUse, maxUseOfDirectory, ownerOfDirectory } from './cached-answers.ts';

const cache = { authenticatedTtl: 5 * minute, staleTtl: 10 * minute };

const configOf = (authenticators: readonly string[]) =>
  ({
    cache,
    authenticators: [
      { name: 'sessions', cache },
      { name: 'corp', username: { prefix: '' }, cache: { ...cache, staleTtl: 20 * minute } },
      { name: 'other', cache, directory: { authenticator: 'corp', refresh: minute } },
      { name: 'oidc', cache, directory: { authenticator: 'corp', refresh: 3 * minute } },
    ],
    login: {
      sessions: 'sessions',
      revalidate: minute,
      authenticators,
      providers: { okta: { authenticator: 'oidc' } },
    },
  }) as unknown as GatewayConfig;

test('an answer about the user of a session is used as long as its authenticator says', () => {
  expect(maxUse(configOf(['corp']), 'sessions')).toBe(21 * minute);
  // Where people log in at providers alone, no one is asked about them.
  expect(maxUse(configOf([]), 'sessions')).toBe(0);
});

test('the directory of the user of a session is that of the authenticator of a provider', () => {
  const config = configOf([]);
  expect(ownerOfDirectory(config, 'sessions', 'corp')).toBe('oidc');
  expect(ownerOfDirectory(config, 'sessions', 'none')).toBe('sessions');
  expect(ownerOfDirectory(config, 'other', 'corp')).toBe('other');
  expect(maxUseOfDirectory(config, 'oidc')).toBe(23 * minute);
});
