import { expect, test } from 'vitest';
import { createLog } from '../../testing/server.ts';
import { createPolicyLog } from './policy-log.ts';

test('of users refused by one rule one in 10 s is a warning for each authenticator, with the number of the others', () => {
  const { lines, logger } = createLog();
  let now = 0;
  const log = createPolicyLog(logger, () => now);
  const mark = { rule: 'the username has a mark', name: 'x' };
  for (let count = 0; count < 400; count += 1) log('oidc', 'x', mark);
  log('corp', 'x', mark);
  log('oidc', 'a', { rule: '12 groups, over groups.max 10' });
  log('oidc', 'b', { rule: '14 groups, over groups.max 10' });
  now = 10_000;
  log('oidc', 'y', mark);
  expect(
    lines.filter(({ level }) => level === 'warn').map(({ message, fields }) => [message, fields]),
  ).toEqual(
    [
      { authenticator: 'oidc', subject: 'x', ...mark },
      { authenticator: 'corp', subject: 'x', ...mark },
      { authenticator: 'oidc', subject: 'a', rule: '12 groups, over groups.max 10' },
      { authenticator: 'oidc', subject: 'y', ...mark, unloggedSince: 399 },
    ].map((fields) => ['identity refused by policy', fields]),
  );
  expect(lines.filter(({ level }) => level === 'debug')).toHaveLength(400);
});
