import { describe, expect, test } from 'vitest';
import { createReading } from './reading.ts';

/** A process whose first poll finds a list, none, or no Redis. */
async function begun(hasList: boolean | undefined) {
  const reading = createReading();
  await reading.begin(async () => {
    if (hasList !== undefined) reading.polled(50_000, hasList);
  });
  return reading;
}

describe('the list is missing', () => {
  test('not before the process begins, nor when its first poll had an answer', async () => {
    expect(createReading().isMissing).toBe(false);
    expect((await begun(true)).isMissing).toBe(false);
    expect((await begun(false)).isMissing).toBe(false);
  });

  test('when Redis was away, until a list is read', async () => {
    const reading = await begun(undefined);
    expect([reading.isMissing, reading.isRead]).toEqual([true, false]);
    reading.polled(60_000, true);
    expect([reading.isMissing, reading.isRead]).toEqual([false, true]);
  });

  test('also while a Redis that came back without a list may get it from other replicas', async () => {
    const reading = await begun(undefined);
    reading.polled(60_000, false);
    reading.polled(61_999, false);
    expect(reading.isMissing).toBe(true);
    reading.polled(62_000, false);
    expect(reading.isMissing).toBe(false);
  });
});
