import { expect, test } from 'vitest';
import { stepsEach, takeRandomSteps } from './testing/random-steps.ts';

/** `model.load.ts` takes many more steps. */
const runs = 10;

test('in any order of events: no false accept, and no accept that has ended, was revoked or is blocked', async () => {
  const accepts = await takeRandomSteps(runs);
  console.log(`${runs * stepsEach} steps, accepts: ${JSON.stringify(Object.fromEntries(accepts))}`);
  // Else the steps would show nothing.
  for (const source of ['backend', 'memory', 'redis', 'stale'])
    expect(accepts.get(source)).toBeGreaterThan(10);
});
