import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { run } from '../run.ts';

/** The process of an image, as umoci describes it to a runtime. */
interface ImageProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number };
}

export interface Container {
  readonly root: string;
  readonly process: ImageProcess;
  /** Starts a program of the image, by default the one that the image names. */
  start(words?: readonly string[]): ChildProcess;
}

/**
 * Runs an image without a container engine: none runs with the cgroups of this project's machines (crun was tried). A mount
 * namespace and chroot replace it: the root and the config are read-only, and the process has the user of the image and no
 * capability.
 */
const enter = `set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$1/etc/sallyport"
mount -o remount,bind,ro "$1/etc/sallyport"
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -o remount,bind,ro "$1"
user=$3
cd "$1"
shift 3
exec setpriv --no-new-privs chroot --userspec="$user" --groups= . "$@"`;

/**
 * Unpacks an image of an OCI archive with umoci, which knows nothing of how it was made.
 *
 * @param config the folder that is mounted at /etc/sallyport
 */
export async function unpackImage(
  archive: string,
  version: string,
  folder: string,
  config: string,
): Promise<Container> {
  if (process.getuid?.() !== 0)
    throw new Error('only root can start the image: run this test as root');
  const [layout, bundle] = [join(folder, 'layout'), join(folder, 'bundle')];
  await mkdir(layout);
  await run('tar', ['--extract', '--file', archive, '--directory', layout]);
  await run('umoci', ['unpack', '--image', `${layout}:${version}`, bundle]);
  const root = join(bundle, 'rootfs');
  // A runtime provides these, too.
  for (const name of ['proc', 'dev']) await mkdir(join(root, name));
  for (const name of ['etc/hosts', 'etc/resolv.conf'])
    await copyFile(join('/', name), join(root, name));
  const { process: found } = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')) as {
    process: ImageProcess;
  };
  const { args, env, user } = found;
  return {
    root,
    process: found,
    start(words = args) {
      const own = [root, config, `${user.uid}:${user.gid}`, ...words];
      const variables = Object.fromEntries(env.map((line) => line.split(/=(.*)/s)));
      return spawn('/usr/bin/unshare', ['--mount', '/bin/sh', '-c', enter, 'enter', ...own], {
        env: { ...variables, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      });
    },
  };
}

/** Runs a program of the image to its end. */
export async function runToEnd(
  child: ChildProcess,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  if (!child.stdout || !child.stderr) throw new Error('the program has no output');
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

/** A line of the gateway's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Waits until the gateway listens. @throws Error with its output, when it ends before that */
export async function listening(child: ChildProcess): Promise<LogLine> {
  if (!child.stderr) throw new Error('the gateway has no standard error');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    if (line.includes('"listening"')) {
      child.stderr.resume();
      return JSON.parse(line) as LogLine;
    }
  }
  throw new Error(`the gateway ended before it listened:\n${lines.join('\n')}`);
}
