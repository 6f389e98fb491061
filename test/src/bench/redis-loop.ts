/** Looks tokens up in Redis, and does nothing else: no HTTP, no cache, no record that is checked. */
import { createLookup } from './bare-redis.ts';
import { type Driven, drive, type Order } from './drive.ts';
import { answerMessages } from './worker.ts';

export interface RedisLoopMessage {
  readonly url: string;
  readonly users: readonly { readonly token: string; readonly username: string }[];
  readonly order: Order;
}

let lookUp: ReturnType<typeof createLookup> | undefined;
let next = 0;

answerMessages<RedisLoopMessage, Driven>(async ({ url, users, order }) => {
  lookUp ??= createLookup(url);
  const look = lookUp;
  return await drive(order, async () => {
    const { token, username } = users[next++ % users.length] as RedisLoopMessage['users'][number];
    const found = await look(token);
    if (found !== username) throw new Error(`expected ${username}, but Redis has ${found}`);
  });
});
