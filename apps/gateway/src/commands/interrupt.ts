/** How long a command waits for the next answer, in milliseconds. */
const silenceLimit = 60_000;

/**
 * Waits for what may never come. After it has given up, because of a silence or of Ctrl-C, it waits for nothing more,
 * whether or not the work heeds the signal.
 */
export interface Interrupt extends Disposable {
  /** Aborted when it gives up. */
  readonly signal: AbortSignal;
  /** @throws Error when it gives up, and whatever `work` throws */
  wait<Value>(work: Promise<Value>): Promise<Value>;
  /** Yields each of `items`, for as long as they keep coming. */
  each<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item>;
}

/**
 * Until it is disposed of, Ctrl-C and SIGTERM end the wait and not the process, so that the command can report what was
 * done until then.
 *
 * @param limit of one silence, in milliseconds
 */
export function createInterrupt(limit: number = silenceLimit): Interrupt {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupt = () => controller.abort(new Error('interrupted'));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);

  const wait = async <Value>(work: Promise<Value>): Promise<Value> => {
    const { promise: end, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(signal.reason);
    // Removed again below: a listing may have a million items.
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    const timer = setTimeout(() => controller.abort(new Error(`no answer for ${limit / 1000} s`)), limit);
    try {
      return await Promise.race([work, end]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
  };

  async function* each<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await wait(iterator.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // Not awaited: it may be what hangs.
      iterator.return?.().catch(() => undefined);
    }
  }

  return {
    signal,
    wait,
    each,
    [Symbol.dispose]: () => {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    },
  };
}
