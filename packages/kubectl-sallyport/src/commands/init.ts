import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { parseWords } from '../arguments.ts';
import { Failure, usageFailure, warn } from '../failure.ts';
import { addContext, type NewContext } from '../kubeconfig/add-context.ts';
import { readClusterData } from '../kubeconfig/entries.ts';
import { kubeconfigPaths } from '../kubeconfig/files.ts';
import { listClusters, readKubeconfig } from '../server/login-server.ts';
import { initCommand, type ServerAddress } from '../server/request.ts';
import { normalizeUrl, readCaFile } from '../target.ts';
import { printable, shellWord } from '../text.ts';

const options = {
  all: { type: 'boolean' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
  'keep-context': { type: 'boolean' },
  'no-cluster-info': { type: 'boolean' },
  'ca-file': { type: 'string' },
  username: { type: 'string' },
} as const;

/** Adds clusters of a login server to the kubeconfig. */
export async function initKubeconfig(words: readonly string[]): Promise<void> {
  const { values, positionals } = parseWords(words, options, 2);
  const [url, named] = positionals;
  if (url === undefined)
    throw usageFailure('init needs the URL of a login server', 'run: kubectl sallyport init URL');
  const isForAll = values.all ?? false;
  const caFile = values['ca-file'];
  const account = values.username;
  if (named !== undefined && /^https?:/.test(named)) {
    const inOrder = { url: normalizeUrl(named), cluster: url, account, caFile };
    throw usageFailure('the URL comes before the cluster', `run: ${initCommand(inOrder)}`);
  }
  if (isForAll && (named !== undefined || values.context !== undefined)) {
    throw usageFailure('--all is for all clusters', 'leave out CLUSTER and --context');
  }
  const ca = caFile === undefined ? undefined : readCaFile(caFile);
  const address = {
    url: normalizeUrl(url),
    ca,
    caFile,
    cluster: named,
    account,
    isForAll,
  };
  const paths = kubeconfigPaths(values.kubeconfig);
  const chosen = choose((await listClusters(address)).names, address);
  const makeCurrent = chosen.length === 1 && !values['keep-context'];
  for (const cluster of chosen) {
    const clusterData = readClusterData(
      await readKubeconfig(address, cluster),
      cluster,
      address.url,
    );
    const ofArguments = [
      '--url',
      address.url,
      '--cluster',
      cluster,
      ...(caFile ? ['--ca-file', resolve(caFile)] : []),
    ];
    const newContext: NewContext = {
      context: values.context ?? (account === undefined ? cluster : `${cluster}-${account}`),
      login: address.url,
      cluster,
      ca: ca ?? clusterData.ca,
      data: clusterData.data,
      username: account,
      words: values['no-cluster-info'] ? ofArguments : [],
    };
    report(newContext.context, addContext(paths, newContext, makeCurrent), makeCurrent);
  }
  if (!isOnPath(process.env.PATH)) {
    warn(
      'kubectl-sallyport is not in a folder of PATH, so kubectl will not find it',
      'move the program there, or install its package: npm install -g ./kubectl-sallyport-VERSION.tgz',
    );
  }
}

/** Says whether kubectl will find this command. */
export function isOnPath(path = '', platform = process.platform): boolean {
  const names = (platform === 'win32' ? ['.cmd', '.exe', '.ps1'] : ['']).map(
    (ending) => `kubectl-sallyport${ending}`,
  );
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
}

/** Chooses the clusters to add. @throws Failure that lists the clusters when there is a choice, or no such cluster */
function choose(names: readonly string[], address: ServerAddress): readonly string[] {
  const { url, cluster: named, isForAll } = address;
  const list = names.join(', ');
  if (names.length === 0)
    throw new Failure(`${url}: it has no clusters to log in to`, 'ask your administrator');
  if (named !== undefined) {
    if (names.includes(named)) return [named];
    throw usageFailure(`${url}: it has no cluster ${named}`, `name one of ${list}`);
  }
  if (isForAll || names.length === 1) return names;
  const takeAll = initCommand({ ...address, isForAll: true });
  throw usageFailure(
    `${url}: it has several clusters: ${list}`,
    `name one, or add all: ${takeAll}`,
  );
}

function report(
  context: string,
  { path, isNew, previousContext }: ReturnType<typeof addContext>,
  isCurrent: boolean,
): void {
  const word = shellWord(context);
  const name = printable(context);
  const lines = [isNew ? `added context ${name} to ${path}` : `updated context ${name} in ${path}`];
  if (!isCurrent) lines.push(`  to use it: kubectl config use-context ${word}`);
  else if (previousContext !== undefined && previousContext !== context) {
    lines.push(
      `  it is the current context now; to go back: kubectl config use-context ${shellWord(previousContext)}`,
    );
  }
  lines.push(`  to log in: kubectl sallyport login${isCurrent ? '' : ` --context ${word}`}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
