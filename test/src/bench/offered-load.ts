import type { OfferedPoint } from './drive.ts';
import type { Named } from './measure.ts';

export interface Offered {
  readonly name: string;
  readonly points: readonly OfferedPoint[];
}

/** The rates in reviews a second. Each is about a third more than the one before. */
const rates: readonly number[] = [
  50, 100, 200, 300, 400, 550, 750, 1_000, 1_400, 1_900, 2_500, 3_300, 4_300, 5_700, 7_500, 10_000,
  13_000,
];

const seconds = 2;

/** Offers each contender more and more reviews a second, until it can't keep up. Loops are not offered any. */
export async function offerMore(
  contenders: readonly Named[],
  progress: (words: string) => void,
): Promise<Offered[]> {
  const all: Offered[] = [];
  for (const { name, running } of contenders) {
    if (running.offer === undefined) continue;
    const points: OfferedPoint[] = [];
    for (const rate of rates) {
      progress(`${rate} reviews a second for ${name}`);
      const point = await running.offer(rate, seconds);
      if (point === undefined) break;
      points.push(point);
    }
    all.push({ name, points });
  }
  return all;
}
