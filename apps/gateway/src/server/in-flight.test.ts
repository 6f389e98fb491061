import { describe, expect, test } from 'vitest';
import { createInFlight } from './in-flight.ts';

describe('the count of reviews in flight', () => {
  test('allows reviews up to the limit, and another one when one has ended', () => {
    const inFlight = createInFlight();
    const leave = inFlight.enter(2);
    inFlight.enter(2);
    expect(inFlight.enter(2)).toBeUndefined();
    leave?.();
    expect(inFlight.enter(2)).toBeTypeOf('function');
    expect(inFlight.count).toBe(2);
  });

  test('ending a review twice ends one', () => {
    const inFlight = createInFlight();
    inFlight.enter(5);
    const leave = inFlight.enter(5);
    leave?.();
    leave?.();
    expect(inFlight.count).toBe(1);
  });

  test('work that no one waits for counts until it settles, either way', async () => {
    const inFlight = createInFlight();
    const good = Promise.withResolvers<void>();
    const bad = Promise.withResolvers<void>();
    inFlight.hold(good.promise);
    inFlight.hold(bad.promise);
    expect(inFlight.count).toBe(2);
    expect(inFlight.enter(2)).toBeUndefined();
    good.resolve();
    await good.promise;
    expect(inFlight.count).toBe(1);
    bad.reject(new Error('gone'));
    await Promise.allSettled([bad.promise]);
    expect(inFlight.count).toBe(0);
  });
});
