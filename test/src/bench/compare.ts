import { median } from '../testing/median.ts';
import { cpuSeconds } from '../testing/process-cpu.ts';
import type { Measured } from './gateways.ts';

/** The figures of one gateway. */
export interface Figures {
  readonly name: string;
  /** CPU time of the gateway's process, user and system, in microseconds a review: one figure a round. */
  readonly cpu: readonly number[];
  /** The median of all rounds. */
  readonly reviewsPerSecond: number;
}

export interface CompareOptions {
  readonly rounds: number;
  readonly reviewsEach: number;
  /** Reviews in progress at a time. */
  readonly width: number;
}

/**
 * Sends the same reviews to several gateways in turns, another one first each time: what the machine does besides meets
 * all of them alike, so ratios of figures of one round mean something, and the figures alone little.
 */
export async function compare(gateways: readonly Measured[], options: CompareOptions): Promise<readonly Figures[]> {
  const { rounds, reviewsEach, width } = options;
  const all = gateways.map(() => ({ cpu: [] as number[], rates: [] as number[] }));
  for (const gateway of gateways) await review(gateway, reviewsEach, width);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < gateways.length; turn++) {
      const at = (round + turn) % gateways.length;
      const gateway = gateways[at];
      if (gateway === undefined) continue;
      const before = await cpuSeconds(gateway.gateway.pid);
      const start = performance.now();
      await review(gateway, reviewsEach, width);
      const seconds = (performance.now() - start) / 1_000;
      const used = (await cpuSeconds(gateway.gateway.pid)) - before;
      all[at]?.cpu.push((used * 1e6) / reviewsEach);
      all[at]?.rates.push(reviewsEach / seconds);
    }
  }
  return gateways.map(({ name }, at) => ({
    name,
    cpu: all[at]?.cpu ?? [],
    reviewsPerSecond: median(all[at]?.rates ?? []),
  }));
}

async function review({ client, bodies }: Measured, count: number, width: number): Promise<void> {
  let sent = 0;
  const work = async (): Promise<void> => {
    while (sent < count) {
      const body = bodies[sent++ % bodies.length] ?? '';
      const { status, text } = await client.send({ body });
      if (status !== 200 || !text.includes('"authenticated":true'))
        throw new Error(`not authenticated: ${status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
}
