/** What the scenarios of a soak share. */
import type { Failing } from './acts.ts';
import { type SoakLoad, sleep } from './load.ts';
import type { Random } from './random.ts';
import type { Failure, Store } from './stores.ts';
import type { Replica, World } from './world.ts';

export interface Scenario {
  readonly name: string;
  run(): Promise<void>;
}

export interface Place {
  readonly world: World;
  readonly load: SoakLoad;
  readonly random: Random;
  /** Runs `work` during a fault, then `end`, and waits until all has recovered. */
  during(fault: Failing, work: () => Promise<void>, end?: () => Promise<unknown>): Promise<void>;
  /** Pauses for some seconds. */
  pause(min?: number, max?: number): Promise<void>;
  how(): Failure;
  /** Returns another number each time: an edit must change the file. */
  nextEdit(): number;
}

/** Removes all data of a Redis. */
export async function flush({ masters }: Store): Promise<void> {
  await Promise.all((await masters()).map((node) => node.client().flushall()));
}

/** Chooses a replica to kill, but not the first one: its memory is compared, and it always has the revocation list. */
export const mortal = ({ world, random }: Place): Replica => random.choose(world.replicas.slice(1));

/** Repeats a command until all replicas have confirmed it: one that was killed is waited for, for a minute. */
export async function insist(command: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 70_000;
  while (performance.now() < end && !(await command())) await sleep(500);
}

export async function repeat(
  times: number,
  pause: number,
  work: () => Promise<unknown>,
): Promise<void> {
  for (let time = 0; time < times; time++) {
    await work();
    await sleep(pause);
  }
}
