/** How long a command waits for the next sign of life, in milliseconds. */
const silenceLimit = 60_000;

/**
 * Waits for what may never come. Once it has given up, by silence or by Ctrl-C, nothing that it waits for comes any
 * more, whether or not that heeds the signal.
 */
export interface Patience extends Disposable {
  /** Aborted when it gives up. */
  readonly signal: AbortSignal;
  /** @throws Error when it gives up, and whatever `work` throws */
  wait<Value>(work: Promise<Value>): Promise<Value>;
  /** Each of `items`, for as long as they keep coming. */
  each<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item>;
}

/**
 * Until it is disposed of, Ctrl-C and SIGTERM end the wait and not the process, so that the command can tell what was
 * done until then.
 *
 * @param limit of one silence, in milliseconds
 */
export function createPatience(limit: number = silenceLimit): Patience {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupt = () => controller.abort(new Error('interrupted'));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);

  const wait = async <Value>(work: Promise<Value>): Promise<Value> => {
    const { promise: end, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(signal.reason);
    // Taken off again: what is waited for may come a million times.
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    const timer = setTimeout(() => controller.abort(new Error(`nothing came for ${limit / 1000} s`)), limit);
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
      // Not waited for: it may be what hangs.
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
