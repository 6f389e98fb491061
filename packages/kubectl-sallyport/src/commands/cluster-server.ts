import type { CacheStore } from '../cache/store.ts';
import { exitCodes, Failure, usageFailure } from '../failure.ts';
import { readKubeconfig } from '../server/login-server.ts';
import { initCommand } from '../server/request.ts';
import type { Target } from '../target.ts';
import { shellWord } from '../text.ts';
import { commandFor } from '../user-target.ts';

/**
 * Refuses to give kubectl a token for another server than the login server names for the cluster: a kubeconfig of someone else could
 * send it there. The login server is asked only if its last answer, which is remembered, does not name the server.
 *
 * @param server to which kubectl sends the token. Undefined: kubectl does not say
 * @throws Failure
 */
export async function refuseOtherServer(
  target: Target,
  server: string | undefined,
  store: CacheStore,
): Promise<void> {
  if (server === undefined) return;
  const place = normalizeServer(server);
  const { server: remembered, allowedServers } = store.memory.read();
  if (isNamed(place, remembered) || allowedServers.includes(place)) return;
  const named = await rememberServer(target, store);
  if (isNamed(place, named)) return;
  const { url, cluster } = target;
  throw new Failure(
    `this kubeconfig sends the token of cluster ${cluster} to ${place}, but the login server ${url} names ${named}`,
    `check who made this kubeconfig, and run: ${initCommand({ url, cluster })}. ` +
      `If it is your own way to the cluster, such as a tunnel, run: ${await commandFor(target)} --allow-server ${shellWord(place)}`,
  );
}

/** Checks a server that the user allows. @throws Failure unless it is a URL */
export function checkedServer(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return normalizeServer(text);
  throw usageFailure(
    `--allow-server: ${text} is not the URL of an API server`,
    'write the server of the cluster in the kubeconfig, such as https://127.0.0.1:6443',
  );
}

/** Says whether the login server names this server. One that names none says nothing against it. */
function isNamed(place: string, named: string | undefined): boolean {
  return named !== undefined && (named === '' || normalizeServer(named) === place);
}

/**
 * Asks the login server where the cluster is, and remembers its answer.
 *
 * @returns an empty text if it does not say
 * @throws Failure when it is unavailable
 */
export async function rememberServer(target: Target, { memory }: CacheStore): Promise<string> {
  const server = await askForServer(target);
  memory.remember({ server });
  return server;
}

async function askForServer(target: Target): Promise<string> {
  let text = '';
  try {
    text = await readKubeconfig(target, target.cluster);
  } catch (error) {
    if (!(error instanceof Failure) || error.exitCode !== exitCodes.usage) throw error;
  }
  const { readClusterData } = await import('../kubeconfig/entries.ts');
  try {
    return readClusterData(text, target.cluster, target.url).data.server;
  } catch {
    return '';
  }
}

/** Writes a URL in one way: kubectl accepts it with a slash at its end, with its default port, and in capitals. */
function normalizeServer(text: string): string {
  if (!URL.canParse(text)) return text;
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}
