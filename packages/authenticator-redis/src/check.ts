import { randomBytes } from 'node:crypto';
import { type Connection, knownMasters, type Redis } from '@sallyport/redis-connection';
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

  const problems = await connection.run(async (client) => {
    const [only, ...others] = await knownMasters(client);
    if (only === undefined) return [];
    if (others.length === 0) await ask(only);
    else return (await Promise.all([only, ...others].map((node) => problemsOf(node, ask, connection)))).flat();
    return [];
  }, signal);
  if (problems.length > 0) throw new Error(`${connection.name}: ${problems.join('; ')}`);
}

/** Another node of the cluster has the key's slot. So this one answers, and the user may read. */
function ignoreMoved(error: unknown): void {
  if (!(error instanceof Error) || !error.message.startsWith('MOVED ')) throw error;
}

async function problemsOf(
  node: Redis,
  ask: (node: Redis) => Promise<void>,
  connection: Connection,
): Promise<readonly string[]> {
  const { host = '', port = '' } = node.options;
  try {
    await ask(node);
    return [];
  } catch (error) {
    return [`${host}:${port}: ${connection.problemOf(error, host)}`];
  }
}
