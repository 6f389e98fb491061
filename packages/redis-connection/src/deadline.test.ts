import { getEventListeners } from 'node:events';
import { errorOf } from '@sallyport/test-servers/error-of';
import { describe, expect, test } from 'vitest';
import { TimedOut, within } from './deadline.ts';
import { never } from './testing/opened.ts';

const endless = new Promise<never>(() => {});
const late = 1 << 30;

describe('work with a deadline', () => {
  test('has its own outcome', async () => {
    expect(await within(late, never, Promise.resolve('done'))).toBe('done');
    const error = new Error('no');
    expect(await errorOf(within(late, never, Promise.reject(error)))).toBe(error);
  });

  test('that does not end is abandoned, and its later error is ignored', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    expect(await errorOf(within(1, never, promise))).toBeInstanceOf(TimedOut);
    reject(new Error('too late'));
    await new Promise(setImmediate);
  });

  test('is abandoned when the caller aborts, with the reason of the abort', async () => {
    const controller = new AbortController();
    const reason = new Error('the caller has gone');
    const work = within(late, controller.signal, endless);
    controller.abort(reason);
    expect(await errorOf(work)).toBe(reason);
    expect(await errorOf(within(late, controller.signal, Promise.resolve('done')))).toBe(reason);
  });

  test('leaves no listener on a signal that many calls share', async () => {
    const { signal } = new AbortController();
    for (let count = 0; count < 100; count += 1) await within(late, signal, Promise.resolve());
    await errorOf(within(late, signal, Promise.reject(new Error('no'))));
    await errorOf(within(1, signal, endless));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
