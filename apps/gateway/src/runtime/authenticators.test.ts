import type { AuthenticatorPlugin, PluginContext, TokenIssuer } from '@sallyport/authenticator';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAttempts } from '../engine/lockout/attempts.ts';
import { createTokenIssuer, type IssuingAuthenticator, issuesTokens } from './authenticators.ts';

type Create = NonNullable<AuthenticatorPlugin<unknown>['createTokenIssuer']>;

const dependencies = {
  logger: pino({ level: 'silent' }),
  attempts: createAttempts(() => ({ maxFailures: 3, window: 600_000 }), {
    now: () => performance.now(),
  }),
};

function issuer(overrides: Partial<TokenIssuer> = {}): TokenIssuer {
  const nothing = async function* () {};
  return {
    create: () => Promise.reject(),
    list: nothing,
    revoke: nothing,
    close: async () => undefined,
    ...overrides,
  };
}

function configured(createIssuer: Create | undefined): IssuingAuthenticator {
  const plugin = { name: 'scripted', ...(createIssuer && { createTokenIssuer: createIssuer }) };
  return { name: 'robots', options: { a: 1 }, plugin } as unknown as IssuingAuthenticator;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('is made from the options, with all that the contract promises', async () => {
  const made = issuer();
  const given = vi.fn(async (_options: unknown, _context: PluginContext) => made);
  expect(await createTokenIssuer(configured(given), '/etc/sallyport', dependencies)).toBe(made);
  const [options, context] = given.mock.calls[0] ?? [];
  expect(options).toEqual({ a: 1 });
  expect(context).toMatchObject({
    baseDirectory: '/etc/sallyport',
    watchFile: expect.any(Function),
  });
  expect(Object.keys(context ?? {}).sort()).toEqual([
    'attempts',
    'baseDirectory',
    'logger',
    'metrics',
    'signal',
    'watchFile',
  ]);
});

test.each(['create', 'list', 'revoke', 'close'])('without %s is none', async (name) => {
  const odd = async () => ({ ...issuer(), [name]: undefined }) as unknown as TokenIssuer;
  await expect(createTokenIssuer(configured(odd), '/', dependencies)).rejects.toThrow(
    'the result of createTokenIssuer() is not a valid TokenIssuer: it needs the functions create, list, revoke and close',
  );
});

test('that takes too long is given up, and closed when it comes after all', async () => {
  const close = vi.fn(async () => undefined);
  const late = () =>
    new Promise<TokenIssuer>((resolve) => setTimeout(() => resolve(issuer({ close })), 20_000));
  const made = expect(createTokenIssuer(configured(late), '/', dependencies)).rejects.toThrow(
    'createTokenIssuer() took longer than 10s: it must not wait for its backend',
  );
  await vi.advanceTimersByTimeAsync(10_000);
  await made;
  expect(close).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(close).toHaveBeenCalledOnce();
});

test('a plugin need not issue tokens', () => {
  expect(issuesTokens(configured(async () => issuer()))).toBe(true);
  expect(issuesTokens(configured(undefined))).toBe(false);
});
