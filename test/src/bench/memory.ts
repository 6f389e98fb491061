import { setTimeout as sleep } from 'node:timers/promises';
import { residentMemory } from '../testing/process-memory.ts';
import { memoryCase } from './cases.ts';
import { gateway, type Place, server } from './contender.ts';
import { collectsGarbage } from './gateway.ts';
import { measure, type Named, type Row } from './measure.ts';
import { cachedUsersCase } from './numbered.ts';
import type { Options } from './options.ts';

/** The memory of one contender, in MiB, in the order in which it was read. */
export interface Memory {
  readonly name: string;
  /** Before its first review. */
  readonly idle: number;
  /** The load: a turn for each tenth but the first one, in which V8 compiles. */
  readonly load: Row;
  /** 20 seconds after the load. */
  readonly later: number;
  /** With 50,000 cached users, before and after a garbage collection. A server without a cache has none. */
  readonly cachedUsers?: { readonly before: number; readonly after: number };
}

const defaultReviews = 100_000;

/** The load is sent in so many parts, and the memory read after each. */
export const parts = 10;

/** Milliseconds without a review before the memory is read. */
const [settleTime, laterTime] = [2_000, 20_000];

const cachedUsers = gateway('50,000 cached users', () => cachedUsersCase(50_000));

/** Measures all gateways and the empty Koa stack under the same load, with a tenth of it each in turns. */
export async function measureMemory(
  place: Place,
  { entries, at, length }: Options,
  progress: (words: string) => void,
): Promise<Memory[]> {
  const cached = new Map<string, Memory['cachedUsers']>();
  for (const [name, entry] of entries) {
    progress(`50,000 cached users of ${name || entry}`);
    cached.set(name || 'gateway', await withCachedUsers(place, entry));
  }
  await using resources = new AsyncDisposableStack();
  const started: Named[] = [];
  for (const [name, entry] of entries) {
    progress(`starting ${name || entry}`);
    const contender = gateway('memory', () => ({ ...memoryCase(), prime: 0 }));
    const running = await contender.start({ ...place, resources }, entry);
    started.push({ name: name || 'gateway', running });
  }
  const stack = await server('stack', 0).start({ ...place, resources }, '');
  started.push({ name: 'stack', running: stack });
  const read = () => Promise.all(started.map(({ running: { pid } }) => residentMemory(pid)));
  await sleep(settleTime);
  const idle = await read();
  const reviews = 'reviews' in length ? length.reviews : defaultReviews;
  const order = { protocol: 'h2', at: at[0] ?? 64, reviews: Math.ceil(reviews / parts) } as const;
  const rows = await measure(started, order, { rounds: parts - 1, onTurn: progress });
  progress(`${laterTime / 1000} seconds without a review`);
  await sleep(laterTime);
  const later = await read();
  return rows.map((load, index) => {
    const [before, after] = [idle[index] ?? Number.NaN, later[index] ?? Number.NaN];
    const users = cached.get(load.name);
    return {
      name: load.name,
      idle: before,
      load,
      later: after,
      ...(users && { cachedUsers: users }),
    };
  });
}

async function withCachedUsers(place: Place, entry: string) {
  await using resources = new AsyncDisposableStack();
  const { pid } = await cachedUsers.start(
    { ...place, resources, nodeArguments: collectsGarbage },
    entry,
  );
  await sleep(settleTime);
  const before = await residentMemory(pid);
  process.kill(pid, 'SIGUSR2');
  await sleep(settleTime);
  return { before, after: await residentMemory(pid) };
}
