import { knownMasters, type RedisClient } from './nodes.ts';

/** The fields of INFO of one server, such as `aof_enabled`, by their names. */
export type ServerInfo = Readonly<Record<string, string>>;

/**
 * Asks each server that holds keys for INFO, which is a right of its own.
 *
 * @throws RedisProblem when one of them is not known or connected
 */
export async function readInfo(client: RedisClient): Promise<readonly ServerInfo[]> {
  const masters = await knownMasters(client);
  const texts = await Promise.all(masters.map((master) => master.info()));
  return texts.map((text) => {
    const lines = text.matchAll(/^(\w+):(.*?)\r?$/gm);
    return Object.fromEntries(Array.from(lines, ([, name = '', value = '']) => [name, value]));
  });
}
