import { resolve } from 'node:path';
import type { Attempts, PluginContext } from '@sallyport/authenticator';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { AuthenticatorConfig } from '../config/types.ts';
import { loadWatchedFile, type WatchedFile } from '../files/watched-file.ts';
import { createPluginMetrics } from '../plugin-metrics/plugin-metrics.ts';
import { withTimeLimit } from './time-limit.ts';

/** How long a plugin may take, in milliseconds: it must succeed while its backend is down, so it has no reason to wait. */
const makeTimeout = 10_000;

/** How long one `close()` may take, in milliseconds. */
const closeTimeout = 5_000;

export interface CreateDependencies {
  readonly logger: Logger;
  readonly attempts: (authenticator: string) => Attempts;
  /** Told of each file that a plugin is about to read. */
  readonly onFile?: (file: string) => void;
  /** Called when a file can't be used, in place of a throw to the plugin: `check` reports all such files at once. */
  readonly onUnusableFile?: (error: unknown) => void;
}

/** What plugins make holds connections and timers. */
interface Closeable {
  close(): Promise<void>;
}

export interface Made<Thing> {
  readonly made: Thing;
  readonly registry: Registry;
  /** What it reads through `watchFile`. */
  readonly files: readonly WatchedFile[];
}

/**
 * Has the plugin of an authenticator make something, with all that the contract promises it.
 *
 * @param call the plugin's function, for the message when it takes too long
 * @throws Error with what the plugin said, or that it took too long
 */
export async function makeWithPlugin<Thing extends Closeable>(
  call: 'create' | 'createTokenIssuer',
  config: AuthenticatorConfig,
  baseDirectory: string,
  dependencies: CreateDependencies,
  make: (context: PluginContext) => Promise<Thing>,
): Promise<Made<Thing>> {
  const { metrics, registry } = createPluginMetrics(config.plugin.name, config.name);
  const files: WatchedFile[] = [];
  const late = `${call}() took longer than ${makeTimeout / 1000} s: it must not wait for its backend`;
  const made = await withTimeLimit(makeTimeout, late, async (signal) => {
    const thing = await make({
      logger: dependencies.logger.child({ authenticator: config.name }),
      metrics,
      baseDirectory,
      signal,
      attempts: dependencies.attempts(config.name),
      async watchFile(file, load, { secret = false, limit } = {}) {
        const path = resolve(baseDirectory, file);
        dependencies.onFile?.(path);
        try {
          files.push({ ...(await loadWatchedFile(path, load, limit)), secret });
        } catch (error) {
          if (dependencies.onUnusableFile === undefined) throw error;
          dependencies.onUnusableFile(error);
        }
      },
    });
    // It was given up: what it made after all must not live on unseen.
    if (signal.aborted) await thing.close();
    return thing;
  });
  return { made, registry, files };
}

/**
 * Closes what a plugin made, and goes on when it can't: what is being left must not hold up what follows.
 *
 * @param what for the log: `authenticator` or `token issuer`
 * @param limit in milliseconds
 */
export async function closeMade(
  what: string,
  made: Closeable,
  authenticator: string,
  logger: Logger,
  limit: number = closeTimeout,
): Promise<void> {
  try {
    await withTimeLimit(limit, `close() took longer than ${limit / 1000} s`, () => made.close());
  } catch (error) {
    logger.warn({ err: error, authenticator }, `${what} could not be closed`);
  }
}
