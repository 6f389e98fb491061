import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { parseWords, type TargetOptions, targetOptions } from './arguments.ts';
import type { ClusterConfig } from './exec-credential.ts';
import { reasonOf, usageFailure } from './failure.ts';
import type { OwnContext } from './kubeconfig/contexts.ts';
import { normalizeUrl, type Target } from './target.ts';
import { printable, shellWord } from './text.ts';

/**
 * Finds what a command is for, from its options and, for kubectl, from the extension of the cluster.
 *
 * @returns undefined when neither says it
 */
export function targetFrom(options: TargetOptions, config: ClusterConfig | undefined): Target | undefined {
  const url = options.url ?? config?.login;
  const cluster = options.cluster ?? config?.cluster;
  if (url === undefined || cluster === undefined) return;
  const login = normalizeUrl(url);
  // The CA in the extension is that of the login server in the extension.
  const ofServer = config !== undefined && isUrlOf(config, login) ? config.ca : undefined;
  const ca = options['ca-file'] === undefined ? ofServer : readCaFile(options['ca-file']);
  const username = options.username ?? (process.env.SALLYPORT_USERNAME || undefined);
  return { url: login, cluster, ...(ca !== undefined && { ca }), ...(username !== undefined && { username }) };
}

function isUrlOf({ login }: ClusterConfig, url: string): boolean {
  try {
    return normalizeUrl(login) === url;
  } catch {
    // Another context of the kubeconfig is wrong: it is not asked for.
    return false;
  }
}

/** @returns PEM. @throws Failure when there is no certificate in it */
export function readCaFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageFailure(`--ca-file: cannot read ${file}: ${reasonOf(cause)}`, { cause });
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----/g);
  if (certificates === null) throw usageFailure(`--ca-file: ${file} has no certificate. It must be PEM`);
  return `${certificates.join('\n')}\n`;
}

/**
 * Finds what a command that a user typed is for: `--url` and `--cluster`, or a context of the kubeconfig.
 *
 * @throws Failure when there is no such context
 */
export async function targetOfUser(options: TargetOptions): Promise<Target> {
  const { url, cluster, context } = options;
  const { all, current } = await readContexts(options.kubeconfig);
  if (url !== undefined && cluster !== undefined) {
    const login = normalizeUrl(url);
    const known = all.find(({ config }) => config?.cluster === cluster && isUrlOf(config, login));
    const found = targetFrom(options, known?.config);
    if (found !== undefined) return found;
  }
  const name = context ?? current;
  const found = all.find((one) => one.name === name);
  const target = found && targetOf(found, options);
  if (target !== undefined) return target;
  const names = all.map((one) => one.name);
  const what =
    name === undefined
      ? 'the kubeconfig has no current context'
      : `the context ${printable(name)} does not use kubectl-sallyport`;
  const first = names[0] === undefined ? 'URL' : `--context ${shellWord(names[0])}`;
  throw usageFailure(
    names.length === 0
      ? `${what}. Add one: kubectl sallyport init URL`
      : `${what}. These do: ${names.map(printable).join(', ')}. Name one, such as: ${first}`,
  );
}

function targetOf({ words, config }: OwnContext, options: TargetOptions): Target | undefined {
  const { values } = parseWords(words, targetOptions);
  return targetFrom({ ...values, ...options }, config);
}

interface Contexts {
  readonly all: readonly OwnContext[];
  readonly current: string | undefined;
}

async function readContexts(given: string | undefined): Promise<Contexts> {
  const { currentContext, kubeconfigPaths, readFile } = await import('./kubeconfig/files.ts');
  const { ownContexts } = await import('./kubeconfig/contexts.ts');
  const files = kubeconfigPaths(given, process.env, homedir()).map(readFile);
  return { all: ownContexts(files), current: currentContext(files) };
}

/** The command that logs in for a target, for a message. It is as short as the kubeconfig allows. */
export async function loginCommand({ url, cluster, username }: Target): Promise<string> {
  const command = 'kubectl sallyport login';
  const account = username === undefined ? '' : ` --username ${shellWord(username)}`;
  try {
    const { all, current } = await readContexts(undefined);
    const isSame = (context: OwnContext) => {
      const target = targetOf(context, {});
      return target?.url === url && target.cluster === cluster && target.username === username;
    };
    const fitting = all.filter(isSame).map(({ name }) => name);
    const [first] = fitting;
    if (current !== undefined && fitting.includes(current)) return command;
    if (first !== undefined) return `${command} --context ${shellWord(first)}`;
  } catch {
    // The kubeconfig can't be read; kubectl may have another one.
  }
  return `${command} --url ${url} --cluster ${shellWord(cluster)}${account}`;
}
