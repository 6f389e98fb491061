import { describe, expect, test } from 'vitest';
import { createReading } from './reading.ts';

/** A process whose first poll finds a list, none, or no Redis. */
async function begun(hasList: boolean | undefined, startsWithoutBlocks = false) {
  const reading = createReading(() => startsWithoutBlocks);
  await reading.begin(async () => {
    if (hasList !== undefined) reading.polled(50_000, hasList);
  });
  return reading;
}

describe('the list is missing', () => {
  test('not before the process begins, nor when its first poll had one', async () => {
    expect(createReading(() => false).isMissing).toBe(false);
    expect((await begun(true)).isMissing).toBe(false);
  });

  test.each([undefined, false])(
    'when the first poll had %s, until a list is read',
    async (first) => {
      const reading = await begun(first);
      expect([reading.isMissing, reading.isRead]).toEqual([true, first === false]);
      reading.polled(600_000, false);
      expect(reading.isMissing).toBe(true);
      reading.polled(600_500, true);
      expect([reading.isMissing, reading.isRead]).toEqual([false, true]);
      reading.polled(601_000, false);
      expect(reading.isMissing).toBe(false);
    },
  );

  test('until other replicas had time to write it back, if the config says so', async () => {
    const reading = await begun(false, true);
    reading.polled(51_999, false);
    expect(reading.isMissing).toBe(true);
    reading.polled(52_000, false);
    expect(reading.isMissing).toBe(false);
  });
});
