import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { CreateError, createPlugin, problemOfName } from './create.ts';

const pluginFolder = (name: string) => `packages/authenticator-${name}`;

/** @returns what is wrong with the name of a plugin that would be shipped; undefined for a valid one */
export function problemInside(root: string, name: string): CreateError | undefined {
  const folder = pluginFolder(name);
  const exists = existsSync(join(root, folder));
  return (
    problemOfName(name) ??
    (exists
      ? new CreateError(`${folder} exists, so nothing was written`, 'choose another name')
      : undefined)
  );
}

/**
 * Adds a plugin to this repository, so that `use: NAME` finds it: the package, the gateway's dependency on it, the lockfile, and
 * the JSON Schema of gateway.yaml.
 *
 * @param root the root of the repository
 * @returns what to do next
 * @throws CreateError when the name is bad or taken
 */
export async function addToRepository(root: string, name: string): Promise<string> {
  const problem = problemInside(root, name);
  if (problem !== undefined) throw problem;
  const folder = pluginFolder(name);
  const packageName = `@sallyport/authenticator-${name}`;
  const files = await createPlugin(join(root, folder), {
    name,
    packageName,
    place: 'inside',
    language: 'ts',
  });
  const gateway = join(root, 'apps/gateway');
  await addDependency(join(gateway, 'package.json'), packageName);
  // In CI the lockfile would be frozen.
  await pnpm(root, ['install', '--prefer-offline', '--no-frozen-lockfile']);
  const schema = await run(process.execPath, [join(gateway, 'src/sallyport.js'), 'schema'], root);
  await writeFile(join(gateway, 'gateway.schema.json'), schema);
  const updatedFiles = [
    'apps/gateway/package.json',
    'apps/gateway/gateway.schema.json',
    'pnpm-lock.yaml',
  ];
  return `Created ${packageName}:

${files.map((file) => `  ${folder}/${file}`).join('\n')}

and added it to ${updatedFiles.join(', ')}. Run its tests and the checks:

  npx -y pnpm@10 --filter ${packageName} test
  npx -y pnpm@10 check

${folder}/README.md says what to change.
`;
}

/** The gateway ships the plugins that its manifest depends on. */
async function addDependency(file: string, packageName: string): Promise<void> {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    await readFile(file, 'utf8'),
  );
  const dependencies = Object.entries({ ...manifest.dependencies, [packageName]: 'workspace:^' });
  dependencies.sort(([a], [b]) => (a < b ? -1 : 1));
  const changed = { ...manifest, dependencies: Object.fromEntries(dependencies) };
  await writeFile(file, `${JSON.stringify(changed, undefined, 2)}\n`);
}

/** Runs the pnpm that runs this process, else one that npx brings. */
async function pnpm(root: string, words: readonly string[]): Promise<void> {
  const running = process.env.npm_execpath ?? '';
  const isPnpm = /^pnpm(\.[cm]?js)?$/.test(basename(running));
  const runningPnpm = /js$/.test(running) ? [process.execPath, running] : [running];
  const [command = '', ...args] = isPnpm ? runningPnpm : ['npx', '-y', 'pnpm@10'];
  await run(command, [...args, ...words], root);
}

/** @returns its standard output. @throws CreateError with what it wrote, when it fails */
async function run(command: string, words: readonly string[], cwd: string): Promise<string> {
  try {
    return (await promisify(execFile)(command, words, { cwd, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new CreateError(
      `the files are written, but this failed: ${[basename(command), ...words].join(' ')}\n${(stdout + stderr).trimEnd()}`,
      'fix that, and run: npx -y pnpm@10 install && npx -y pnpm@10 --filter gateway run schema',
    );
  }
}
