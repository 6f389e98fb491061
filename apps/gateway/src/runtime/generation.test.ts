import {
  type Authenticator,
  AuthenticatorError,
  type PluginContext,
} from '@sallyport/authenticator';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../engine/lockout/attempts.ts';
import { noBlocks } from '../engine/revocation/testing/no-blocks.ts';
import { createGeneration } from './generation.ts';
import { configuredAuthenticator } from './testing/configured-authenticator.ts';

const dependencies = {
  logger: pino({ level: 'silent' }),
  attempts: createAttempts(() => ({ maxFailures: 3, window: 600_000 }), {
    now: () => performance.now(),
  }),
  onAbandoned: () => undefined,
  blocks: noBlocks,
};

function authenticator(overrides: Partial<Authenticator> = {}): Authenticator {
  return {
    authenticate: async () => ({ kind: 'no-opinion' }),
    close: async () => undefined,
    ...overrides,
  };
}

function config(...authenticators: AuthenticatorConfig[]): GatewayConfig {
  const server = { apiAudiences: [], reviewTimeout: 10_000 };
  return {
    baseDirectory: '/etc/sallyport',
    server,
    authenticators,
    cache: {},
  } as unknown as GatewayConfig;
}

const context = { audiences: [], signal: new AbortController().signal };

afterEach(() => {
  vi.useRealTimers();
});

describe('createGeneration', () => {
  test('names every authenticator that cannot be made, its package and why, and closes the others', async () => {
    const close = vi.fn(async () => undefined);
    const made = createGeneration(
      config(
        configuredAuthenticator('good', async () => authenticator({ close })),
        configuredAuthenticator('corp', () => Promise.reject(new Error('caFile: no such file'))),
        configuredAuthenticator('sync', () => {
          throw new Error('thrown immediately');
        }),
        configuredAuthenticator('odd', async () => ({}) as Authenticator),
      ),
      dependencies,
    );
    await expect(made).rejects.toMatchObject({
      problems: [
        { path: 'corp', message: 'Error: caFile: no such file' },
        { path: 'sync', message: 'Error: thrown immediately' },
        { path: 'odd', message: expect.stringContaining('is not a valid Authenticator') },
      ],
    });
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('gives up on a create() that waits, aborts it, and closes what it makes after all', async () => {
    vi.useFakeTimers();
    const late = Promise.withResolvers<Authenticator>();
    const close = vi.fn(async () => undefined);
    let given: PluginContext | undefined;
    const waiting = configuredAuthenticator('slow', (_options, pluginContext) => {
      given = pluginContext;
      return late.promise;
    });
    const outcome = createGeneration(config(waiting), dependencies).catch(
      (error: Error) => error.message,
    );
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcome).toContain('create() took longer than 10s');
    expect(given?.signal.aborted).toBe(true);
    late.resolve(authenticator({ close }));
    await expect.poll(() => close).toHaveBeenCalledTimes(1);
  });

  test('a file that a plugin watches and that is missing names itself', async () => {
    const watching = configuredAuthenticator('tokens', async (_options, { watchFile }) => {
      await watchFile('missing.yaml', () => undefined);
      return authenticator();
    });
    await expect(createGeneration(config(watching), dependencies)).rejects.toMatchObject({
      message: expect.stringContaining('/etc/sallyport/missing.yaml'),
      // A refused reload is repeated when the file appears.
      files: ['/etc/sallyport/missing.yaml'],
    });
  });
});

test('a plugin that has its connection again half-opens the circuit of its authenticator, and no other one', async () => {
  const contexts: PluginContext[] = [];
  const down = async () => {
    throw new AuthenticatorError('unavailable', 'down');
  };
  const createDown = (name: string) =>
    configuredAuthenticator(name, async (_options, pluginContext) => {
      contexts.push(pluginContext);
      return authenticator({ authenticate: down });
    });
  const generation = await createGeneration(config(createDown('a'), createDown('b')), dependencies);
  const circuits = () => generation.links.map(({ guard }) => guard.circuitState);
  // Before there is a circuit, and while it is closed.
  contexts[0]?.backendReconnected?.();
  for (let count = 0; count < 5; count += 1)
    await Promise.resolve(generation.authenticate('t', context)).catch(() => undefined);
  expect(circuits()).toEqual(['open', 'open']);
  contexts[0]?.backendReconnected?.();
  expect(circuits()).toEqual(['half-open', 'open']);
  await generation.retire(0);
});

describe('retire', () => {
  test('closes immediately when nothing is in progress', async () => {
    const close = vi.fn(async () => undefined);
    const generation = await createGeneration(
      config(configuredAuthenticator('one', async () => authenticator({ close }))),
      dependencies,
    );
    await generation.retire(60_000);
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('waits for the reviews in progress before it closes', async () => {
    const answer = Promise.withResolvers<{ kind: 'no-opinion' }>();
    const close = vi.fn(async () => undefined);
    const slow = configuredAuthenticator('one', async () =>
      authenticator({ close, authenticate: () => answer.promise }),
    );
    const generation = await createGeneration(config(slow), dependencies);
    const review = generation.authenticate('t', context);
    const retired = generation.retire(60_000);
    await Promise.resolve();
    expect(close).not.toHaveBeenCalled();
    answer.resolve({ kind: 'no-opinion' });
    await retired;
    expect(await review).toEqual({ kind: 'no-opinion' });
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('waits for work that no review waits for any more, up to its limit', async () => {
    vi.useFakeTimers();
    const close = vi.fn(async () => undefined);
    const hung = configuredAuthenticator('hung', async () =>
      authenticator({ close, authenticate: () => new Promise(() => undefined) }),
    );
    const generation = await createGeneration(config(hung), dependencies);
    const review = Promise.resolve(generation.authenticate('t', context)).catch(
      (error: Error) => error.message,
    );
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await review).toBe('authenticator hung unavailable');
    const retired = generation.retire(5_000);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(close).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await retired;
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('goes on when a plugin fails to close, or never does', async () => {
    vi.useFakeTimers();
    const close = vi.fn(async () => undefined);
    const generation = await createGeneration(
      config(
        configuredAuthenticator('throws', async () =>
          authenticator({ close: () => Promise.reject(new Error('no')) }),
        ),
        configuredAuthenticator('hangs', async () =>
          authenticator({ close: () => new Promise(() => undefined) }),
        ),
        configuredAuthenticator('good', async () => authenticator({ close })),
      ),
      dependencies,
    );
    const retired = generation.retire(0);
    await vi.advanceTimersByTimeAsync(5_000);
    await retired;
    expect(close).toHaveBeenCalledTimes(1);
  });
});
