import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { readTrail } from './testing/audit-trail.ts';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

const keyPrefix = 'sallyport.example.com';
const credentialId = 'authentication.kubernetes.io/credential-id';

test('kube-apiserver learns which authenticator and which credential it was, in the words of the audit trail', async () => {
  const [backend, redis] = [await startScriptedBackend(), await startRedis()];
  await using _ = redis;
  const more = { provenance: { keyPrefix }, audit: { output: 'audit.log' } };
  const setup = {
    authenticators: [
      shared(backend, 'corp'),
      shared(backend, 'cloud', {}, { allowCredentialId: true }),
    ],
    redis: { url: redis.url },
    keys: [sealingKey()],
    more,
  };
  const [plain, cloud, forger, off] = [randomToken(), randomToken(), randomToken(), randomToken()];
  const extra = { 'example.com/email': ['ada@example.com'], [credentialId]: ['AKIA=1'] };
  const withExtra = (username: string, given: object) =>
    authenticated(username, [], { user: { username, extra: given } });
  backend.answer(plain, authenticated('ada'), 'corp');
  backend.answer(cloud, withExtra('grace', extra), 'cloud');
  backend.answer(
    forger,
    withExtra('mallory', { [`${keyPrefix}/credential`]: ['of another user'] }),
    'corp',
  );
  backend.answer(off, withExtra('ada', extra), 'corp');

  await using stamped = await startCacheGateway(setup);
  const [first, again, second] = [
    await stamped.ask(plain),
    await stamped.ask(plain),
    await stamped.ask(cloud),
  ];
  expect((await stamped.ask(forger)).authenticated).toBe(false);
  // The answer without allowCredentialId is a refusal.
  expect((await stamped.ask(off)).authenticated).toBe(false);
  await stamped.gateway.stop();
  const [ofFirst, ofAgain, ofSecond, ofForger] = await readTrail(stamped.gateway.folder);
  const added = (authenticator: string, line: typeof ofFirst) => ({
    [`${keyPrefix}/authenticator`]: [authenticator],
    [`${keyPrefix}/credential`]: [line?.fingerprint],
  });
  expect(ofFirst?.fingerprint).toMatch(/^[\w-]{22}$/);
  expect(first.user?.extra).toEqual(added('corp', ofFirst));
  expect([again.user?.extra, ofAgain?.cached]).toEqual([first.user?.extra, 'memory']);
  expect(second.user?.extra).toEqual({ ...extra, ...added('cloud', ofSecond) });
  expect(ofForger?.reason).toBe('identity-policy');
});
