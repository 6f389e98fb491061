import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createInterrupt } from './interrupt.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<never>(() => undefined);

/** Gives a number every `pace` milliseconds, `count` of them, and then nothing more. */
async function* numbers(pace: number, count: number) {
  for (let number = 0; number < count; number++) {
    await new Promise((resolve) => setTimeout(resolve, pace));
    yield number;
  }
  await never;
}

describe('wait', () => {
  test('gives what comes in time, and what is thrown', async () => {
    using interrupt = createInterrupt(1_000);
    expect(await interrupt.wait(async () => 1)).toBe(1);
    await expect(interrupt.wait(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(vi.getTimerCount()).toBe(0);
    expect(interrupt.signal.aborted).toBe(false);
  });

  test('gives up what does not come, and says so', async () => {
    using interrupt = createInterrupt(60_000);
    const waited = expect(interrupt.wait(() => never)).rejects.toThrow('no answer for 60s');
    await vi.advanceTimersByTimeAsync(59_999);
    expect(interrupt.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await waited;
    expect(interrupt.signal.aborted).toBe(true);
  });

  test('waits for nothing more once it gave up, and ignores what fails then', async () => {
    using interrupt = createInterrupt(1_000);
    process.emit('SIGINT');
    await expect(interrupt.wait(() => never)).rejects.toThrow('interrupted');
    await expect(interrupt.wait(() => Promise.reject(new Error('too late')))).rejects.toThrow();
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends immediately at %s, which ends the process again afterwards',
    async (name) => {
      const before = process.listenerCount(name);
      {
        using interrupt = createInterrupt(60_000);
        const waited = expect(interrupt.wait(() => never)).rejects.toThrow('interrupted');
        process.emit(name);
        await waited;
        process.emit(name);
      }
      expect(process.listenerCount(name)).toBe(before);
    },
  );
});

describe('limitEach', () => {
  test('goes on for as long as something comes', async () => {
    using interrupt = createInterrupt(1_000);
    const seen: number[] = [];
    const reading = expect(
      (async () => {
        for await (const number of interrupt.limitEach(numbers(900, 10))) seen.push(number);
      })(),
    ).rejects.toThrow('no answer for 1s');
    await vi.advanceTimersByTimeAsync(9_000);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await vi.advanceTimersByTimeAsync(1_000);
    await reading;
  });

  test('ends with what it reads, and lets go of it when it is left', async () => {
    using interrupt = createInterrupt(1_000);
    const left = vi.fn();
    async function* words() {
      try {
        yield 'a';
        yield 'b';
      } finally {
        left();
      }
    }
    const all: string[] = [];
    for await (const word of interrupt.limitEach(words())) all.push(word);
    expect(all).toEqual(['a', 'b']);
    for await (const _ of interrupt.limitEach(words())) break;
    expect(left).toHaveBeenCalledTimes(2);
  });

  test('leaves no listener behind for each that came', async () => {
    using interrupt = createInterrupt(1_000);
    const add = vi.spyOn(interrupt.signal, 'addEventListener');
    const remove = vi.spyOn(interrupt.signal, 'removeEventListener');
    async function* many() {
      for (let one = 0; one < 100; one++) yield one;
    }
    for await (const _ of interrupt.limitEach(many()));
    expect(add.mock.calls.length).toBeGreaterThan(100);
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });
});
