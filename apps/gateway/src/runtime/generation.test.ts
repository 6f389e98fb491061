import {
  type Authenticator,
  AuthenticatorError,
  type AuthenticatorPlugin,
  type PluginContext,
} from '@sallyport/authenticator';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../engine/lockout/attempts.ts';
import { noBlocks } from '../engine/revocation/testing/no-blocks.ts';
import { createGeneration } from './generation.ts';

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

function configured(
  name: string,
  create: AuthenticatorPlugin<unknown>['create'],
): AuthenticatorConfig {
  return {
    name,
    use: './scripted.ts',
    package: `package-of-${name}`,
    withhold: (words) => words,
    problem: (cause) => ({ file: 'gateway.yaml', path: name, message: String(cause) }),
    loginProblem: (message) => ({ file: 'gateway.yaml', path: 'login', message }),
    providerProblem: (_, path, message) => ({ file: 'gateway.yaml', path, message }),
    directoryProblem: (message) => ({ file: 'gateway.yaml', path: 'directory', message }),
    plugin: {
      specificationVersion: 1,
      name: 'scripted',
      caching: 'none',
      optionsSchema: z.unknown(),
      create,
    },
    options: {},
    timeout: 3_000,
    maxConcurrent: 100,
    maxWaiting: 0,
    circuit: { minimumCalls: 5, openFor: 5_000 },
    onError: 'continue',
    reviews: true,
    cache: 'off',
    fingerprint: name,
    username: { prefix: '' },
    groups: { prefix: '', max: 1_000 },
    allowSystemNames: [],
    allowCredentialId: false,
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
        configured('good', async () => authenticator({ close })),
        configured('corp', () => Promise.reject(new Error('caFile: no such file'))),
        configured('sync', () => {
          throw new Error('thrown immediately');
        }),
        configured('odd', async () => ({}) as Authenticator),
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
    const waiting = configured('slow', (_options, pluginContext) => {
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
    const watching = configured('tokens', async (_options, { watchFile }) => {
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
  const one = (name: string) =>
    configured(name, async (_options, pluginContext) => {
      contexts.push(pluginContext);
      return authenticator({ authenticate: down });
    });
  const generation = await createGeneration(config(one('a'), one('b')), dependencies);
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
      config(configured('one', async () => authenticator({ close }))),
      dependencies,
    );
    await generation.retire(60_000);
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('waits for the reviews in progress before it closes', async () => {
    const answer = Promise.withResolvers<{ kind: 'no-opinion' }>();
    const close = vi.fn(async () => undefined);
    const one = configured('one', async () =>
      authenticator({ close, authenticate: () => answer.promise }),
    );
    const generation = await createGeneration(config(one), dependencies);
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
    const hung = configured('hung', async () =>
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
        configured('throws', async () =>
          authenticator({ close: () => Promise.reject(new Error('no')) }),
        ),
        configured('hangs', async () =>
          authenticator({ close: () => new Promise(() => undefined) }),
        ),
        configured('good', async () => authenticator({ close })),
      ),
      dependencies,
    );
    const retired = generation.retire(0);
    await vi.advanceTimersByTimeAsync(5_000);
    await retired;
    expect(close).toHaveBeenCalledTimes(1);
  });
});
