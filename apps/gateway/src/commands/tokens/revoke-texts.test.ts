import { describe, expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { lifetimes, minute } from '../../engine/cache/testing/cached-replica.ts';
import { corpConfig } from '../../runtime/testing/link-parts.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { commandLine } from '../printed-commands.ts';
import { effectText, lingeringText } from './revoke-texts.ts';

/** Users of oidc are looked up in corp. Answers to tokens of corp are cached for 5 minutes. */
function configOf(
  refresh: number,
  cache: GatewayConfig['authenticators'][number]['cache'] = 'off',
) {
  const corp = {
    ...corpConfig,
    cache: { ...lifetimes, authenticatedTtl: 5 * minute, store: 'memory' },
  };
  const oidc = {
    ...corpConfig,
    name: 'oidc',
    username: { prefix: 'oidc:' },
    cache,
    directory: { authenticator: 'corp', refresh },
  };
  return { authenticators: [oidc, corp], cache: lifetimes } as unknown as GatewayConfig;
}

const revoked = (kind: 'user' | 'token' | 'all', name = '') =>
  ({ kind, name, action: 'revoke', by: 'ops' }) as const;
const stale = /, and \S+ beyond while the backend is down \(staleTtl\)\.\n$/;

describe('how long a replica that does not learn of it uses what it has cached', () => {
  test.each([
    {
      name: 'of a user of the directory: directory.refresh if it is longer',
      minutes: 7,
      draft: revoked('user', 'corp:jane'),
      words: '7m more (directory.refresh)',
    },
    {
      name: 'of a user of the directory: authenticatedTtl if it is longer',
      minutes: 2,
      draft: revoked('user', 'corp:jane'),
      words: '5m more (authenticatedTtl)',
    },
    { name: 'of all', minutes: 7, draft: revoked('all'), words: '7m more (directory.refresh)' },
    {
      name: 'of a token: not what the directory says of its user',
      minutes: 7,
      draft: revoked('token', 'ab'),
      words: '5m more (authenticatedTtl)',
    },
  ])('is said $name', ({ minutes, draft, words }) => {
    const text = lingeringText(configOf(minutes * minute), draft);
    expect(text).toContain(`A replica may accept what it has cached for ${words}`);
    expect(text).toMatch(stale);
  });

  test('is nothing for a user whose tokens are not cached', () => {
    const text = lingeringText(configOf(minute), revoked('user', 'oidc:jane'));
    expect(text).toBe('This config caches nothing of it.\n');
  });
});

test('a revocation of a user does not reach what replicas keep of the directory, and says how to', () => {
  const context = createTestContext();
  const command = commandLine(context, ['revoke', '--user', 'corp:NAME']);
  const ofDirectory = `They keep what corp said of the account and its groups. To have them ask it again, by the name there: ${command}\n`;
  const text = (draft: ReturnType<typeof revoked>) =>
    effectText(context, configOf(minute), draft, []);
  expect(text(revoked('user', 'oidc:jane'))).toBe(
    `Replicas forget what they have cached of user oidc:jane, and ask the backend at the next review.\n${ofDirectory}`,
  );
  for (const draft of [revoked('user', 'corp:jane'), revoked('all'), revoked('token', 'ab')])
    expect(text(draft)).not.toContain('They keep');
});
