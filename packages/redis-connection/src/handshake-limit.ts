import { Redis } from 'ioredis';
import type { RedisClient } from './client.ts';

/**
 * Milliseconds for what is said before the first command. A server that hangs takes connections all the same, and behind
 * sentinels it may be one that was deposed a moment ago: nobody tells of its successor again, so the sentinels are asked.
 */
const longest = 2_000;

/** Tries anew when a server takes a connection and then says nothing. A cluster's nodes are left to their deadlines. */
export function limitHandshake(client: RedisClient, commandTimeout: number): void {
  if (!(client instanceof Redis)) return;
  let timer: NodeJS.Timeout | undefined;
  const giveUp = () => {
    if (client.status === 'connect') client.disconnect(true);
  };
  client.on('connect', () => {
    timer = setTimeout(giveUp, Math.min(longest, commandTimeout)).unref();
  });
  for (const end of ['ready', 'close']) client.on(end, () => clearTimeout(timer));
}
