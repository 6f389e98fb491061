import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { stringify } from 'yaml';
import type { CommandContext } from '../commands/context.ts';
import { type Operator, operatorIn } from './operator.ts';

/** A gateway.yaml as an object, or as a text if a test is about the text. */
export type Config = Readonly<Record<string, unknown>> | string;

/** Says that the cache Redis is new, unless the test says something else: otherwise no one is let in. */
function onNewRedis({ cache, ...config }: Readonly<Record<string, unknown>>): object {
  const { redis, ...caching } = (cache ?? {}) as { redis?: object };
  if (redis === undefined) return { ...config, ...(cache !== undefined && { cache }) };
  return { ...config, cache: { ...caching, redis: { startWithoutBlocks: true, ...redis } } };
}

/** Adds the keys that all gateways under test share: port 0, no wait at the end, and the log level with the most lines. */
export function configText(config: Config): string {
  if (typeof config === 'string') return config;
  const { server, admin } = config as { server?: object; admin?: object };
  return stringify({
    ...onNewRedis(config),
    server: { listen: '127.0.0.1:0', shutdownDelay: '0s', drainTimeout: '5s', ...server },
    admin: { listen: '127.0.0.1:0', ...admin },
    log: { level: 'trace' },
  });
}

/** A folder with a gateway.yaml, and `sallyport` as an operator runs it there. Disposing it deletes the folder. */
export interface ConfigFolder extends Operator, AsyncDisposable {
  readonly folder: string;
  /** Writes a file that only its owner can read. */
  write(name: string, text: string): Promise<void>;
}

/** @param files files next to gateway.yaml. @param changes see `operatorIn` */
export async function createConfigFolder(
  config: Config,
  files: Readonly<Record<string, string>> = {},
  changes: Partial<CommandContext> = {},
): Promise<ConfigFolder> {
  const temporary = await temporaryFolder('config');
  const folder = temporary.path;
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text, { mode: 0o600 });
  };
  for (const [name, text] of Object.entries({ ...files, 'gateway.yaml': configText(config) }))
    await write(name, text);
  return {
    ...operatorIn(folder, changes),
    folder,
    write,
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}
