import { expect, test } from 'vitest';
import { noBlocks } from '../../engine/revocation/testing/no-blocks.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { attemptLifetime, idLength } from '../attempts/attempt.ts';
import { createPendingLogins } from '../attempts/pending-logins.ts';
import { createFactorPolicy } from '../factors/policy.ts';
import type { LoginRequest } from '../login-request.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { redeemCode } from './begin-login.ts';

const file = redisOfFile();

test('a login without the second factor that a reload has made required gets no session', async () => {
  const pending = createPendingLogins(file.opened.redis, Date.now);
  const verifier = randomText(43);
  const challenge = secretDigest(verifier);
  const id = randomText(idLength);
  const attempt = { id, until: Date.now() + attemptLifetime, challenge, address: '192.0.2.1' };
  const proof = {
    authenticator: 'corp',
    since: 1,
    login: 'jane',
    given: { username: 'jane' },
    named: { username: 'corp:jane', groups: ['admins'] },
  };
  const browser = secretDigest('of this browser');
  await pending.put(attempt, { browser, attempt: { challenge }, revision: 7, proof });
  const code = await pending.issueCode(attempt, 'of this browser');
  const facts: LoginRequest['facts'] = { action: 'none' };
  const request = {
    facts,
    address: '192.0.2.1',
    service: {
      config: { clusters: {} },
      browser: { pending },
      blocks: noBlocks,
      factorPolicy: createFactorPolicy({
        authenticators: ['corp'],
        secondFactor: { required: { groups: ['admins'] }, authenticators: ['corp'] },
      }),
    },
  } as unknown as LoginRequest;
  await expect(redeemCode(request, { code, verifier })).rejects.toMatchObject({
    status: 401,
    code: 'wrong-code',
  });
  expect(facts).toMatchObject({ action: 'redeem', reason: 'second-factor', username: 'corp:jane' });
});
