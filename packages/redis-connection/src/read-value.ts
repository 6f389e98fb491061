import { Cluster } from 'ioredis';
import type { RedisClient } from './client.ts';

/** A value and how long Redis keeps it still. */
export interface KeptValue {
  readonly reply: unknown;
  /** Milliseconds; -1: without end; -2: it is not there (https://redis.io/docs/latest/commands/pttl/). */
  readonly timeToLive: unknown;
}

/**
 * One round trip, and one write together with all that is asked in the same turn: ioredis puts the commands of a turn
 * into one pipeline, in a cluster one for each node.
 */
export async function readValue(client: RedisClient, command: 'get' | 'hgetall', key: string): Promise<KeptValue> {
  try {
    const [reply, timeToLive] = await Promise.all([client[command](key), client.pttl(key)]);
    return { reply, timeToLive };
  } catch (error) {
    if (!(client instanceof Cluster) || !mayHaveMoved(error)) throw error;
    return await readAlone(client, command, key);
  }
}

/**
 * In a pipeline of several keys ioredis follows no redirection, since each is sent to another place, nor does it look
 * where the slots are now. In one of its own it does both.
 */
async function readAlone(client: RedisClient, command: 'get' | 'hgetall', key: string): Promise<KeptValue> {
  const results = await client.pipeline()[command](key).pttl(key).exec();
  const [[fault, reply] = [], [laterFault, timeToLive] = []] = results ?? [];
  const error = fault ?? laterFault;
  if (error) throw error;
  return { reply, timeToLive };
}

/** What the wrong node says, and what ioredis throws where its map of the slots has changed or has a hole. */
function mayHaveMoved(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'ReplyError') return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(error.message);
  return error instanceof TypeError || error.message.startsWith('All keys in the pipeline should belong');
}
