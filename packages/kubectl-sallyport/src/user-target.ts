import { parseWords, type TargetOptions, tokenOptions } from './arguments.ts';
import { Failure, usageFailure } from './failure.ts';
import type { OwnContext } from './kubeconfig/entries.ts';
import { normalizeUrl, readCaFile, type Target, targetFrom, userFrom } from './target.ts';
import { shellWord } from './text.ts';

/**
 * Finds what a command that a user typed is for: `--url` and `--cluster`, or a context of the kubeconfig. What it does is for the
 * same session that kubectl uses there.
 */
export async function targetOfUser(options: TargetOptions): Promise<Target> {
  const contexts = await readContexts(options.kubeconfig);
  const target =
    options.url === undefined ? fromContext(contexts, options) : fromUrl(contexts, options);
  const { account } = target;
  if (account !== undefined && options.username !== undefined && account !== options.username) {
    throw usageFailure(
      `this context is for the account ${account}`,
      `for another account, run: kubectl sallyport init ${target.url} --username NAME`,
    );
  }
  return { ...target, ...userFrom(options.username ?? account) };
}

/** Finds the login server of a command that is for no cluster: `--url` alone is enough. */
export async function serverOfUser(options: TargetOptions): Promise<Omit<Target, 'cluster'>> {
  const { url: given, cluster, 'ca-file': caFile } = options;
  if (given === undefined || cluster !== undefined) return await targetOfUser(options);
  const url = normalizeUrl(given);
  const [known] = contextsFor((await readContexts(options.kubeconfig)).all, { url });
  const ca = caFile === undefined ? known?.ca : readCaFile(caFile);
  return { url, ca, account: options.username, ...userFrom(options.username) };
}

function fromContext({ all, names, current }: Contexts, options: TargetOptions): Target {
  if (options.cluster !== undefined)
    throw usageFailure('--cluster needs --url', 'add --url, or name a context: --context NAME');
  const name = options.context ?? current;
  const found = all.find((one) => one.name === name);
  const target = found && targetOf(found, options['ca-file']);
  if (target !== undefined) return target;
  const what = problemOf(name, names);
  const [first] = all;
  if (first === undefined) throw usageFailure(what, 'add a context: kubectl sallyport init URL');
  const own = all.map((one) => one.name).join(', ');
  throw usageFailure(
    `${what}. These use kubectl-sallyport: ${own}`,
    `name one of them, such as: --context ${shellWord(first.name)}`,
  );
}

function problemOf(name: string | undefined, names: ReadonlySet<unknown>): string {
  if (name === undefined) return 'the kubeconfig has no current context';
  return names.has(name)
    ? `the context ${name} does not use kubectl-sallyport`
    : `the kubeconfig has no context ${name}`;
}

function fromUrl({ all }: Contexts, options: TargetOptions): Target {
  const { username, ...place } = options;
  const target = targetFrom(place, undefined);
  if (target === undefined)
    throw usageFailure(
      '--url needs --cluster',
      'add --cluster with the name of the cluster at the login server',
    );
  const known = contextsFor(all, target);
  // A context that names the user comes before one that leaves the name to the user.
  const found =
    known.find(({ account }) => account === username) ??
    known.find(({ account }) => account === undefined);
  const account = found === undefined ? username : found.account;
  return { ...target, ca: target.ca ?? known[0]?.ca, account };
}

function targetOf({ words, config }: OwnContext, caFile?: string): Target | undefined {
  const { values } = parseWords(words, tokenOptions);
  return targetFrom(caFile === undefined ? values : { ...values, 'ca-file': caFile }, config);
}

/** Finds the contexts for the cluster of a target, or for its login server. A context with an error is left out: no one asked for it. */
function contextsFor(
  all: readonly OwnContext[],
  { url, cluster }: { readonly url: string; readonly cluster?: string },
) {
  return all.flatMap((context) => {
    try {
      const target = targetOf(context);
      return target?.url === url && target.cluster === (cluster ?? target.cluster)
        ? [{ ...target, name: context.name }]
        : [];
    } catch {
      return [];
    }
  });
}

type Contexts = Awaited<ReturnType<typeof readContexts>>;

async function readContexts(given?: string) {
  const { currentContext, entriesByName, kubeconfigPaths, readFile } = await import(
    './kubeconfig/files.ts'
  );
  const { ownContexts } = await import('./kubeconfig/entries.ts');
  const files = kubeconfigPaths(given).map(readFile);
  const names: ReadonlySet<unknown> = new Set(entriesByName(files, 'contexts').keys());
  return { all: ownContexts(files), names, current: currentContext(files) };
}

/** Returns a command for a target, for a message. It is as short as the kubeconfig allows. */
export async function commandFor(target: Target, name = 'login'): Promise<string> {
  const { url, cluster, account } = target;
  const command = `kubectl sallyport ${name}`;
  try {
    const { all, current } = await readContexts();
    const fitting = contextsFor(all, target).filter((one) => one.account === account);
    if (fitting.some(({ name }) => name === current)) return command;
    if (fitting[0] !== undefined) return `${command} --context ${shellWord(fitting[0].name)}`;
  } catch {
    // The kubeconfig can't be read; kubectl may have another one.
  }
  const ofAccount = account === undefined ? '' : ` --username ${shellWord(account)}`;
  return `${command} --url ${url} --cluster ${shellWord(cluster)}${ofAccount}`;
}

/**
 * Makes the failure of a command that needs a login.
 *
 * @param why such as `there is no terminal to ask for a password`
 */
export async function notLoggedIn(target: Target, why?: string): Promise<Failure> {
  const reason = why === undefined ? '' : `, and ${why}`;
  const login = await commandFor(target);
  return new Failure(`not logged in to cluster ${target.cluster}${reason}`, `run: ${login}`);
}
