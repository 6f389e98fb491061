import { existsSync } from 'node:fs';
import { parseWords, type TargetOptions, tokenOptions } from './arguments.ts';
import { extensionName } from './exec-credential.ts';
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
  const { url: urlOption, cluster, 'ca-file': caFile } = options;
  if (urlOption === undefined || cluster !== undefined) return await targetOfUser(options);
  const url = normalizeUrl(urlOption);
  const [context] = contextsFor((await readContexts(options.kubeconfig)).contexts, { url });
  const ca = caFile === undefined ? context?.ca : readCaFile(caFile);
  return { url, ca, account: options.username, ...userFrom(options.username) };
}

function fromContext(
  { paths, contexts, names, current }: Contexts,
  options: TargetOptions,
): Target {
  if (options.cluster !== undefined)
    throw usageFailure('--cluster needs --url', 'add --url, or name a context: --context NAME');
  if (!paths.some((path) => existsSync(path)))
    throw usageFailure(
      `there is no kubeconfig ${paths.join(', ')}`,
      'correct --kubeconfig or KUBECONFIG, or make it: kubectl sallyport init URL',
    );
  const name = options.context ?? current;
  const context = contexts.find((candidate) => candidate.name === name);
  const target = context && readTarget(context, options['ca-file']);
  if (target !== undefined) return target;
  const problem =
    context === undefined
      ? describeProblem(name, names)
      : `the cluster of the context ${context.name} has no extension ${extensionName} that names a login server`;
  const [firstContext] = contexts;
  if (firstContext === undefined) throw usageFailure(problem, addIt);
  const contextNames = contexts.map((context) => context.name).join(', ');
  if (context !== undefined) throw usageFailure(problem, addIt);
  throw usageFailure(
    `${problem}. These use kubectl-sallyport: ${contextNames}`,
    `name one of them, such as: --context ${shellWord(firstContext.name)}. Otherwise, ${addIt}`,
  );
}

const addIt = 'add a context: kubectl sallyport init URL';

function describeProblem(name: string | undefined, names: ReadonlySet<unknown>): string {
  if (name === undefined) return 'the kubeconfig has no current context';
  return names.has(name)
    ? `the user of the context ${name} does not run "kubectl-sallyport token"`
    : `the kubeconfig has no context ${name}`;
}

function fromUrl({ contexts }: Contexts, options: TargetOptions): Target {
  const { username, ...place } = options;
  const target = targetFrom(place, undefined);
  if (target === undefined)
    throw usageFailure(
      '--url needs --cluster',
      'add --cluster with the name of the cluster at the login server',
    );
  const matches = contextsFor(contexts, target);
  // A context that names the user comes before one that leaves the name to the user.
  const match =
    matches.find(({ account }) => account === username) ??
    matches.find(({ account }) => account === undefined);
  const account = match === undefined ? username : match.account;
  return { ...target, ca: target.ca ?? matches[0]?.ca, account };
}

function readTarget({ words, config }: OwnContext, caFile?: string): Target | undefined {
  const { values } = parseWords(words, tokenOptions);
  return targetFrom(caFile === undefined ? values : { ...values, 'ca-file': caFile }, config);
}

/** Finds the contexts for the cluster of a target, or for its login server. A context with an error is left out: no one asked for it. */
function contextsFor(
  contexts: readonly OwnContext[],
  { url, cluster }: { readonly url: string; readonly cluster?: string },
) {
  return contexts.flatMap((context) => {
    try {
      const target = readTarget(context);
      return target?.url === url && target.cluster === (cluster ?? target.cluster)
        ? [{ ...target, name: context.name }]
        : [];
    } catch {
      return [];
    }
  });
}

type Contexts = Awaited<ReturnType<typeof readContexts>>;

async function readContexts(path?: string) {
  const { currentContext, entriesByName, kubeconfigPaths, readFile } = await import(
    './kubeconfig/files.ts'
  );
  const { ownContexts } = await import('./kubeconfig/entries.ts');
  const paths = kubeconfigPaths(path);
  const files = paths.map(readFile);
  const names: ReadonlySet<unknown> = new Set(entriesByName(files, 'contexts').keys());
  return { paths, contexts: ownContexts(files), names, current: currentContext(files) };
}

/** Returns a command for a target, for a message. It is as short as the kubeconfig allows. */
export async function commandFor(target: Target, name = 'login'): Promise<string> {
  const { url, cluster, account } = target;
  const command = `kubectl sallyport ${name}`;
  try {
    const { contexts, current } = await readContexts();
    const fitting = contextsFor(contexts, target).filter((match) => match.account === account);
    if (fitting.some(({ name }) => name === current)) return command;
    if (fitting[0] !== undefined) return `${command} --context ${shellWord(fitting[0].name)}`;
  } catch {
    // The kubeconfig can't be read; kubectl may have another one.
  }
  const ofAccount = account === undefined ? '' : ` --username ${shellWord(account)}`;
  return `${command} --url ${shellWord(url)} --cluster ${shellWord(cluster)}${ofAccount}`;
}

/**
 * Makes the failure of a command that needs a login.
 *
 * @param cause such as `there is no terminal to ask for a password`
 */
export async function notLoggedIn(target: Target, cause?: string): Promise<Failure> {
  const reason = cause === undefined ? '' : `, and ${cause}`;
  const login = await commandFor(target);
  return new Failure(`not logged in to cluster ${target.cluster}${reason}`, `run: ${login}`);
}
