import { Cluster } from 'ioredis';
import { abandon, type RedisClient } from './client.ts';
import { WireError } from './wire-error.ts';

/** A value and how long Redis keeps it still. */
export interface KeptValue {
  readonly reply: unknown;
  /** Milliseconds; -1: without end; -2: it is not there (https://redis.io/docs/latest/commands/pttl/). */
  readonly timeToLive: unknown;
}

/** The command that reads the value of a key, and never more than it may be long. */
export type ValueQuery = (key: string) => readonly [command: string, ...args: string[]];

/**
 * A string. One that is longer comes cut off, and still longer than this: the caller can check its length.
 *
 * @param bytes the most that may come
 */
export function stringUpTo(bytes: number): ValueQuery {
  return (key) => ['getrange', key, '0', String(bytes)];
}

/** More fields than that are no record of anybody, and Redis would look at each of them. */
const mostFields = 1_000;

/** The last field makes it ask for its length in any case, so that a right that is missing is found without a record. */
const readHash = `
if redis.call('HLEN', KEYS[1]) > ${mostFields} then return tonumber(ARGV[1]) + 1 end
local names, bytes = redis.call('HKEYS', KEYS[1]), 0
names[#names + 1] = ''
for _, name in ipairs(names) do bytes = bytes + #name + redis.call('HSTRLEN', KEYS[1], name) end
if bytes > tonumber(ARGV[1]) then return bytes end
return redis.call('HGETALL', KEYS[1])`;

/**
 * A hash, as a list of fields and values in turn, which is empty when there is none. A hash with more than 1,000 fields,
 * or longer than this, is a number in place of the list. Takes Redis 7: no plain command reads a hash up to a size, and
 * a script that may write would wait while Redis holds writes back.
 *
 * @param bytes the most that may come, with the names of the fields
 */
export function hashUpTo(bytes: number): ValueQuery {
  return (key) => ['eval_ro', readHash, '1', key, String(bytes)];
}

/**
 * One round trip, and one write together with all that is asked in the same turn: ioredis puts the commands of a turn
 * into one pipeline, in a cluster one for each node. Redis says the key again behind its value: when answers do not
 * come in the order of their commands, as after one too many, no caller gets the value of another key.
 *
 * @throws WireError for the answer to another command; the connection has ended by then
 */
export async function readValue(client: RedisClient, query: ValueQuery, key: string): Promise<KeptValue> {
  return settle(client, key, await ask(client, query, key));
}

type Answers = readonly [reply: unknown, timeToLive: unknown, echoed: unknown];

async function ask(client: RedisClient, query: ValueQuery, key: string): Promise<Answers> {
  try {
    return await Promise.all([client.call(...query(key)), client.pttl(key), client.echo(key)]);
  } catch (error) {
    if (!(client instanceof Cluster) || !mayHaveMoved(error)) throw error;
    return await askAlone(client, query, key);
  }
}

/**
 * In a pipeline of several keys ioredis follows no redirection, since each is sent to another place, nor does it look
 * where the slots are now. In one of its own it does both, but not with ECHO in it: only what reads keys is sent again.
 */
async function askAlone(client: RedisClient, query: ValueQuery, key: string): Promise<Answers> {
  const results = await client
    .pipeline()
    .call(...query(key))
    .pttl(key)
    .exec();
  const [[fault, reply] = [], [laterFault, timeToLive] = []] = results ?? [];
  const error = fault ?? laterFault;
  if (error) throw error;
  return [reply, timeToLive, key];
}

function settle(client: RedisClient, key: string, [reply, timeToLive, echoed]: Answers): KeptValue {
  // Sent again in a cluster there is no echo, but one answer too many still shows: these commands answer nothing else.
  if (echoed !== key || typeof timeToLive !== 'number' || reply === null) {
    const error = new WireError('an answer to another command');
    abandon(client, error);
    throw error;
  }
  // GETRANGE gives an empty text for a key that is not there.
  return { reply: reply === '' && timeToLive === -2 ? null : reply, timeToLive };
}

/** What the wrong node says, and what ioredis throws where its map of the slots has changed or has a hole. */
function mayHaveMoved(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'ReplyError') return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(error.message);
  return error instanceof TypeError || error.message.startsWith('All keys in the pipeline should belong');
}
