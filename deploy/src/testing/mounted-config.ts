import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type KubernetesObject, only } from './manifests.ts';

/** The user and group of the pod. */
const account = 65532;

/** The data of Secrets, by the name of the Secret. */
export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Source {
  readonly configMap?: { readonly name: string; readonly items?: readonly Item[] };
  readonly secret?: { readonly name: string; readonly items?: readonly Item[] };
}

interface Item {
  readonly key: string;
  readonly path: string;
}

/**
 * Lays the pod's volume out in an empty folder, as the kubelet does: the files belong to root and to the group of fsGroup,
 * and links lead to them through `..data`, which one rename replaces.
 *
 * @throws Error when an object lacks a key that the volume names
 */
export async function mountConfig(
  objects: readonly KubernetesObject[],
  secrets: Secrets,
  folder: string,
): Promise<void> {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  if (workload === undefined) throw new Error('no workload');
  const { defaultMode, sources } = workload.spec.template.spec.volumes[0].projected;
  const files = new Map<string, string>();
  for (const { configMap, secret } of sources as readonly Source[]) {
    const { name, items } = configMap ?? secret ?? { name: '' };
    const data = configMap ? only(objects, 'ConfigMap', name).data : secrets[name];
    for (const { key, path } of items ??
      Object.keys(data).map((one) => ({ key: one, path: one }))) {
      if (data?.[key] === undefined) throw new Error(`${name} has no key ${key}`);
      files.set(path, data[key]);
    }
  }
  const version = '..2026_01_01_00_00_00.1';
  await symlink(version, join(folder, '..data'));
  for (const [path, text] of files) {
    const file = join(folder, version, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, defaultMode);
    await giveToGroup(file);
    for (let parent = dirname(file); parent !== folder; parent = dirname(parent)) {
      await giveToGroup(parent);
      await chmod(parent, 0o2755);
    }
  }
  for (const name of new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''))) {
    await symlink(join('..data', name), join(folder, name));
  }
  await chmod(folder, 0o3777);
}

/** Changes the owner if it runs as root. For another account the files stay its own, which the gateway accepts, too. */
async function giveToGroup(file: string): Promise<void> {
  if (process.getuid?.() === 0) await chown(file, 0, account);
}
