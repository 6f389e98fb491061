import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFileWatcher, type FileWatcher } from '../config/files/watcher.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { Generation } from './generation.ts';
import { createReloader } from './reload.ts';
import { createRunningGeneration } from './running.ts';

function generation(name: string): Generation {
  const listen = { host: '127.0.0.1', port: 0 };
  const config = {
    file: '/nowhere/gateway.yaml',
    secretFiles: [],
    pluginFiles: [],
    server: { listen, reviewTimeout: 10_000 },
    admin: { listen },
    authenticators: [{ name }],
    log: { level: 'silent' },
    warnings: [],
  } as unknown as GatewayConfig;
  const retire = vi.fn(async () => undefined);
  return {
    config,
    links: [],
    created: [],
    registries: [],
    files: [],
    redis: undefined,
    login: undefined,
    authenticate: vi.fn(),
    retire,
  };
}

describe('a reload that hangs', () => {
  let watcher: FileWatcher;
  beforeEach(() => {
    vi.useFakeTimers();
    watcher = createFileWatcher();
  });
  afterEach(() => {
    watcher.close();
    vi.useRealTimers();
  });

  test('is abandoned after 30 s, the next one goes on, and the first cannot replace it afterwards', async () => {
    const old = generation('old');
    const running = createRunningGeneration(old.config);
    running.generation = old;
    const [late, next] = [generation('late'), generation('next')];
    const hanging = Promise.withResolvers<Generation>();
    const makeGeneration = vi
      .fn<() => Promise<Generation>>()
      .mockReturnValueOnce(hanging.promise)
      .mockResolvedValueOnce(next);
    const load = async () => running.generation.config;
    const reloaded = vi.fn();
    const reloader = createReloader({
      running,
      load,
      makeGeneration,
      reviews: { updateTls: vi.fn() },
      logins: undefined,
      observers: { reloaded, certificates: vi.fn(), follow: vi.fn() },
      watcher,
      certificateWarnings: { load: vi.fn() },
      logger: pino({ level: 'silent' }),
      shared: { resize: vi.fn() },
    });
    const first = reloader.reload();
    const second = reloader.reload();
    await vi.advanceTimersByTimeAsync(30_000);
    await Promise.all([first, second]);
    expect(running.generation).toBe(next);
    const reported = [
      ['config', ['a reload took longer than 30s']],
      ['config', []],
    ];
    expect(reloaded.mock.calls).toEqual(reported);
    hanging.resolve(late);
    await expect.poll(() => late.retire).toHaveBeenCalledTimes(1);
    expect(running.generation).toBe(next);
    expect(reloaded.mock.calls).toEqual(reported);
  });
});
