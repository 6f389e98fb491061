import { expect, test } from 'vitest';
import type { DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { ExplainedSession } from './explained-session.ts';
import { sessionJson, sessionLines } from './explained-session.ts';

const session = {
  authenticator: 'oidc',
  since: Date.UTC(2030, 0, 31, 12),
  until: Date.UTC(2030, 0, 31, 20),
  provider: { name: 'okta', authTime: Date.UTC(2030, 0, 31, 11) },
} as ExplainedSession;

const configOf = (groups?: DirectoryConfig['groups']) =>
  ({
    authenticators: [
      {
        name: 'oidc',
        ...(groups && { directory: { authenticator: 'corp', groups, refresh: 300_000 } }),
      },
    ],
  }) as unknown as GatewayConfig;

test.each([
  { groups: 'replace', said: 'its groups replace the groups of the ID token' },
  { groups: 'add', said: 'its groups are added to the groups of the ID token' },
  { groups: 'keep', said: 'the groups come from the ID token' },
] as const)(
  'says where the groups come from when the directory says $groups',
  ({ groups, said }) => {
    expect(sessionLines(configOf(groups), session)).toEqual([
      'logged in at provider okta at 2030-01-31T12:00:00Z, proved who they are there at 2030-01-31T11:00:00Z',
      `the account is looked up in corp every 5m: ${said}`,
    ]);
  },
);

test('without a directory, the account is not looked up again until the session ends', () => {
  expect(sessionLines(configOf(), session)[1]).toBe(
    'the groups come from the ID token; authenticator oidc has no directory, so the account is not looked up again until the session ends at 2030-01-31T20:00:00Z',
  );
});

test('a session with a second factor shows how the user proved who they are', () => {
  const { authenticator, since, until } = session;
  const proved = { authenticator, since, until, amr: ['pwd', 'otp', 'mfa'] };
  expect(sessionLines(configOf(), proved)).toEqual([
    'logged in at 2030-01-31T12:00:00Z with a second factor, amr pwd otp mfa',
  ]);
  expect(sessionJson(proved)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'] });
});
