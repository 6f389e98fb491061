import { randomBytes } from 'node:crypto';
import { knownMasters, type Redis } from '@sallyport/redis-connection';
import type { Store } from './store.ts';

/**
 * Looks up a token that does not exist at every server that a login may use. So it also finds missing rights.
 *
 * @throws Error with the problems of all servers
 */
export async function checkServers(
  { connection, layout, keys }: Store,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<void> {
  const digest = randomBytes(32).toString('hex');
  const key = keys.record(digest);

  async function ask(node: Redis): Promise<void> {
    const answers: readonly Promise<unknown>[] = [
      node.call(...layout.query(key)),
      node.pttl(key),
      node.echo(key),
      ...(tracksLastUse ? [node.set(keys.lastUse(digest), '', 'PX', 1)] : []),
    ];
    await Promise.all(answers.map((answer) => answer.catch(ignoreMoved)));
  }

  async function problemsOf(node: Redis): Promise<readonly string[]> {
    const { host = '', port = '' } = node.options;
    return await ask(node).then(
      () => [],
      (error: unknown) => [`${host}:${port}: ${connection.problemOf(error, host)}`],
    );
  }

  const problems = await connection.run(async (client) => {
    const nodes = await knownMasters(client);
    if (nodes.length > 1) return (await Promise.all(nodes.map(problemsOf))).flat();
    // The message of an error has the name of the only server already.
    await Promise.all(nodes.map(ask));
    return [];
  }, signal);
  if (problems.length > 0) throw new Error(`${connection.name}: ${problems.join('; ')}`);
}

/** Another node of the cluster has the key's slot. So this one answers, and the user may read. */
function ignoreMoved(error: unknown): void {
  if (!(error instanceof Error) || !error.message.startsWith('MOVED ')) throw error;
}
