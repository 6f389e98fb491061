/** Notes when a busy machine made gateways give up on servers that are well. No scenario has announced that. */
import { setTimeout as sleep } from 'node:timers/promises';
import { metric } from '../bench/gateway.ts';
import type { Fault } from './history.ts';
import { now } from './notes.ts';
import type { World } from './world.ts';

/** Milliseconds between two looks at the clock, and at the counters of the gateways. */
const intervals = { clock: 100, counters: 2_000 } as const;
/** The number of milliseconds by which this process is late on a machine on which others are as well. */
const maxDelay = 200;
/** Milliseconds for which a gateway waits for an answer. */
const maxWait = 3_000;

/** Milliseconds after which all that explains an answer has been noted. */
export const settleTime = 5_000;

/** @param note keeps a fault that has ended */
export async function watchMachine(
  world: World,
  note: (fault: Fault) => void,
  isEnded: () => boolean,
): Promise<void> {
  await Promise.all([watchClock(note, isEnded), watchLockouts(world, note, isEnded)]);
}

async function watchClock(note: (fault: Fault) => void, isEnded: () => boolean): Promise<void> {
  while (!isEnded()) {
    const begin = now();
    await sleep(intervals.clock);
    if (now() - begin < intervals.clock + maxDelay) continue;
    note({
      what: 'fault',
      kind: `the machine is busy: ${Math.round(now() - begin)} ms`,
      // Not the cache: what replicas have to know of one another is never excused by this.
      hits: ['directory', 'tokens'],
      begin: begin - maxWait,
      end: now(),
    });
  }
}

/** Without the cache Redis in time, a replica counts wrong passwords alone: docs/redis.md. */
async function watchLockouts(
  { replicas }: World,
  note: (fault: Fault) => void,
  isEnded: () => boolean,
): Promise<void> {
  const counts = new Map<number, number>();
  let begin = now();
  do {
    await sleep(intervals.counters);
    for (const { number, gateway } of replicas) {
      const count = await metric(gateway.adminUrl, 'sallyport_redis_errors_total', [
        'use="lockout"',
      ]).catch(() => 0);
      const hits = ['cache'] as const;
      const kind = 'cache: too late for the lockout guard';
      if (count > (counts.get(number) ?? 0))
        note({ what: 'fault', kind, hits, replica: number, begin, end: now() });
      counts.set(number, count);
    }
    begin = now() - intervals.counters;
  } while (!isEnded());
}
