import { expect, test } from 'vitest';
import { measureObservation } from './bench/observation.ts';
import { median } from './testing/median.ts';

const bound = 1.1;

// Among the other tests, which run at the same time, all rounds are looked at together, and five times the bound is
// no noise any more. `pnpm bench` runs this one alone, for longer, and holds the medians to the bound itself.
const alone = process.env.BENCH !== undefined;
const options = alone ? { pairs: 3, rounds: 20, reviewsEach: 3_000 } : { pairs: 1, rounds: 9, reviewsEach: 1_500 };
const verdict = alone ? bound : 1 + (bound - 1) * 5;

test('audit, metrics and the status page cost a tenth of the CPU of a review at most', {
  timeout: 300_000,
}, async () => {
  const { figures, ratio, ratioInAll } = await measureObservation({ ...options, width: 32 });
  for (const { name, cpu, reviewsPerSecond } of figures) {
    console.log(`${median(cpu).toFixed(1)} µs of CPU a review, ${reviewsPerSecond.toFixed(0)} a second: ${name}`);
  }
  const inAll = `${ratioInAll.toFixed(3)} in all rounds together`;
  console.log(`looked at, a review costs ${ratio.toFixed(3)} times as much, ${inAll}; at most ${bound}`);
  expect(alone ? ratio : ratioInAll).toBeLessThan(verdict);
});
