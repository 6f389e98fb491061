import { randomBytes } from 'node:crypto';
import { knownMasters } from './connection/masters.ts';
import { faultOf } from './connection/redis-fault.ts';
import type { Source } from './look-up.ts';

/**
 * Asks every server that may be asked at a login for a token that nobody has: so a right that is missing is found, too.
 *
 * @throws Error in plain words
 */
export async function checkServers(
  { connection, layout, keys }: Source,
  tracksLastUse: boolean,
  signal: AbortSignal,
): Promise<void> {
  const digest = randomBytes(32).toString('hex');
  const key = keys.record(digest);
  const problems = await connection.run(async (client) => {
    const masters = await knownMasters(client);
    const asked = masters.map(async (node) => {
      try {
        await Promise.all([node[layout.command](key), node.pttl(key)]);
        if (tracksLastUse) await node.set(keys.lastUse(digest), '', 'PX', 1);
        return [];
      } catch (error) {
        // Another node has the key's slot: this one answers, and the user may ask.
        if (error instanceof Error && /^MOVED /.test(error.message)) return [];
        const { host = '', port = '' } = node.options;
        return [`${masters.length > 1 ? `${host}:${port}: ` : ''}${faultOf(error, host).problem}`];
      }
    });
    return (await Promise.all(asked)).flat();
  }, signal);
  if (problems.length > 0) throw new Error(`${connection.name}: ${problems.join('; ')}`);
}
