import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gatewayFolder } from '@sallyport/test/command';
import { temporaryFolder } from '@sallyport/test/folder';
import { runProgram } from '@sallyport/test/shell';

/** A value for a secret, by its name. */
function sampleOf(name: string): string {
  if (/url/i.test(name)) return 'rediss://gateway:password@redis.example.com:6379';
  return randomBytes(32).toString('base64');
}

/** Writes a config with values for its secrets. */
async function writeConfig(folder: string, config: string) {
  const files = [...config.matchAll(/\bfile: ([\w./-]+)/g)].map(([, name = '']) => name);
  for (const name of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), sampleOf(name));
  }
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, config);
  const names = [...config.matchAll(/\{ env: (\w+) \}/g)].map(([, name = '']) => name);
  return { file, environment: Object.fromEntries(names.map((name) => [name, sampleOf(name)])) };
}

/** Loads configs as the gateway does when it starts, in one process. @returns the problems of each */
export async function problemsOfConfigs(
  configs: readonly string[],
): Promise<readonly (readonly string[])[]> {
  const root = await temporaryFolder('configs');
  const written = await Promise.all(
    configs.map(async (config, index) => {
      const folder = join(root, String(index));
      await mkdir(folder);
      return writeConfig(folder, config);
    }),
  );
  const input = join(root, 'configs.json');
  await writeFile(input, JSON.stringify(written));
  const program = join(gatewayFolder, 'src/config/testing/load-configs.ts');
  const { code, stdout, stderr } = await runProgram(
    'sh',
    ['-c', '"$0" "$1" < "$2"', process.execPath, program, input],
    { cwd: root, env: { PATH: process.env.PATH ?? '' } },
  );
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
