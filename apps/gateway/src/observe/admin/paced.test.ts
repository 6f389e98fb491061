import { describe, expect, test } from 'vitest';
import { paced } from './admin.ts';

/** Makes calls and intervals that end when the test says so. */
function createPacedCalls() {
  const calls: PromiseWithResolvers<string>[] = [];
  const pauses: PromiseWithResolvers<void>[] = [];
  const begin = <Value>(list: PromiseWithResolvers<Value>[]) => {
    const one = Promise.withResolvers<Value>();
    list.push(one);
    return one.promise;
  };
  const ask = paced(
    () => begin(calls),
    () => begin(pauses),
  );
  return { ask, calls, pauses };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('paced calls', () => {
  test('the first caller does not wait', async () => {
    const { ask, calls } = createPacedCalls();
    const answer = ask();
    await turn();
    calls[0]?.resolve('one');
    expect(await answer).toBe('one');
  });

  test('all callers during a call and its interval share the next call, which begins after both', async () => {
    const { ask, calls, pauses } = createPacedCalls();
    const first = ask();
    await turn();
    const during = [ask(), ask()];
    calls[0]?.resolve('one');
    expect(await first).toBe('one');
    const after = [ask(), ask()];
    await turn();
    expect([calls.length, pauses.length]).toEqual([1, 1]);
    pauses[0]?.resolve();
    await turn();
    expect(calls).toHaveLength(2);
    calls[1]?.resolve('two');
    expect(await Promise.all([...during, ...after])).toEqual(['two', 'two', 'two', 'two']);
  });

  test('no one gets what was made before they asked', async () => {
    const { ask, calls, pauses } = createPacedCalls();
    const first = ask();
    await turn();
    calls[0]?.resolve('one');
    await first;
    pauses[0]?.resolve();
    const second = ask();
    await turn();
    calls[1]?.resolve('two');
    expect(await second).toBe('two');
  });

  test('a call that fails fails for its callers, and the next one is made after the interval', async () => {
    const { ask, calls, pauses } = createPacedCalls();
    const first = ask();
    await turn();
    const second = ask();
    calls[0]?.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    expect(calls).toHaveLength(1);
    pauses[0]?.resolve();
    await turn();
    calls[1]?.resolve('two');
    expect(await second).toBe('two');
  });
});
