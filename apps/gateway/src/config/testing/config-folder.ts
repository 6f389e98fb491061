import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadConfig } from '../load.ts';
import { type ConfigError, onOneLine, placed } from '../problems.ts';

/** A plugin's source, with the schema given as zod code. */
export function pluginSource(schema: string, changes = ''): string {
  return `import { z } from 'zod';
export default {
  specificationVersion: 1,
  name: 'probe',
  optionsSchema: ${schema},
  caching: 'none',
  create: async () => ({ authenticate: async () => ({ kind: 'no-opinion' }), close: async () => {} }),
  ${changes}
};
`;
}

/** A folder of its own for one test, with `zod` to import. */
export interface ConfigFolder extends AsyncDisposable {
  readonly path: string;
  readonly file: string;
  /** Writes a file, making its folders. */
  write(name: string, content: string | Uint8Array): Promise<void>;
  /** Writes a package that the config's folder depends on. */
  install(name: string, source: string): Promise<void>;
  load(
    yaml: string | Uint8Array,
    environment?: Record<string, string>,
  ): ReturnType<typeof loadConfig>;
  /** The problems of a config that must not load, the folder's path left out of them. */
  problems(yaml: string | Uint8Array, environment?: Record<string, string>): Promise<string[]>;
}

export async function configFolder(): Promise<ConfigFolder> {
  const path = await mkdtemp(join(tmpdir(), 'sallyport-config-'));
  const file = join(path, 'gateway.yaml');
  const write = async (name: string, content: string | Uint8Array) => {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  };
  const load = async (yaml: string | Uint8Array, environment: Record<string, string> = {}) => {
    await write('gateway.yaml', yaml);
    return loadConfig(file, environment);
  };
  await mkdir(join(path, 'node_modules'));
  await symlink(
    dirname(createRequire(import.meta.url).resolve('zod/package.json')),
    join(path, 'node_modules/zod'),
  );
  return {
    path,
    file,
    write,
    load,
    install: async (name, source) => {
      const manifest = {
        name,
        version: '1.0.0',
        type: 'module',
        exports: { import: './index.js' },
      };
      await write(join('node_modules', name, 'package.json'), JSON.stringify(manifest));
      await write(join('node_modules', name, 'index.js'), source);
    },
    problems: async (yaml, environment) => {
      const error: ConfigError = await load(yaml, environment).then(
        () => {
          throw new Error('the config was accepted');
        },
        (reason) => reason,
      );
      if (error.name !== 'ConfigError') throw error;
      return error.problems.map((problem) => onOneLine(placed(problem)).replaceAll(`${path}/`, ''));
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A config that loads, with the given lines of `server` and of its one authenticator. */
export function yaml({
  server = '',
  authenticator = '',
  more = '',
}: {
  server?: string;
  authenticator?: string;
  more?: string;
}): string {
  return `server:
  maxInFlight: 1000
${server}
authenticators:
  - name: probe
    use: ./probe.js
${authenticator}
${more}
`;
}

/** Three options that may be anything. */
const someOptions =
  'z.strictObject({ a: z.unknown(), url: z.unknown(), bind: z.unknown() }).partial()';

/** A folder with the plugin `./probe.js`. */
export async function folderWithProbe(
  source: string = pluginSource(someOptions),
): Promise<ConfigFolder> {
  const folder = await configFolder();
  await folder.write('package.json', '{"type":"module"}');
  await folder.write('probe.js', source);
  return folder;
}

/** The problems of a config whose authenticators are of the plugin `./probe.js`. */
export async function problemsOf(
  yaml: string | Uint8Array,
  source?: string,
  environment?: Record<string, string>,
): Promise<string[]> {
  await using folder = await folderWithProbe(source);
  return await folder.problems(yaml, environment);
}
