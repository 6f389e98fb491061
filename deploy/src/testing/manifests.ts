import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { parseAllDocuments, stringify } from 'yaml';
import { type KubernetesTools, runTool } from './kubernetes-tools.ts';

/** The folder with the manifests and the chart. */
export const deployFolder: string = fileURLToPath(new URL('../..', import.meta.url));
export const kustomizeFolder: string = join(deployFolder, 'kubernetes');

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own fields; the validators know them
  readonly [field: string]: any;
}

/** The objects of a YAML stream, in the order of their kinds and names. @throws Error for bad YAML */
export function readObjects(text: string): KubernetesObject[] {
  const documents = parseAllDocuments(text) as ReturnType<typeof parseAllDocuments> & {
    empty?: true;
  };
  const objects = [...documents].map((document): KubernetesObject | null => {
    if (document.errors.length > 0) throw new AggregateError(document.errors, 'bad YAML');
    return document.toJS();
  });
  const name = ({ kind, metadata }: KubernetesObject) => `${kind}/${metadata.name}`;
  return objects
    .filter((object) => object !== null)
    .sort((one, two) => (name(one) < name(two) ? -1 : 1));
}

const rendered = new Map<string, Promise<string>>();

/** Renders an overlay with components, through a kustomization in another folder, as users do; each only once. */
export async function renderOverlay(
  tools: KubernetesTools,
  overlay: string,
  components: readonly string[] = [],
): Promise<KubernetesObject[]> {
  const key = [overlay, ...components].join();
  const text = rendered.get(key) ?? kustomize(tools, overlay, components);
  rendered.set(key, text);
  return readObjects(await text);
}

async function kustomize(
  tools: KubernetesTools,
  overlay: string,
  components: readonly string[],
): Promise<string> {
  await using folder = await temporaryFolder('kustomize');
  const from = relative(folder.path, kustomizeFolder);
  const kustomization = {
    resources: [join(from, 'overlays', overlay)],
    components: components.map((component) => join(from, 'components', component)),
  };
  await writeFile(join(folder.path, 'kustomization.yaml'), stringify(kustomization));
  return await tools.kubectl('kustomize', folder.path);
}

/** Renders the chart with values. */
export async function renderChart(
  tools: KubernetesTools,
  values: Readonly<Record<string, unknown>> = {},
): Promise<KubernetesObject[]> {
  await using folder = await temporaryFolder('helm');
  const file = join(folder.path, 'values.yaml');
  await writeFile(file, stringify(values));
  const chart = join(deployFolder, 'helm/sallyport');
  return readObjects(
    await tools.helm('template', 'sallyport', chart, '--namespace=sallyport', `--values=${file}`),
  );
}

/** All ways to deploy, each with all components that work with it. */
export const componentsOf: Readonly<Record<string, readonly string[]>> = {
  'control-plane': ['login', 'cert-manager'],
  service: ['redis', 'cert-manager', 'monitoring', 'network-policy', 'login'],
  'load-balancer': ['redis', 'cert-manager', 'monitoring', 'network-policy'],
};
export const ways: readonly string[] = Object.keys(componentsOf);

/** The spec of the pod. */
// biome-ignore lint/suspicious/noExplicitAny: as the fields of an object
export function podOf(objects: readonly KubernetesObject[]): any {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  return workload?.spec.template.spec;
}

export function only(
  objects: readonly KubernetesObject[],
  kind: string,
  name?: string,
): KubernetesObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${found.length} objects of the kind ${kind}`);
  return found[0];
}

/** The module of kubernetes-models with the class and the interface of a kind. */
function moduleOf({ apiVersion, kind }: KubernetesObject): string {
  const [group = ''] = apiVersion.split('/');
  const packages: Readonly<Record<string, string>> = {
    'cert-manager.io': '@kubernetes-models/cert-manager',
    'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  };
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/** Finds wrong types and values, and missing fields; unknown fields pass. @returns the problem, if there is one */
export async function problemOf(object: KubernetesObject): Promise<string | undefined> {
  const module = await import(moduleOf(object));
  try {
    new module[object.kind](object).validate();
    return;
  } catch (error) {
    return `${object.kind} ${object.metadata.name}: ${(error as Error).message}`;
  }
}

/** Finds unknown fields with the compiler: an object literal may have no field that its type lacks. @returns its errors */
export async function unknownFieldsOf(objects: readonly KubernetesObject[]): Promise<string> {
  // The file is inside this package, so that the compiler finds the types.
  const folder = join(deployFolder, 'test-results');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `typed-${randomUUID()}.ts`);
  const literals = new Set(
    objects.map(
      (object) =>
        `import('${moduleOf(object)}').I${object.kind} = ${JSON.stringify(object, null, 1)};`,
    ),
  );
  await writeFile(
    file,
    [...literals].map((literal, index) => `export const o${index}: ${literal}`).join('\n'),
  );
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--types',
    '--ignoreConfig',
  ];
  return runTool('tsc', [...options, file])
    .then(
      () => '',
      (error: { stdout?: string; message: string }) => error.stdout || error.message,
    )
    .finally(() => rm(file));
}
