import { expect, test } from 'vitest';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { createInFlightCounter } from '../../http/limits.ts';
import { clockOfToday } from '../../testing/factor-login.ts';
import { attemptLifetime, createAttemptTexts, formToken, idLength } from '../attempts/attempt.ts';
import { createPendingLogins } from '../attempts/pending-logins.ts';
import { enrolled, factorParts, jane } from '../factors/testing/factor-parts.ts';
import { defaultBrand } from '../pages/document.ts';
import { createRateLimit } from '../rate-limit.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import type { PageRequest } from './page-request.ts';
import { proveOnPage } from './prove-on-page.ts';

const file = redisOfFile();
const limit = (count: number) =>
  createRateLimit(
    () => ({ count, per: 3_600_000 }),
    () => 0,
  );

test('a login on the page counts for its user once the second factor is right', async () => {
  const clock = clockOfToday();
  const { redis } = file.opened;
  const parts = factorParts(redis, clock);
  const app = await enrolled(parts, clock);
  const attempts = createAttemptTexts(redis.sealingKeys, Date.now, []);
  const pending = createPendingLogins(redis, Date.now);
  const limits = {
    inFlight: createInFlightCounter(),
    passwords: limit(100),
    pages: limit(100),
    logins: limit(1),
  };
  /** Sends a code after the right password. */
  async function send(code: string) {
    const id = randomText(idLength);
    const until = Date.now() + attemptLifetime;
    const attempt = { id, until, challenge: 'x', address: '192.0.2.1', key: 'k' };
    const state = { secret: randomText(16), login: 'l' };
    const { name: username, uid, ...user } = jane;
    await pending.put(attempt, {
      browser: secretDigest('l.k'),
      attempt: { challenge: 'x' },
      revision: 0,
      proof: {
        authenticator: 'corp',
        since: 1,
        login: user.username,
        backendUser: { username: user.username, ...(uid !== undefined && { uid }) },
        user: { username },
      },
      next: { kind: 'factor' },
    });
    const cookie = `__Host-sallyport-${id}=${attempts.writeBrowser(id, state)}`;
    const context = { req: { headers: { cookie } }, res: {}, status: 0, set: () => undefined };
    const form = new URLSearchParams({ form: formToken(id, { secret: 'l.k' }), code });
    const page = {
      context,
      service: {
        config: {
          publicUrl: 'https://login.example.com',
          limits: { inFlight: 9 },
          secondFactor: {},
        },
        brand: () => defaultBrand,
        factors: parts,
      },
      browser: { attempts, pending },
      attempt,
      path: `/login/${id}`,
      address: '192.0.2.1',
      signal: new AbortController().signal,
      facts: { action: 'page-factor' },
      limits,
      readForm: async () => form,
    } as unknown as PageRequest;
    Object.assign(page.service, { browser: page.browser, logger: { warn: () => undefined } });
    await proveOnPage(page, 'code');
    return context.status;
  }
  expect(await send(app.guess())).toBe(401);
  expect(await send(app.code())).toBe(303);
  expect(await send(app.code(1))).toBe(429);
});
