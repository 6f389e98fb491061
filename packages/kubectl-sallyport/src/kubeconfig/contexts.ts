import { type ClusterConfig, extensionName, readClusterConfig } from '../exec-credential.ts';
import { isObject } from '../json.ts';
import { entriesOf, findEntry, type KubeconfigFile, type NamedEntry } from './files.ts';

/** A context whose credentials come from this command. */
export interface OwnContext {
  readonly name: string;
  /** Missing when the arguments of the user have it all. */
  readonly config?: ClusterConfig;
  /** The arguments behind `token`. */
  readonly words: readonly string[];
}

/** Lists the contexts that use this command. */
export function ownContexts(files: readonly KubeconfigFile[]): readonly OwnContext[] {
  const contexts = files.flatMap((file) => entriesOf(file, 'contexts'));
  const names = [...new Set(contexts.map(({ name }) => name))];
  return names.flatMap((name) => {
    const context = contexts.find((one) => one.name === name)?.value;
    const words = argumentsOf(findEntry(files, 'users', context?.user));
    if (words === undefined) return [];
    const config = extensionOf(findEntry(files, 'clusters', context?.cluster));
    return [{ name, words, ...(config && { config }) }];
  });
}

/** The arguments that kubectl gives to this command for a user. @returns undefined when it starts another one, or none */
export function argumentsOf(user: NamedEntry | undefined): readonly string[] | undefined {
  const exec = user?.value.exec;
  if (!isObject(exec) || typeof exec.command !== 'string' || !Array.isArray(exec.args)) return;
  const [first, ...words]: readonly unknown[] = exec.args;
  const isOwn = /(^|[/\\])kubectl-sallyport(\.exe|\.cmd)?$/.test(exec.command) && first === 'token';
  return isOwn ? words.filter((word) => typeof word === 'string') : undefined;
}

/** What kubectl hands over as `spec.cluster.config`. */
export function extensionOf(cluster: NamedEntry | undefined): ClusterConfig | undefined {
  const list = cluster?.value.extensions;
  if (!Array.isArray(list)) return;
  const found = list.filter(isObject).find(({ name }) => name === extensionName);
  return readClusterConfig(found?.extension);
}
