import { homedir } from 'node:os';
import { parseWords, type TargetOptions, tokenOptions } from './arguments.ts';
import { Failure, usageFailure } from './failure.ts';
import { targetFrom, withName } from './find-target.ts';
import type { OwnContext } from './kubeconfig/contexts.ts';
import type { Target } from './target.ts';
import { printable, shellWord } from './text.ts';

/**
 * Finds what a command that a user typed is for: `--url` and `--cluster`, or a context of the kubeconfig. What it does is for the
 * same session that kubectl uses there.
 *
 * @throws Failure when there is no such context
 */
export async function targetOfUser(options: TargetOptions): Promise<Target> {
  const contexts = await readContexts(options.kubeconfig);
  const target = options.url === undefined ? fromContext(contexts, options) : fromUrl(contexts, options);
  const { account } = target;
  if (account !== undefined && options.username !== undefined && account !== options.username) {
    throw usageFailure(
      `this context is for the account ${printable(account)}. For another one: kubectl sallyport init ${target.url} --username NAME`,
    );
  }
  return withName(target, options.username ?? account);
}

function fromContext({ all, current }: Contexts, options: TargetOptions): Target {
  if (options.cluster !== undefined) throw usageFailure('--cluster needs --url. Or name a context: --context NAME');
  const name = options.context ?? current;
  const found = all.find((one) => one.name === name);
  const target = found && targetOf(found, options);
  if (target !== undefined) return target;
  const names = all.map((one) => one.name);
  const what =
    name === undefined
      ? 'the kubeconfig has no current context'
      : `the context ${printable(name)} does not use kubectl-sallyport`;
  const [first] = names;
  throw usageFailure(
    first === undefined
      ? `${what}. Add one: kubectl sallyport init URL`
      : `${what}. These do: ${names.map(printable).join(', ')}. Name one, such as: --context ${shellWord(first)}`,
  );
}

function fromUrl({ all }: Contexts, options: TargetOptions): Target {
  const { username, ...place } = options;
  const target = targetFrom(place, undefined);
  if (target === undefined) throw usageFailure('--url needs --cluster: the name of the cluster at the login server');
  const known = all.flatMap((context) => {
    const found = safeTargetOf(context);
    return found?.url === target.url && found.cluster === target.cluster ? [found] : [];
  });
  // That of a context that says the name; else that of a context that leaves it to the user.
  const found = known.find(({ account }) => account === username) ?? known.find(({ account }) => account === undefined);
  const ca = target.ca ?? known[0]?.ca;
  const account = found === undefined ? username : found.account;
  const { url, cluster } = target;
  return { url, cluster, ...(ca !== undefined && { ca }), ...(account !== undefined && { account }) };
}

function targetOf({ words, config }: OwnContext, options: Pick<TargetOptions, 'ca-file'> = {}): Target | undefined {
  const { values } = parseWords(words, tokenOptions);
  const caFile = options['ca-file'];
  return targetFrom(caFile === undefined ? values : { ...values, 'ca-file': caFile }, config);
}

/** @returns undefined for a context that is wrong: it is not the one that was asked for */
function safeTargetOf(context: OwnContext): Target | undefined {
  try {
    return targetOf(context);
  } catch (error) {
    if (error instanceof Failure) return;
    throw error;
  }
}

interface Contexts {
  readonly all: readonly OwnContext[];
  readonly current: string | undefined;
}

async function readContexts(given?: string): Promise<Contexts> {
  const { currentContext, kubeconfigPaths, readFile } = await import('./kubeconfig/files.ts');
  const { ownContexts } = await import('./kubeconfig/contexts.ts');
  const files = kubeconfigPaths(given, process.env, homedir()).map(readFile);
  return { all: ownContexts(files), current: currentContext(files) };
}

/** The command that logs in for a target, for a message. It is as short as the kubeconfig allows. */
export async function loginCommand({ url, cluster, account }: Target): Promise<string> {
  const command = 'kubectl sallyport login';
  try {
    const { all, current } = await readContexts();
    const isSame = (context: OwnContext) => {
      const target = safeTargetOf(context);
      return target?.url === url && target.cluster === cluster && target.account === account;
    };
    const fitting = all.filter(isSame).map(({ name }) => name);
    const [first] = fitting;
    if (current !== undefined && fitting.includes(current)) return command;
    if (first !== undefined) return `${command} --context ${shellWord(first)}`;
  } catch {
    // The kubeconfig can't be read; kubectl may have another one.
  }
  const ofAccount = account === undefined ? '' : ` --username ${shellWord(account)}`;
  return `${command} --url ${url} --cluster ${shellWord(cluster)}${ofAccount}`;
}
